"""Bursts of Ethernet: each is one frame or one fault, however it is cut; and what is sent arrives at every bit."""

from __future__ import annotations

from typing import Final

from tests.fuzz.supply import Supply
from tests.support.plain_framing import told
from tests.support.vectors import load, octets
from vipd.wire.ethernet import padded
from vipd.wire.ethernet_line import EthernetDeframer, EthernetFramer

_VECTORS: Final = load("ethernet")
SEEDS: Final = [bytes(5) + octets(vector["wire"]) for vector in _VECTORS["hostile"]] + [
    bytes(5) + EthernetFramer().encode(octets(vector["frame"])) for vector in _VECTORS["frames"]
]


def check(data: bytes) -> None:
    supply = Supply(data)
    aligned, max_payload = supply.one_of((True, False)), supply.one_of((1500, 60, 200))
    shift = supply.number(7)
    pieces = supply.pieces()
    burst = b"".join(pieces)

    whole, cut = EthernetDeframer(aligned, max_payload), EthernetDeframer(aligned, max_payload)
    found = [*whole.feed(burst), *whole.end()]
    again = [one for piece in pieces for one in cut.feed(piece)] + list(cut.end())
    assert told(again) == told(found)
    assert len(found) == (1 if burst else 0)

    if len(burst) <= max_payload:
        line = EthernetFramer().encode(burst)
        shifted = int.from_bytes(line, "little") << shift
        receiver = EthernetDeframer(shift == 0, max_payload)
        receiver.feed(shifted.to_bytes(len(line) + (shift > 0), "little"))
        assert list(receiver.end()) == [padded(burst)]
