"""What a tracer asks for, what it is told of a packet, and that in words. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from vipd.model.director import Address, Endpoint, Method, Network, Scheduler, with_port
from vipd.model.outcome import OUTCOMES, Action, action

FRAME_BYTES: Final = 2048
"Of a frame, that are kept at the most."
CHOICE: Final[Mapping[Scheduler, str]] = MappingProxyType(
    {
        Scheduler.RR: "the next in turn",
        Scheduler.WRR: "the next in turn, by weight",
        Scheduler.LC: "fewest connections",
        Scheduler.WLC: "fewest connections for its weight",
        Scheduler.SH: "by a hash of the client's address",
        Scheduler.MH: "by consistent hash of the client's address",
    }
)
"Why a scheduler takes the server that it takes."
_PROTOCOLS: Final = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}
_PORTS: Final = {6, 17}
_ICMP: Final = {1, 58}


class Fragment(StrEnum):
    FIRST = "first"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Asked:
    """Which packets; all that are given must fit, None fits all."""

    client: Network | None = None
    "From here or to here."
    services: frozenset[Endpoint] | None = None
    servers: frozenset[Address] | None = None
    outcomes: frozenset[str] = frozenset(OUTCOMES)
    sample: int = 1
    "One of so many of those that fit."
    rate: int = 0
    "At most so many a second; 0: no limit."
    frame: int = 0
    "Bytes of each frame as it came."


@dataclass(frozen=True, slots=True)
class Flow:
    """Ports are 0 where the protocol has none, or where they were not read."""

    protocol: int
    source: Address
    source_port: int
    destination: Address
    destination_port: int

    @property
    def transport(self) -> str:
        return _PROTOCOLS.get(self.protocol, f"protocol {self.protocol}")

    def __str__(self) -> str:
        ports = self.protocol in _PORTS and (self.source_port or self.destination_port)
        source, destination = (
            (with_port(self.source, self.source_port), with_port(self.destination, self.destination_port))
            if ports
            else (str(self.source), str(self.destination))
        )
        return f"{self.transport} {source} > {destination}"


@dataclass(frozen=True, slots=True)
class Traced:
    """A packet and what became of it; what no stage came to know is None."""

    at: int
    "ns of CLOCK_MONOTONIC."
    cpu: int
    ingress: int
    "Interface number."
    outcome: str
    events: tuple[str, ...]
    "What it met on its way, in the order of outcomes.md."
    flow: Flow | None
    "As the packet came; None where it is no IP."
    segment: str | None
    "Of TCP, the flag that decides: syn, fin, rst or ack."
    fragment: Fragment | None
    known: bool
    "Of a known connection, or about one."
    about: Flow | None
    "ICMP: the known connection that it is about, as that one's packets come."
    reply: bool
    "A real server's packet to the client, under NAT."
    state: str | None
    "Of its connection, afterwards."
    service: Endpoint | None
    scheduler: Scheduler | None
    server: Address | None
    server_port: int | None
    "None: the one that the packet is for."
    method: Method | None
    local: bool
    "The server is the director itself."
    egress: int | None
    "Number of the interface that XDP sends it out of."
    source_mac: str | None
    destination_mac: str | None
    "As sent; None where XDP sends nothing on."
    length: int
    "Of IP as it came, in bytes; 0 where nobody needed to know."
    sent_length: int
    "Of the frame in the end."
    frame: bytes
    "Its first bytes as it came, as many as were asked for."
    frame_length: int
    "Of the frame as it came; 0 where none of it is kept."
    bare: bool
    "It has no Ethernet header: it begins with IP's."


@dataclass(frozen=True, slots=True)
class TraceCounts:
    """Packets since tracing began."""

    passed: int
    "All that the director saw."
    matched: int
    sampled_out: int
    limited: int
    "More than the rate allows."
    lost: int
    "There was no room for them: the reader was too slow."

    @property
    def told(self) -> int:
        return self.matched - self.sampled_out - self.limited - self.lost


def stage(traced: Traced) -> str:
    """Where in the pipeline the decision fell: parse, lookup, schedule, forward or icmp."""
    if traced.flow and traced.flow.protocol in _ICMP and traced.known:
        return "icmp"
    if traced.outcome in _BY_STAGE:
        return _BY_STAGE[traced.outcome]
    if traced.server is not None or traced.reply:
        return "forward"
    return "schedule" if traced.service is not None else "parse"


_BY_STAGE: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(
        (
            "pass_not_ip",
            "pass_other_mac",
            "pass_vlan",
            "pass_icmp",
            "pass_protocol",
            "pass_extension_header",
            "pass_early_fragment",
            "drop_malformed",
        ),
        "parse",
    )
    | dict.fromkeys(("reply_reset_server_removed", "reply_unreachable_server_removed"), "lookup")
    | dict.fromkeys(("pass_no_service", "drop_unknown_reply", "drop_collision"), "schedule")
)


def reason(traced: Traced) -> str:
    """Why this packet ended so: for one that goes on, how its server was found; else what the outcome means."""
    meaning = OUTCOMES[traced.outcome]
    if action(traced.outcome) is Action.ROUTE:
        return f"{_found(traced)}; the kernel sends it"
    if action(traced.outcome) is Action.FORWARD or traced.outcome == "pass_local_server":
        return _found(traced)
    return meaning.rstrip(".")


def _found(traced: Traced) -> str:
    """How its server, or the way back, was found."""
    later = "later fragment, " if traced.fragment is Fragment.LATER else ""
    if traced.about is not None:
        return f"about a known connection, {traced.about}"
    if "stateless" in traced.events:
        if traced.reply:
            return f"{later}reply of no known connection; its source names the service"
        why = "no room in the table" if "table_full" in traced.events else "no known connection"
        return f"{later}{why}: by consistent hash of the client"
    if "connection_new" in traced.events:
        choice = f"{traced.scheduler}: {CHOICE[traced.scheduler]}" if traced.scheduler else "scheduled"
        again = "a closing one was reused, " if "connection_reused" in traced.events else ""
        return f"{later}new connection, {again}{choice}"
    what = "reply of a known connection" if traced.reply else "known connection"
    return f"{later}{what}" + (f", {traced.state}" if traced.state else "")
