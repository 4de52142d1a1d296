"""A Cisco HDLC link while somebody on the line says anything at all; and its packets, read or refused."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Final

from tests.fuzz.supply import Supply
from tests.support.line import Line
from tests.support.ppp import HERE, THERE
from vipd.errors import WireError
from vipd.model.link import Send
from vipd.slarp.machine import CiscoHdlc
from vipd.slarp.settings import Ipv4, Ipv6, Settings
from vipd.wire.cisco_hdlc import BROADCAST, Frame, Type, decode_slarp

_ONE: Final = Settings(ipv4=Ipv4(HERE, THERE), ipv6=Ipv6())
_OTHER: Final = Settings(ipv4=Ipv4(THERE, HERE), ipv6=Ipv6())
_ASKING: Final = Settings(ipv4=Ipv4(), ipv6=Ipv6())
_STEPS: Final = 60

SEEDS: Final = [
    bytes((asks,)) + script
    for asks in range(2)
    for script in (
        bytes.fromhex("01 0c 8f008035 00000002 0000000300000007 ffff 0001d4c0 00 50"),
        bytes.fromhex("02 10 00000001 0a000001 fffffffc ffff 0000 00 ff 00 ff"),
        bytes.fromhex("02 10 00000000 00000000 00000000 ffff 0000 03 00 10"),
        bytes.fromhex("04 00 50 04 00 50 04"),
    )
]


def _own_words(line: Line) -> bytes:
    sent = line.one.sent()
    return sent[-1] if sent else b""


def check(data: bytes) -> None:
    supply = Supply(data)
    one, other = supply.one_of([(_ONE, _OTHER), (_ASKING, _OTHER)])
    line = Line(_machine(one, 1), _machine(other, 2), again=1)
    line.start()
    for _ in range(_STEPS):
        if supply.empty:
            break
        frame = b""
        match supply.number(4):
            case 1:
                frame = supply.take(supply.number(255))
            case 2:
                frame = Frame(BROADCAST, Type.SLARP, supply.take(supply.number(20))).encode()
            case 3:
                line.stop(0)
            case 4:
                frame = _own_words(line)
            case _:
                line.run(line.now + supply.number(255) / 4)
        with suppress(WireError):
            packet = decode_slarp(Frame.decode(frame).payload)
            assert decode_slarp(packet.encode()) == packet
        effects = line.one.machine.receive(frame, line.now)
        assert sum(isinstance(effect, Send) for effect in effects) <= 2
        line.carry_out(0, effects)
    line.replug()
    line.run(line.now + 60.0)
    assert line.one.up.keys() == line.other.up.keys() == {4, 6}


def _machine(wanted: Settings, seed: int) -> CiscoHdlc:
    return CiscoHdlc(wanted, Random(seed).randbytes)
