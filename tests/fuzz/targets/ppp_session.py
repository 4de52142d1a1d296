"""A PPP link while somebody on the line says anything at all: no exception, few answers, no lasting harm."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tests.fuzz.supply import Supply
from tests.support.line import Line, perfect
from tests.support.ppp import DEMAND, IDENTITY, ONE, OTHER, session
from vipd.model.link import Send
from vipd.ppp.settings import AuthMethod, Ipv4, Settings
from vipd.wire.ppp import Frame, Packet, Protocol

_BOTH: Final = tuple(AuthMethod)
_PAIRS: Final[list[tuple[Settings, Settings]]] = [
    (ONE, OTHER),
    (replace(ONE, demand=DEMAND), replace(OTHER, identity=IDENTITY)),
    (
        replace(ONE, demand=replace(DEMAND, methods=(AuthMethod.PAP,))),
        replace(OTHER, identity=replace(IDENTITY, methods=_BOTH)),
    ),
    (replace(ONE, identity=IDENTITY), replace(OTHER, demand=replace(DEMAND, again=5.0))),
    (replace(ONE, ipv4=Ipv4(), mru=1280), replace(OTHER, compress=False, accm=None)),
]
_PROTOCOLS: Final = (
    Protocol.LCP,
    Protocol.IPCP,
    Protocol.IPV6CP,
    Protocol.CHAP,
    Protocol.PAP,
    Protocol.IPV4,
    Protocol.EAP,
)
_STEPS: Final = 60
_ANSWERS: Final = 6
"More frames than that never follow from one."
_LONGEST: Final = 1500 + 4

SEEDS: Final = [
    bytes((pair, 1, 20)) + bytes(script)
    for pair in range(len(_PAIRS))
    for script in (
        b"\x00\x08\xff\x03\xc0\x21\x05\x01\x00\x04\x01\x10",
        b"\x00\x0e\xff\x03\xc0\x21\x01\x01\x00\x0a\x05\x06\x01\x02\x03\x04\x01\x28",
        b"\x02\x00\x01\x00\x04\x01\x04\x05\xdc\x01\x08\x02\x00\x07\x00\x01\x01\x01\x08",
        b"\x02\x00\x08\x00\x06\x80\x21\x01\x04\x00\x04\x01\x08\x02\x01\x03\x00\x06\x03\x06\x0a\x00\x00\x09\x01\x08",
        b"\x02\x03\x01\x05\x05\x04abcd\x01\x20\x03\x01\x10\x04\x01\x20",
    )
]


def _last_identifier(line: Line) -> int:
    """Of what `one` sent last, so that an answer to it may be believed."""
    for frame in reversed(line.one.sent()):
        if len(frame) >= 6:
            return frame[5] if frame.startswith(b"\xff\x03") else frame[3]
    return 0


def _hostile(supply: Supply, line: Line) -> bytes | None:
    """Any bytes; or a packet of a protocol that `one` speaks, with an identifier that it waits for."""
    match supply.number(4):
        case 0:
            return supply.take(supply.number(255))
        case 2:
            protocol, code = supply.one_of(_PROTOCOLS), supply.number(15)
            identifier = (_last_identifier(line) + supply.number(2)) % 256
            packet = Packet(code, identifier, supply.take(supply.number(60)))
            return Frame(protocol, packet.encode()).encode()
        case 3:
            line.stop(0)
        case 4:
            line.replug()
        case _:
            line.run(line.now + supply.number(255) / 8)
    return None


def check(data: bytes) -> None:
    supply = Supply(data)
    one, other = supply.one_of(_PAIRS)
    line = Line(session(one, 1), session(other, 2), (perfect, perfect), again=1)
    line.start()
    for _ in range(_STEPS):
        if supply.empty:
            break
        frame = _hostile(supply, line)
        if frame is not None:
            effects = line.one.machine.receive(frame, line.now)
            assert sum(isinstance(effect, Send) for effect in effects) <= _ANSWERS
            line.carry_out(0, effects)
    assert all(len(frame) <= _LONGEST for end in line.ends for frame in end.sent())
    # Whatever was believed ends with the line.
    line.run(line.now + 60.0)
    line.replug()
    line.run(line.now + 20.0)
    assert line.one.up.keys() == line.other.up.keys() == {4, 6}
