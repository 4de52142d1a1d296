"""Two ends on a line whose bits or octets are changed, lost and made up: nothing damaged passes, no harm lasts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.line import DELAY, Fate, Line, perfect
from tests.support.ppp import HERE, ONE, OTHER, THERE, session
from vipd.model.link import LinkMachine
from vipd.slarp.machine import CiscoHdlc
from vipd.slarp.settings import Ipv4, Ipv6, Settings
from vipd.wire import bits
from vipd.wire.async_hdlc import AsyncDeframer, AsyncFramer
from vipd.wire.bit_hdlc import BitDeframer, BitFramer
from vipd.wire.fcs import FCS32

Ends: TypeAlias = Callable[[int], tuple[LinkMachine, LinkMachine]]
Wire: TypeAlias = Callable[[float, int], Fate]
SECONDS: Final = 120
WORST: Final = 0.003
"Of all bits, or octets: hardly a frame of 300 octets comes through."


def _damaged(line: bytes, likely: float, random: Random, most: int) -> bytes:
    """Of elements up to `most`, some another, some lost, some too many."""
    came = bytearray()
    for element in line:
        lot = random.random() / likely if likely else 3.0
        if lot < 1:
            came.append(random.randint(0, most))
        elif lot < 2:
            came += bytes((element, random.randint(0, most)))
        elif not lot < 3 or not likely:
            came.append(element)
    return bytes(came)


def _bit_wire(likely: float, seed: int) -> Fate:
    framer, deframer, random = BitFramer(FCS32), BitDeframer(FCS32), Random(seed)

    def fate(frame: bytes) -> Sequence[tuple[float, bytes]]:
        line = _damaged(bits.unpack(framer.encode(frame) + framer.flush()), likely, random, 1)
        return [(DELAY, found) for found in deframer.feed_bits(line) if isinstance(found, bytes)]

    return fate


def _octet_wire(likely: float, seed: int) -> Fate:
    framer, deframer, random = AsyncFramer(FCS32), AsyncDeframer(FCS32), Random(seed)

    def fate(frame: bytes) -> Sequence[tuple[float, bytes]]:
        line = _damaged(framer.encode(frame) + framer.flush(), likely, random, 255)
        return [(DELAY, found) for found in deframer.feed(line) if isinstance(found, bytes)]

    return fate


def _ppp(seed: int) -> tuple[LinkMachine, LinkMachine]:
    return session(ONE, seed), session(OTHER, seed + 1)


def _cisco(seed: int) -> tuple[LinkMachine, LinkMachine]:
    wishes = (Settings(ipv4=Ipv4(HERE, THERE), ipv6=Ipv6()), Settings(ipv4=Ipv4(THERE, HERE), ipv6=Ipv6()))
    one, other = (CiscoHdlc(each, Random(seed + n).randbytes) for n, each in enumerate(wishes))
    return one, other


def _packet(random: Random) -> bytes:
    body = random.randbytes(random.randint(0, 300))
    return b"\x45\0" + (20 + len(body)).to_bytes(2, "big") + random.randbytes(16) + body


@pytest.mark.parametrize("wire", [_bit_wire, _octet_wire])
@pytest.mark.parametrize("ends", [_ppp, _cisco])
@settings(max_examples=40, deadline=None)
@given(likely=st.floats(0, WORST), seed=st.integers(0, 2**32))
def test_nothing_damaged_passes_and_once_the_line_is_good_everything_does(
    ends: Ends, wire: Wire, likely: float, seed: int
) -> None:
    random = Random(seed)
    line = Line(*ends(seed), (wire(likely, seed), wire(likely, seed + 1)), again=seed)
    line.start()
    sent: tuple[set[bytes], set[bytes]] = set(), set()
    for _ in range(SECONDS):
        line.run(line.now + 1.0)
        for place in (0, 1):
            packet = _packet(random)
            if line.pass_packet(place, packet):
                sent[place].add(packet)
    assert set(line.other.packets) <= sent[0]
    assert set(line.one.packets) <= sent[1]

    line.fates[:] = [perfect, perfect]
    line.run(line.now + 200.0)
    assert line.one.up.keys() == line.other.up.keys() == {4, 6}
    for place, end in ((0, line.other), (1, line.one)):
        packet = _packet(random)
        assert line.pass_packet(place, packet)
        line.run(line.now + 1.0)
        assert end.packets[-1] == packet


@pytest.mark.parametrize("wire", [_bit_wire, _octet_wire])
def test_so_bad_a_line_loses_frames_and_still_carries_some(wire: Wire) -> None:
    """That the lots above are neither all too kind nor all too hard."""
    fate, frames = wire(WORST / 10, 1), [Random(n).randbytes(200) for n in range(400)]
    came = [found for frame in frames for _, found in fate(frame)]
    assert set(came) <= set(frames)
    assert 40 < len(came) < 390
