"""The parts of a line that is shown: they cover it, once, in order."""

from __future__ import annotations

from typing import Final

from tests.fuzz.supply import Supply
from tests.fuzz.targets import async_hdlc, bit_hdlc
from vipd.wire import bits
from vipd.wire.stretches import Stretch, of_bits, of_octets

SEEDS: Final = [bytes((0, 0, *seed[5:])) for seed in bit_hdlc.SEEDS] + [
    bytes((1, 0, *seed[5:])) for seed in async_hdlc.SEEDS
]


def check(data: bytes) -> None:
    supply = Supply(data)
    if supply.number(1):
        accm = supply.number(255) * 0x01010101
        _covered(of_octets(supply.rest(), accm), len(supply.rest()))
    else:
        lost = supply.number(7)
        line = bits.unpack(supply.rest())[lost:]
        _covered(of_bits(line), len(line))


def _covered(stretches: list[Stretch], size: int) -> None:
    at = 0
    for stretch in stretches:
        assert stretch.start == at < stretch.end
        at = stretch.end
    assert at == size
