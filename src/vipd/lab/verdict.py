"""What one combination of method, transport and family showed, and whether it is right. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vipd.lab.frames import Paths, Sighting
from vipd.lab.topology import Service, Topology, ends_of
from vipd.model.director import Method


@dataclass(frozen=True, slots=True)
class Observed:
    """`forwarded` is the director's count of new connections by server, `packets_out` its count of
    replies that passed through it, `replies_seen` how many left it on the wire."""

    service: Service
    family: int
    sent: int
    answered: int
    servers: Mapping[str, int]
    clients: Mapping[str, int]
    errors: Mapping[str, int]
    forwarded: Mapping[str, int]
    packets_out: int
    replies_seen: int
    paths: Paths


@dataclass(frozen=True, slots=True)
class Across:
    line: str
    refusal: str
    "What `vipd check` says to direct routing over the line."
    frames: tuple[str, ...]
    "Some of those on the line, one of each kind, as `vipd frame decode` shows them."
    bits: str
    "One of them in full, with its flags and stuffed bits."
    seen: int
    "Frames on the line in all."
    carried: int
    "Those that took requests to the server at its end."
    routed: int
    "Packets that the director counts as left to the kernel, which has no other way to send them."


def problems(topology: Topology, seen: Observed) -> Iterator[str]:
    """Everything that is not as it must be."""
    if seen.answered != seen.sent:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(seen.errors.items()))
        yield f"{seen.sent - seen.answered} of {seen.sent} requests were lost ({kinds})"
    yield from _balance(topology, seen)
    client = str(topology.address(topology.client, seen.family))
    strangers = sorted(seen.clients.keys() - {client})
    if strangers:
        yield f"servers saw {', '.join(strangers)} instead of the client's {client}"
    yield from _replies(seen)
    yield from _way(topology, seen.paths, seen.service.method)


def _balance(topology: Topology, seen: Observed) -> Iterator[str]:
    """rr in turn: each server gets its share, rounded down or up."""
    names = [host.name for host in topology.servers]
    share = seen.sent // len(names)
    for name in names:
        got = seen.servers.get(name, 0)
        if not share <= got <= share + 1:
            yield f"{name} answered {got} of {seen.sent} requests; its share in turn is {share} to {share + 1}"
        if seen.forwarded.get(name, 0) != got:
            yield f"{name} answered {got} connections, the director counted {seen.forwarded.get(name, 0)}"


def _replies(seen: Observed) -> Iterator[str]:
    if seen.service.method is Method.NAT:
        if not seen.packets_out:
            yield "no reply passed through the director, although NAT must rewrite each"
    elif seen.packets_out:
        yield f"{seen.packets_out} replies passed through the director, although servers answer directly"
    if seen.packets_out != seen.replies_seen:
        yield f"the director counted {seen.packets_out} replies, {seen.replies_seen} left it on the wire"


def _way(topology: Topology, paths: Paths, method: Method) -> Iterator[str]:
    there, back = [hop.sender for hop in paths.there], [hop.sender for hop in paths.back]
    director, client = topology.director.name, topology.client.name
    servers = {host.name for host in topology.servers}
    if not there or there[0] != client or director not in there or paths.there[-1].receiver not in servers:
        yield f"a request went by {_named(paths.there)} instead of by the director to a server"
    if not back or back[0] not in servers or paths.back[-1].receiver != client:
        yield f"a reply went by {_named(paths.back)} instead of from a server to the client"
    if (director in back) is not (method is Method.NAT):
        yield f"a reply went by {_named(paths.back)}, which is not the way of {method}"
    if topology.lines and not any(crosses(topology, hop) for hop in paths.there):
        yield f"no request went over a line, but by {_named(paths.there)}"


def crosses(topology: Topology, hop: Sighting) -> bool:
    """Whether it is a line that joins the two hosts."""
    return any({hop.sender, hop.receiver} == {host.name for host in ends_of(topology, line)} for line in topology.lines)


def problems_across(across: Across) -> Iterator[str]:
    if "point-to-point link" not in across.refusal:
        yield f"direct routing over the line is not refused: {across.refusal or 'nothing is said'}"
    if not across.carried:
        yield f"no request went over {across.line}"
    elif across.carried != across.routed:
        yield f"the director left {across.routed} packets for the line to the kernel, {across.carried} went over it"


def _named(hops: tuple[Any, ...]) -> str:
    return " → ".join([hop.sender for hop in hops] + [hop.receiver for hop in hops[-1:]]) or "nowhere"


def across_as_data(topology: Topology, across: Across) -> dict[str, Any]:
    return {"topology": topology.name, **asdict(across), "problems": list(problems_across(across))}


def as_data(topology: Topology, seen: Observed) -> dict[str, Any]:
    """One object of `vipd demo --json`."""
    client = str(topology.address(topology.client, seen.family))
    return {
        "topology": topology.name,
        "method": seen.service.method.value,
        "family": f"ipv{seen.family}",
        "transport": seen.service.transport.value,
        "sent": seen.sent,
        "answered": seen.answered,
        "servers": dict(sorted(seen.servers.items())),
        "client_address_seen": set(seen.clients) == {client},
        "replies_through_director": seen.packets_out > 0,
        "reply_packets_through_director": seen.packets_out,
        "errors": dict(seen.errors),
        "problems": list(problems(topology, seen)),
    }
