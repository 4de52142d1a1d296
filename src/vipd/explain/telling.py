"""A walk in sentences under headings, for people: the rules' own, and what one wants to know beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from vipd.anatomy.show import count
from vipd.explain.advice import advice
from vipd.explain.scene import Scene
from vipd.explain.shown import shown, shown_packet
from vipd.explain.walk import (
    Part,
    Walk,
    last_heard,
    method_text,
    parts,
    seconds_left,
    sentence,
    server_of,
    server_text,
    service_of,
)
from vipd.model.director import with_port
from vipd.model.outcome import EVENTS, OUTCOMES, Action
from vipd.spec import parse, schedule
from vipd.spec.state import Entry, ReplyEntry
from vipd.spec.tcp import ACTIVE
from vipd.wire.headers import Network, read_network
from vipd.wire.tunnel import OVERHEAD

_TOLD_BY_TABLE: Final = {schedule.COUNTED, schedule.PASSED_OVER}
_IN_WORDS: Final = {"connection_new", "connection_reused", "connection_expired", "next_hop_refreshed", "mss_clamped"}
"Events that some rule has told of."


@dataclass(frozen=True, slots=True)
class Told:
    heading: str
    lines: tuple[str, ...]
    candidates: bool = False
    "A table of servers belongs in front."


def told(done: Walk, scene: Scene, now: int) -> Iterator[Told]:
    """In the order of the way; the outcome comes last."""
    told_better = done.has("parse.tcp", "parse.udp", "parse.icmp")
    silent = _TOLD_BY_TABLE | ({parse.CONCERNS} if told_better else set())
    headings: set[str] = set()
    for part in parts(done):
        lines = [sentence(reason, scene) for reason in part.reasons if reason.rule not in silent]
        counted = any(reason.rule is schedule.COUNTED for reason in part.reasons)
        more = () if part.heading in headings else _more(part, done, scene, now)
        headings.add(part.heading)
        yield Told(part.heading, (*lines, *more), counted)
    yield Told("outcome", tuple(_end(done)))
    if found := list(advice(done, scene)):
        yield Told("what next", tuple(found))


def _more(part: Part, done: Walk, scene: Scene, now: int) -> Iterator[str]:
    match part.heading:
        case "packet":
            yield from _packet(done)
        case "connection":
            yield from _connection(done, scene, now)
        case "error":
            yield from _of_service(done, scene)
        case "service":
            yield from _service(done, scene)
        case "server":
            yield from _server(done, scene)
        case "remembered":
            yield from _remembered(done, now)
        case "way":
            yield from _fits(done)
        case _:
            pass


def _packet(done: Walk) -> Iterator[str]:
    packet = done.packet
    network = _network(done.came)
    if network is not None and done.has("parse.concerns_us"):
        yield f"{count(network.length, 'byte')}, time to live {network.ttl}"
    else:
        yield f"{count(len(packet.frame), 'byte')} of {'packet' if done.came_bare else 'frame'}"
    yield from packet.notes


def _network(packet: bytes) -> Network | None:
    version = packet[0] >> 4 if packet else 0
    return read_network(packet, version) if version in (4, 6) else None


def _connection(done: Walk, scene: Scene, now: int) -> Iterator[str]:
    before = done.before
    if isinstance(before, ReplyEntry):
        before = done.tables.connections.get(before.client)
    if done.is_known:
        yield from _of_service(done, scene)
    if isinstance(before, Entry) and done.is_known:
        counts = "active" if before.state in ACTIVE else "inactive"
        left, heard = seconds_left(before, now), last_heard(before, scene, now)
        yield f"before this packet: {before.state} ({counts}), last heard of {heard:.1f} s ago, {left:.1f} s left"


def _of_service(done: Walk, scene: Scene) -> Iterator[str]:
    """Whose connection it is, where no service was looked for."""
    if (service := service_of(done, scene)) is not None:
        called, at = scene.names.service(service.endpoint), str(service.endpoint)
        yield f"of the service {at}" if called == at else f"of the service {called}, {at}"


def _service(done: Walk, scene: Scene) -> Iterator[str]:
    service = service_of(done, scene)
    if service is None or not done.has("admit.service"):
        return
    servers = [each for each in scene.configuration.servers.values() if each.service == done.decision.service]
    ready = sum(each.weight > 0 and each.removed is None for each in servers)
    called = scene.names.service(service.endpoint)
    name = f"{called}: " if called != str(service.endpoint) else ""
    there = count(len(servers), "server")
    yield f"{name}scheduler {service.scheduler}, {there}; new connections go to {ready or 'none'}"
    yield from _others(done, scene)


def _others(done: Walk, scene: Scene) -> Iterator[str]:
    """Why not another service: on this port, others may listen too, which come behind."""
    mine = scene.configuration.services[done.decision.service].endpoint
    flow = done.flow
    if flow is None:
        return
    for service in scene.configuration.services.values():
        other = service.endpoint
        same = service.listening and (other.vip, other.transport) == (mine.vip, mine.transport) and other != mine
        if same and other.first_port <= flow.destination_port <= other.last_port:
            yield f"{scene.names.service(other)} listens on {other} too; the narrower goes first"


def _server(done: Walk, scene: Scene) -> Iterator[str]:
    server, service = server_of(done, scene), service_of(done, scene)
    if server is None or service is None:
        return
    for reason in done.about("schedule.turn"):
        following = service.slots[(int(str(reason.facts["turn"])) + 1) % len(service.slots)]
        # A running director's slots may be others by now.
        if (then := scene.configuration.servers.get(following)) is not None:
            yield f"the next connection gets {server_text(then)}"
    if done.has("schedule.hashed", "schedule.consistent") and not scene.secret_known:
        yield "the director's secret is not at hand: with it, the hash points elsewhere"
    yield f"chosen: {server_text(server)} by {method_text(server)}, weight {server.weight}"


def _remembered(done: Walk, now: int) -> Iterator[str]:
    after = done.after
    if isinstance(after, Entry):
        left = seconds_left(after, now)
        yield f"for {left:.0f} s, unless more is heard of it" + (", with an entry for replies" if after.reply else "")


def _fits(done: Walk) -> Iterator[str]:
    """The verdict on the size; where it does not fit, a rule of its own has said so."""
    if done.decision.action not in (Action.FORWARD, Action.ROUTE) or done.has("leave.too_big", "leave.fragmented"):
        return
    mtu = next((int(str(each.facts["mtu"])) for each in done.about("next_hop.asked", "next_hop.cached")), 0)
    network = _network(done.left)
    if network is None or not mtu:
        return
    outer = ""
    if done.has("tunnel.outer"):
        overhead = OVERHEAD[network.version]
        outer = f"{network.length - overhead} bytes and {overhead} of an outer header, "
    yield f"{outer}{network.length} bytes fit into {mtu}"


def _end(done: Walk) -> Iterator[str]:
    yield OUTCOMES[done.decision.outcome]
    yield from (EVENTS[event] for event in dict.fromkeys(done.decision.events) if event not in _IN_WORDS)
    yield f"counted: {', '.join([done.decision.outcome, *done.decision.events])}"


def headline(done: Walk, scene: Scene) -> str:
    """The packet and its end in one line."""
    where = ""
    server = server_of(done, scene)
    if done.decision.action in (Action.FORWARD, Action.ROUTE) and server is not None:
        whose = "from" if done.has("lookup.reply", "admit.stateless") else "to"
        where += f", {whose} {server_text(server)} by {method_text(server)}"
    if done.decision.egress is not None:
        where += f", out of {scene.names.interface(done.decision.egress)}"
    return f"{packet_text(done)}: {done.decision.outcome}{where}"


def packet_text(done: Walk) -> str:
    flow = done.flow
    if flow is None:
        return shown_packet(done.came) if done.came_bare else shown(done.packet.frame)
    ends = f"{with_port(flow.source, flow.source_port)} > {with_port(flow.destination, flow.destination_port)}"
    flags = next((f" {reason.facts['flags']}" for reason in done.about("parse.tcp")), "")
    return f"{'TCP' if flags else 'UDP'}{flags} {ends}"
