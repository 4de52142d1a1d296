"""Headers of HDLC, Ethernet, LLC, ARP and neighbour discovery: read or refused; what is read is written alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from tests.fuzz.supply import Supply
from tests.support.vectors import load, octets
from vipd.errors import WireError
from vipd.wire import ethernet, hdlc, ndp
from vipd.wire.arp import Arp
from vipd.wire.llc import Llc

SEEDS: Final = [
    bytes((choice,)) + octets(vector["frame"])
    for choice in range(7)
    for name in ("bit_hdlc", "async_hdlc", "ethernet")
    for vector in load(name)["frames"]
]


def _hdlc(modulo: Literal[8, 128], extended: bool) -> Callable[[bytes], None]:
    def check_frame(data: bytes) -> None:
        frame = hdlc.Frame.decode(data, modulo, extended)
        assert hdlc.Frame.decode(frame.encode(modulo), modulo, extended) == frame

    return check_frame


def _ethernet(data: bytes) -> None:
    frame = ethernet.Frame.decode(data)
    assert frame.encode() == data
    Llc.decode(frame.counted_payload())


def _llc(data: bytes) -> None:
    llc = Llc.decode(data)
    assert Llc.decode(llc.encode()) == llc


def _arp(data: bytes) -> None:
    arp = Arp.decode(data)
    assert Arp.decode(arp.encode()) == arp


def _ndp(data: bytes) -> None:
    message = ndp.decode(data)
    assert ndp.decode(message.encode()) == message


_READERS: Final = (_hdlc(8, False), _hdlc(128, True), _hdlc(128, False), _ethernet, _llc, _arp, _ndp)


def check(data: bytes) -> None:
    supply = Supply(data)
    read = supply.one_of(_READERS)
    try:
        read(supply.rest())
    except WireError:
        return
