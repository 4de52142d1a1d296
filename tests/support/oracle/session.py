"""A conversation out of choices: each step is chosen by what went before, done, and written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, TypeVar

from tests.support.oracle import lives, packets, worlds
from tests.support.oracle.choices import Choices
from tests.support.oracle.mutations import mutated
from tests.support.oracle.network import PORTS, has_ethernet, packet_of
from tests.support.oracle.runner import Runner
from tests.support.oracle.script import Attach, Collect, Configure, Neighbour, Send, SetTimeouts, Step, Sweep, Wait
from tests.support.wires import CLIENT_MAC
from vipd.model.director import STATES, Endpoint, Timeouts
from vipd.wire.ethernet import mac_bytes

T = TypeVar("T")

_SECOND: Final = 1_000_000_000
_WAITS: Final = (70_000_000, 400_000_000, 600_000_000, 3 * _SECOND, 12 * _SECOND, 31 * _SECOND, 70 * _SECOND)
_LONG: Final = (130 * _SECOND, 1000 * _SECOND, 1, 4_000_000)
_REMEMBERED: Final = 12
"Frames that later ones may repeat, answer or complain about."
_TIMEOUTS: Final = (
    SetTimeouts(Timeouts(**{state: getattr(Timeouts(), state) / 10 for state in STATES})),
    SetTimeouts(Timeouts(**{state: getattr(Timeouts(), state) * 7 for state in STATES})),
    SetTimeouts(Timeouts(**dict.fromkeys(STATES, 1.0))),  # so short that every packet is noted
)
_BACK: Final = (1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 7, 9, 12)
_CLIENT: Final = mac_bytes(CLIENT_MAC)
_PLAIN: Final = Choices(b"")
"Every choice is the plainest."
_LEAST: Final = 14
"Bytes of the shortest frame that the kernel runs a program on."


class Session:
    def __init__(self, runner: Runner, choices: Choices) -> None:
        self.runner = runner
        self.services = worlds.services(choices)
        self.arrived: list[Send] = []
        self.good: list[Send] = []
        "Of those, what was for a real server, or from one: a flow that is worth going on with."
        self.left: list[bytes] = []
        "Packets on their way to servers under NAT, or to clients, as the director sent them."
        timeouts = choices.of((None, *_TIMEOUTS))
        if timeouts is not None:
            self.run(timeouts)
        self.run(Configure(self.services))

    def run(self, step: Step) -> None:
        decision = self.runner.run(step)
        if decision is None or not isinstance(step, Send):
            return
        self.arrived = [*self.arrived[-_REMEMBERED:], step]
        if decision.server:
            self.good = [*self.good[-_REMEMBERED:], step]
        if "nat" in decision.outcome:
            ethernet = decision.egress is not None or has_ethernet(step.port)
            self.left = [*self.left[-_REMEMBERED:], decision.frame[14 * ethernet :]]

    def step(self, choices: Choices) -> None:
        for step in choices.of(_STEPS)(self, choices):
            self.run(step)

    def plain(self, port: str, packet: bytes) -> Send:
        return self.frame(_PLAIN, port, packet)

    def frame(self, choices: Choices, port: str, packet: bytes) -> Send:
        kind = b"\x08\0" if packet and packet[0] >> 4 == 4 else b"\x86\xdd"
        frame = PORTS[port].mac + _CLIENT + kind + packet
        if choices.one_in(6):
            frame = mutated(choices, frame)
        elif choices.one_in(3):
            frame = frame.ljust(60, b"\0")
        if not has_ethernet(port):
            frame = frame[14:].ljust(_LEAST, b"\0")
        return Send(port, frame)

    @property
    def endpoints(self) -> list[Endpoint]:
        return [service.listen[0] for service in self.services]


def client(session: Session, choices: Choices) -> Iterator[Step]:
    packet = packets.from_client(choices, session.endpoints)
    yield session.frame(choices, choices.of(("out", "out", "out", "in", "side", "line")), packet)


def server(session: Session, choices: Choices) -> Iterator[Step]:
    """The server answers what reached it."""
    if not session.left:
        yield from client(session, choices)
        return
    packet = packets.answer(choices, _recent(choices, session.left))
    yield session.frame(choices, choices.of(("in", "in", "in", "out", "side", "line")), packet)


def again(session: Session, choices: Choices) -> Iterator[Step]:
    if not session.arrived:
        yield from client(session, choices)
        return
    old = _recent(choices, session.arrived)
    yield replace(old, frame=mutated(choices, old.frame)) if choices.one_in(2) else old


def continued(session: Session, choices: Choices) -> Iterator[Step]:
    """The same flow with other flags: the next segment of a client or server."""
    if not session.good:
        yield from client(session, choices)
        return
    old = _recent(choices, session.good)
    yield session.frame(choices, old.port, packets.continued(choices, packet_of(*_sent(old))))


def part(session: Session, choices: Choices) -> Iterator[Step]:
    """One fragment, or the first and a later one, of a flow that went on."""
    if not session.good:
        yield from client(session, choices)
        return
    old = _recent(choices, session.good)
    for first in choices.of(((True, False), (False,), (True,), (True, False))):
        yield session.frame(choices, old.port, packets.part(choices, packet_of(*_sent(old)), first))


def elsewhere(session: Session, choices: Choices) -> Iterator[Step]:
    if not session.good:
        yield from client(session, choices)
        return
    old = _recent(choices, session.good)
    yield session.frame(choices, old.port, packets.elsewhere(choices, packet_of(*_sent(old)), session.endpoints))


def error(session: Session, choices: Choices) -> Iterator[Step]:
    """About a packet as it left, as it came, or about the answer to one."""
    known = choices.of((session.left, [packet_of(*_sent(old)) for old in session.good]))
    if not known:
        yield from client(session, choices)
        return
    packet = packets.about(choices, _recent(choices, known), choices.one_in(2))
    yield session.frame(choices, choices.of(("in", "out", "side", "line")), packet)


def stray(session: Session, choices: Choices) -> Iterator[Step]:
    packet = choices.of((packets.stray, packets.from_server))(choices)
    yield session.frame(choices, choices.of(("out", "in", "line")), packet)


def wait(_session: Session, choices: Choices) -> Iterator[Step]:
    yield Wait(choices.of((*_WAITS, *_LONG)))


def change(session: Session, choices: Choices) -> Iterator[Step]:
    """The operator changes something; what was known goes on, or begins to end."""
    session.services = worlds.changed(choices, session.services)
    yield Configure(session.services)
    for _ in range(choices.below(3)):
        yield from choices.of((continued, part))(session, choices)


def sweep(_session: Session, choices: Choices) -> Iterator[Step]:
    yield Sweep() if choices.one_in(2) else Collect()


def neighbour(session: Session, choices: Choices) -> Iterator[Step]:
    family = choices.of(worlds.FAMILIES)
    address = choices.of((worlds.SERVERS[family][0], worlds.SERVERS[family][1], packets.CLIENTS[family][0]))
    yield Neighbour(address, known=address in session.runner.forgotten)


def attach(_session: Session, choices: Choices) -> Iterator[Step]:
    every = ("out", "in", "side", "line")
    attached = choices.of((every, every, every, ("out", "in"), ("out", "side"), ("in", "side"), ("out", "in", "line")))
    redirect = choices.of((("out", "in"), ("out", "in", "side"), ("out",), ()))
    yield Attach(attached, tuple(name for name in redirect if name in attached))


def _sent(step: Send) -> tuple[str, bytes]:
    return step.port, step.frame


def _recent(choices: Choices, of: list[T]) -> T:
    """The last first."""
    return of[-min(choices.of(_BACK), len(of))]


_STEPS: Final[tuple[Callable[[Session, Choices], Iterator[Step]], ...]] = (
    *(client,) * 11,
    *(continued,) * 9,
    *(server,) * 6,
    *(error,) * 6,
    *(elsewhere,) * 4,
    *(part,) * 4,
    *(again,) * 4,
    *(wait,) * 3,
    *(change,) * 5,
    *(stray,) * 2,
    *(lives.life,) * 8,
    *(lives.moved,) * 4,
    lives.narrow,
    *(lives.forgotten,) * 2,
    *(lives.complaint,) * 2,
    lives.crowd,
    sweep,
    neighbour,
    attach,
)
