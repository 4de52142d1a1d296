"""TCP connections brought into one of their states on purpose: chance alone seldom gets as far as the later ones."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tests.support.oracle import packets, worlds
from tests.support.oracle.network import machines
from tests.support.oracle.script import Configure, Neighbour, Send, Step, Wait
from vipd.model.director import OnServerRemoved, Transport, VirtualService
from vipd.wire.transport import ACK, FIN, RST, SYN

if TYPE_CHECKING:
    from tests.support.oracle.choices import Choices
    from tests.support.oracle.session import Session

_MACHINES: Final = machines()
_LIVES: Final = ("", "A", "AF", "Af", "Afs", "F", "AR", "AFa", "F", "Af", "Afs", "AF", "Af", "F")
"What follows a SYN: segments of the client, and in small letters of the server, where its packets pass the director."
_FLAGS: Final = {"A": ACK, "F": FIN | ACK, "R": RST, "S": SYN | ACK}
_LAST: Final = (ACK, FIN | ACK, RST, SYN | ACK, ACK, SYN, RST | ACK, SYN | ACK, FIN | ACK)
_CUT: Final = (FIN | ACK, ACK, RST, ACK, FIN | ACK, RST, SYN)
_BEGUN: Final = ("A", "A", "", "AF", "Af")
_POLICIES: Final = (OnServerRemoved.RESCHEDULE, OnServerRemoved.RESET, OnServerRemoved.RESCHEDULE, *OnServerRemoved)
_LOOKS_AGAIN: Final = 600_000_000
"Nanoseconds after which a mere ACK of the server is noted again."
_SECOND: Final = 1_000_000_000
_AFTERWARDS: Final = (12 * _SECOND, 16 * _SECOND, 3 * _SECOND, 20 * _SECOND)
"Around the time that the director trusts what the kernel has forgotten: 16 s."


def life(session: Session, choices: Choices) -> Iterator[Step]:
    """One state, then whatever either end likes to send."""
    there = [each for each in _served(session) if each.listen[0].transport is Transport.TCP]
    if not there:
        yield _other(session, choices)
        return
    sent = yield from _begun(session, choices, there, choices.of(_LIVES))
    for _ in range(choices.of((1, 2, 1, 3))):
        yield from _next(session, choices, sent, choices.of(_LAST), choices.one_in(2))


def moved(session: Session, choices: Choices) -> Iterator[Step]:
    """The server goes, in the middle of what is said: the connection goes on with another, ends or stays."""
    there = _served(session)
    if not there:
        yield _other(session, choices)
        return
    service = replace(choices.of(there), on_server_removed=choices.of(_POLICIES))
    session.services = _with(session.services, service)
    yield Configure(session.services)
    sent = yield from _begun(session, choices, [service], choices.of(_BEGUN))
    session.services = _with(session.services, worlds.relieved(choices, service))
    yield Configure(session.services)
    yield from _next(session, choices, sent, choices.of(_CUT), False)
    yield from _next(session, choices, sent, choices.of(_LAST), choices.one_in(2))


def complaint(session: Session, choices: Choices) -> Iterator[Step]:
    """An ICMP error about a connection that just began, to either end."""
    there = _served(session)
    if not there:
        yield _other(session, choices)
        return
    sent = yield from _begun(session, choices, there, "")
    reached = _reached(session, sent)
    about = reached if reached is not None and choices.one_in(2) else packets.turned(sent)
    yield session.frame(choices, "out" if about is not reached else "in", packets.complaint(choices, about))


def crowd(session: Session, choices: Choices) -> Iterator[Step]:
    """Many clients at once, so that tables fill; perhaps of two services that share their servers."""
    endpoints = session.endpoints
    if choices.one_in(2):
        session.services = worlds.shared(choices, session.services)
        yield Configure(session.services)
        endpoints = session.endpoints[-2:]
    first = packets.newcomer(choices, endpoints)
    for number in range(choices.of((8, 16, 24, 4))):
        yield session.frame(choices, "out", packets.from_port(first, 41_000 + number))


def narrow(session: Session, choices: Choices) -> Iterator[Step]:
    """Parts of datagrams, to where not all of them fit."""
    there = _served(session)
    if not there:
        yield _other(session, choices)
        return
    service = worlds.narrowed(choices, choices.of(there))
    session.services = _with(session.services, service)
    yield Configure(session.services)
    sent = yield from _begun(session, choices, [service], "")
    for first in (True, False):
        yield session.frame(choices, "out", packets.part(choices, sent, first))


def forgotten(session: Session, choices: Choices) -> Iterator[Step]:
    """The kernel forgets where the servers of a connection are, which goes on for a while."""
    there = _served(session)
    if not there:
        yield _other(session, choices)
        return
    service = choices.of(there)
    sent = yield from _begun(session, choices, [service], "")
    gone = [each.address for each in service.servers if each.address in _MACHINES]
    for address in gone:
        yield Neighbour(address, known=False)
    for _ in range(2):
        yield Wait(choices.of(_AFTERWARDS))
        yield session.plain("out", packets.segment(sent, ACK, turned=False))
    for address in gone if not choices.one_in(4) else ():
        yield Neighbour(address, known=True)


def _served(session: Session) -> list[VirtualService]:
    return [each for each in session.services if each.servers]


def _with(services: tuple[VirtualService, ...], changed: VirtualService) -> tuple[VirtualService, ...]:
    return tuple(changed if each.name == changed.name else each for each in services)


def _other(session: Session, choices: Choices) -> Send:
    return session.frame(choices, "out", packets.from_client(choices, session.endpoints))


def _begun(
    session: Session, choices: Choices, services: list[VirtualService], segments: str
) -> Generator[Step, None, bytes]:
    """The client's SYN, which it returns, and these segments, with nothing rare about them."""
    newcomer = packets.newcomer(choices, [service.listen[0] for service in services])
    sent = packets.from_port(newcomer, 42_000 + choices.byte())
    yield session.plain("out", sent)
    for segment in segments:
        flags = _FLAGS[segment.upper()]
        if segment.isupper():
            yield session.plain("out", packets.segment(sent, flags, turned=False))
        elif (reached := _reached(session, sent)) is not None:
            yield session.plain("in", packets.segment(reached, flags, turned=True))
    return sent


def _next(session: Session, choices: Choices, sent: bytes, flags: int, back: bool) -> Iterator[Step]:
    """From the client, or from the server that was reached; chance may spoil it."""
    reached = _reached(session, sent) if back else None
    if reached is None:
        yield session.frame(choices, "out", packets.segment(sent, flags, turned=False))
    else:
        if flags == ACK:
            yield Wait(_LOOKS_AGAIN)
        yield session.frame(choices, "in", packets.segment(reached, flags, turned=True))


def _reached(session: Session, sent: bytes) -> bytes | None:
    """As the server got the client's last packet under NAT."""
    return next((each for each in reversed(session.left) if packets.is_of(each, sent)), None)
