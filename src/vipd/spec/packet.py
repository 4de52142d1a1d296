"""The packet in hand, and what the stages tell each other about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from vipd.spec.configuration import TICK, Configuration
from vipd.spec.reason import Reason, Rule
from vipd.spec.routes import Routes
from vipd.spec.state import Draft, Entry, Flow, ReplyEntry, Traffic
from vipd.wire.headers import Network, TcpAt, UdpAt


class Ingress(NamedTuple):
    """Where a packet came in."""

    ifindex: int
    ethernet: bool = True
    "False: a point-to-point device, whose packets begin with their IP header."


class Part(Enum):
    """Which part of a datagram the packet is."""

    WHOLE = "whole"
    FIRST = "first fragment"
    "Has the ports."
    LATER = "later fragment"
    "Has none."


class Link(NamedTuple):
    """An Ethernet header."""

    destination: bytes
    source: bytes
    type: int


@dataclass(slots=True)
class Journey:
    """Filled from top to bottom, one block by each stage."""

    configuration: Configuration
    draft: Draft
    routes: Routes
    ingress: Ingress
    now: int
    "Nanoseconds of the data plane's clock."
    link: Link | None
    "None on a device without Ethernet headers."
    packet: bytearray
    "From the IP header on, Ethernet's padding included."
    events: list[str] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)

    # parse
    to_vip: bool = False
    "The destination may be a VIP: see Configuration.concerns_us."
    network: Network = field(init=False)
    flow: Flow = field(init=False)
    offset: int = 0
    "Where the transport header is."
    part: Part = Part.WHOLE
    identification: int = 0
    "Of a fragment's datagram."
    tcp: TcpAt | None = None
    udp: UdpAt | None = None
    segment: str = "ack"
    "The TCP flag that decides: rst, syn, fin or ack, in this order. A datagram counts as ack."
    may_begin: bool = False
    "It may make a connection."
    odd_flags: bool = False
    is_icmp: bool = False
    "ICMP or ICMPv6."

    # lookup
    hash: int = 0
    known: Entry | ReplyEntry | None = None
    removed: bool = False
    "The connection's server is gone, and the client is to know."
    noted: bool = False
    "A reply whose client's entry was just looked at."

    # lookup, schedule
    server: int = 0
    service: int = 0
    is_reply: bool = False
    service_port: int = 0
    "Of a reply, the port that the client knows."

    # forward, answer
    egress: int | None = None

    @property
    def tick(self) -> int:
        return self.now // TICK

    def because(self, rule: Rule, **facts: object) -> None:
        self.reasons.append(Reason(rule, facts))

    def happened(self, event: str) -> None:
        self.events.append(event)

    def count(self, server: int, **by: int) -> None:
        """Add to a server's traffic."""
        now = self.draft.traffic.get(server) or Traffic()
        self.draft.traffic.put(server, now._replace(**{name: getattr(now, name) + n for name, n in by.items()}))
