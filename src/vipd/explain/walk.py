"""A packet's way through a director, told in order: every rule that was applied, and what it was applied to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from vipd.explain.question import Packet
from vipd.explain.scene import Scene
from vipd.model.director import Method, Scheduler, with_port
from vipd.model.outcome import Action
from vipd.spec import Decision, Reason, Server, Service, decide, schedule
from vipd.spec import lookup as known
from vipd.spec.configuration import TICK
from vipd.spec.state import Entry, Flow, Load, ReplyEntry, Tables
from vipd.wire.ethernet import HEADER, IP_TYPES

_HEADINGS: Final = {
    "parse": "packet",
    "fragment": "packet",
    "lookup": "connection",
    "connection": "connection",
    "admit": "service",
    "schedule": "server",
    "remember": "remembered",
    "next_hop": "way",
    "forward": "sent",
    "tunnel": "sent",
    "leave": "sent",
    "icmp": "error",
    "answer": "answer",
}
"What each stage tells about."
_CHOSEN: Final = {schedule.LEAST, schedule.FEWEST}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server that lc or wlc might have chosen."""

    server: str
    weight: int
    active: int
    inactive: int
    overhead: int | None
    "None where it takes no new connections."
    for_its_weight: float | None
    "What wlc goes by. None for lc, which knows no weights."
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Walk:
    packet: Packet
    decision: Decision
    tables: Tables
    "Before the packet."

    def noting(self, *notes: str) -> Walk:
        """With more that was taken to be so."""
        return replace(self, packet=replace(self.packet, notes=(*self.packet.notes, *notes)))

    @property
    def sent(self) -> bytes:
        """The frame as it leaves; nothing where it does not, or as it came."""
        leaves = self.decision.action in (Action.FORWARD, Action.ROUTE, Action.REPLY)
        return self.decision.frame if leaves else b""

    @property
    def came_bare(self) -> bool:
        """The frame begins with its IP header."""
        return not self.packet.ingress.ethernet

    @property
    def sent_bare(self) -> bool:
        """What the kernel is to route, and what goes back out of a device without Ethernet headers."""
        return self.came_bare and self.decision.egress in (None, self.packet.ingress.ifindex)

    @property
    def came(self) -> bytes:
        """From the IP header on."""
        return self.packet.frame if self.came_bare else self.packet.frame[HEADER:]

    @property
    def left(self) -> bytes:
        """The same of what is sent."""
        return self.sent if self.sent_bare else self.sent[HEADER:]

    @property
    def flow(self) -> Flow | None:
        return self.decision.flow

    @property
    def before(self) -> Entry | ReplyEntry | None:
        flow = self.flow
        return None if flow is None else self.tables.connections.get(flow)

    @property
    def after(self) -> Entry | ReplyEntry | None:
        flow = self.flow
        return None if flow is None else self.decision.draft.connections.get(flow)

    @property
    def is_known(self) -> bool:
        return any(reason.rule in (known.KNOWN, known.REPLY) for reason in self.decision.reasons)

    def about(self, *names: str) -> Iterator[Reason]:
        """Reasons by their rules' names (`admit.service`)."""
        return (reason for reason in self.decision.reasons if str(reason.rule) in names)

    def has(self, *names: str) -> bool:
        return any(True for _ in self.about(*names))


def candidates(done: Walk, scene: Scene) -> list[Candidate]:
    """The service's servers with what lc and wlc go by; nothing where these did not choose."""
    service = service_of(done, scene)
    if service is None or not done.has("schedule.counted"):
        return []
    looked_at, by_weight = set(service.slots), service.scheduler is Scheduler.WLC
    # With a full table, who has the packet in the end need not be who was chosen.
    chosen = [reason.facts["server"] for reason in done.decision.reasons if reason.rule in _CHOSEN]
    found = []
    for number, server in scene.configuration.servers.items():
        if server.service == done.decision.service:
            load = done.tables.loads.get(number) or Load()
            takes = number in looked_at and server.weight > 0 and server.removed is None
            overhead = load.active * 256 + load.inactive if takes else None
            each = overhead / server.weight if overhead is not None and by_weight else None
            text = with_port(server.address, server.port)
            found.append(Candidate(text, server.weight, load.active, load.inactive, overhead, each, text in chosen))
    return found


def walk(scene: Scene, packet: Packet, tables: Tables | None = None, now: int | None = None) -> Walk:
    """`tables` and `now`, where they are no longer the scene's."""
    tables = scene.tables if tables is None else tables
    now = scene.now if now is None else now
    return Walk(packet, decide(scene.configuration, tables, packet.frame, packet.ingress, now, scene.routes), tables)


@dataclass(frozen=True, slots=True)
class Part:
    """What was told under one heading."""

    heading: str
    reasons: tuple[Reason, ...]


def parts(done: Walk) -> list[Part]:
    found: list[tuple[str, list[Reason]]] = []
    for reason in done.decision.reasons:
        heading = _HEADINGS[reason.rule.stage]
        if not found or found[-1][0] != heading:
            found.append((heading, []))
        found[-1][1].append(reason)
    return [Part(heading, tuple(reasons)) for heading, reasons in found]


def sentence(reason: Reason, scene: Scene) -> str:
    """With interfaces by their names."""
    facts = dict(reason.facts)
    if isinstance(number := facts.get("ifindex"), int):
        facts["ifindex"] = scene.names.interface(number) if number else "none"
    if facts.get("mac") == "00:00:00:00:00:00":
        facts["mac"] = "unknown"
    return reason.rule.text.format_map(facts)


def framed(done: Walk) -> bytes:
    """What is sent, for a capture of Ethernet: what leaves without a header gets one of zeros."""
    sent = done.sent
    return bytes(12) + IP_TYPES[sent[0] >> 4].to_bytes(2, "big") + sent if sent and done.sent_bare else sent


def service_of(done: Walk, scene: Scene) -> Service | None:
    return scene.configuration.services.get(done.decision.service)


def server_of(done: Walk, scene: Scene) -> Server | None:
    return scene.configuration.servers.get(done.decision.server)


def server_text(server: Server) -> str:
    return with_port(server.address, server.port if server.method is Method.NAT else None)


def method_text(server: Server) -> str:
    return "local" if server.method is None else str(server.method)


def seconds_left(entry: Entry, now: int) -> float:
    return (entry.expires - now // TICK) * TICK / 1e9


def last_heard(entry: Entry, scene: Scene, now: int) -> float:
    """Seconds since expiry was last written: at most half a second less than since its last packet."""
    lifetime: float = getattr(scene.configuration.timeouts, entry.state)
    return max(0.0, lifetime - seconds_left(entry, now))
