"""A fleet of directors by the specification, packet by packet: what the simulation is held against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from tests.support.oracle import Alone
from tests.support.oracle.network import PORTS
from tests.support.oracle.wanted import Wanted
from vipd.control import Drain
from vipd.model.director import Address, Endpoint, Method, VirtualService
from vipd.model.keys import hash_keys
from vipd.simulation.casting import Member
from vipd.simulation.changes import Situation
from vipd.spec import Decision
from vipd.spec.configuration import TICK, Keys
from vipd.spec.state import Entry, Flow, Load
from vipd.wire import ip
from vipd.wire.transport import ACK, FIN, SYN, Tcp, Udp

START: Final = 20_000 * TICK
_MAC: Final = bytes.fromhex("020000000c07")


@dataclass(slots=True)
class Talk:
    """One flow, as its client sees it."""

    client: Address
    port: int
    vip: Address
    service_port: int
    tcp: bool
    start: int
    end: int
    spread: int
    "The router's hash."
    server: Member | None = None
    over: str = ""
    "Why its client gave up: an outcome, or `broken`."
    told_at: list[tuple[Member | None, str]] = field(default_factory=list)
    "At the end of each act: its server, and why it is over."

    @property
    def flow(self) -> Flow:
        return Flow(self.client, self.port, self.vip, self.service_port, ip.TCP if self.tcp else ip.UDP)


class Told(Alone):
    """One director of the fleet, with a secret of its own or a shared one."""

    def __init__(self, secret: bytes, buckets: int) -> None:
        client, flow = hash_keys(secret)
        super().__init__(buckets, keys=Keys((client[0], client[1]), tuple(flow)))
        self._wanted = Wanted(frozenset(), secret)
        self.table_full = 0

    def packet(self, talk: Talk, flags: int, back: Member | None = None) -> Decision:
        """From the talk's client, or back from a server."""
        frame = _frame(talk, flags, back)
        decision = self.send("in" if back else "out", frame)
        self.table_full += "table_full" in decision.events
        return decision

    def member(self, decision: Decision) -> Member | None:
        server = self.configuration.servers.get(decision.server)
        return Member(server.address, server.port, server.method or Method.NAT) if server else None


def _frame(talk: Talk, flags: int, back: Member | None) -> bytes:
    source, destination, ports = talk.client, talk.vip, (talk.port, talk.service_port)
    if back:
        source, destination, ports = back.address, talk.client, (back.port or talk.service_port, talk.port)
    inner = Tcp(*ports, flags) if talk.tcp else Udp(*ports)
    payload = inner.encode(source, destination)
    packet = ip.build(source, destination, ip.TCP if talk.tcp else ip.UDP, payload)
    kind = (0x0800 if source.version == 4 else 0x86DD).to_bytes(2, "big")
    return PORTS["in" if back else "out"].mac + _MAC + kind + packet.encode()


class Directors:
    """Begin, go on, end: every packet goes to the director that the router names."""

    def __init__(self, first: Situation, secrets: Mapping[int, bytes], buckets: int = 64) -> None:
        self._secrets, self._buckets = secrets, buckets
        self.each: dict[int, Told] = {}
        self._now = START
        self.situation = first
        self.change(first)

    def change(self, situation: Situation) -> None:
        self.situation = situation
        for number in [number for number in self.each if number not in situation.fleet.members]:
            del self.each[number]
        for number in situation.fleet.members:
            if number not in self.each:
                self.each[number] = Told(self._secrets[number], self._buckets)
                self.each[number].now = self._now
                self.each[number].set_timeouts(situation.director.timeouts)
            self.each[number].collect()
            self.each[number].configure([_drained(each, situation.drained) for each in situation.director.services])

    def at(self, ms: int) -> None:
        self._now = START + ms * 1_000_000
        for director in self.each.values():
            director.now = self._now
            director.sweep()

    def director(self, talk: Talk) -> Told:
        return self.each[int(self.situation.fleet.route(np.array([talk.spread], np.uint32))[0])]

    def begin(self, talk: Talk) -> None:
        director = self.director(talk)
        decision = director.packet(talk, SYN)
        self._note(talk, director, decision)
        if not talk.over and talk.tcp:
            if talk.server and talk.server.method is Method.NAT:
                director.packet(talk, SYN | ACK, talk.server)
            director.packet(talk, ACK)

    def goes_on(self, talk: Talk) -> None:
        """A packet from the middle."""
        if not talk.over:
            director = self.director(talk)
            self._note(talk, director, director.packet(talk, ACK))

    def end(self, talk: Talk) -> None:
        if talk.over:
            return
        director = self.director(talk)
        known = isinstance(director.state.connections.get(talk.flow), Entry)
        self._note(talk, director, director.packet(talk, FIN | ACK if talk.tcp else ACK))
        if talk.tcp and known and talk.server and not talk.over:
            if talk.server.method is Method.NAT:
                director.packet(talk, FIN | ACK, talk.server)
            director.packet(talk, ACK)

    def _note(self, talk: Talk, director: Told, decision: Decision) -> None:
        member = director.member(decision)
        if decision.outcome.startswith("reply_"):
            talk.over = decision.outcome
            return
        assert member is not None, (decision.outcome, talk)
        if talk.tcp and talk.server is not None and member != talk.server and "stateless" in decision.events:
            talk.over = "broken"
            return
        talk.server = member

    def loads(self, number: int, endpoint: Endpoint) -> dict[Member, Load]:
        """What one director counts for the servers of one endpoint, those with connections."""
        director = self.each[number]
        service = next(n for n, each in director.configuration.services.items() if each.endpoint == endpoint)
        return {
            Member(server.address, server.port, server.method or Method.NAT): load
            for n, server in director.configuration.servers.items()
            if server.service == service and any(load := director.state.loads.get(n) or Load())
        }


def _drained(service: VirtualService, drained: frozenset[Drain]) -> VirtualService:
    servers = tuple(
        replace(each, weight=0) if (service.name, each.address, each.port) in drained else each
        for each in service.servers
    )
    return replace(service, servers=servers)


def play(
    directors: Directors, talks: Sequence[Talk], changes: Sequence[tuple[int, Situation]], end: int
) -> Iterator[int]:
    """All of it in the order of time; yields the number of each act at its end."""
    agenda = [(talk.start, 2, n) for n, talk in enumerate(talks)]
    agenda += [(talk.end, 0, n) for n, talk in enumerate(talks) if talk.tcp or talk.end > talk.start]
    agenda += [(moment, 1, n) for n, (moment, _) in enumerate(changes)]
    for moment, kind, number in sorted(agenda):
        if moment > end:
            break
        directors.at(moment)
        if kind == 0:
            directors.end(talks[number])
        elif kind == 2:
            directors.begin(talks[number])
        else:
            open_now = [talk for talk in talks if talk.start < moment < talk.end]
            for talk in open_now:
                directors.goes_on(talk)
            yield number
            directors.change(changes[number][1])
            for talk in open_now:
                directors.goes_on(talk)
    directors.at(end)
    yield len(changes)
