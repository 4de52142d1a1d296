"""What every way out shares: the TTL, the next hop's MAC addresses, XDP or the kernel, the count of traffic."""

from __future__ import annotations

from vipd.model.outcome import Action, action
from vipd.spec.packet import Journey, Link
from vipd.spec.reason import rules_of
from vipd.spec.state import Hop
from vipd.wire import headers
from vipd.wire.ethernet import IP_TYPES, mac_text

_rule = rules_of("leave")
NO_ROUTE = _rule("no_route", "there is no route", "RFC 1812 5.2.4")
TTL = _rule("ttl", "its time to live is {ttl}: it ends here", "RFC 1812 5.3.1, RFC 8200 3")
TOO_BIG = _rule("too_big", "{length} bytes do not fit into {mtu}, and may not be fragmented", "RFC 1191 4, RFC 8200 5")
FRAGMENTED = _rule(
    "fragmented",
    "{length} bytes do not fit into {mtu}: the kernel sends them in fragments",
    "RFC 791 3.2, RFC 1812 5.2.7",
)
BY_KERNEL = _rule(
    "by_kernel",
    "XDP cannot send it: rewritten, and left to the kernel to route",
    "ARCHITECTURE.md, the next hop is cached",
)
MISREAD = _rule(
    "misread",
    "without Ethernet the kernel would take IPv{version} for the packet's former version: its first bytes look alike",
    "ARCHITECTURE.md, links without Ethernet",
)
SENT = _rule("sent", "out of interface {ifindex}, to {mac}", "ARCHITECTURE.md, the next hop is cached")


def is_misread(journey: Journey, came: bytes, outcome: str) -> bool:
    """On a device without Ethernet the kernel learns of another version of IP by what it takes for a header of
    Ethernet: whether it is for a group, which is the first byte's lowest bit, and the type, bytes 12 and 13.
    """
    gone = journey.link is not None or action(outcome) in (Action.DROP, Action.PASS)
    if gone or came[0] >> 4 == journey.packet[0] >> 4:
        return False
    if (came[0] ^ journey.packet[0]) & 1 or came[12:14] != journey.packet[12:14]:
        return False
    journey.because(MISREAD, version=journey.packet[0] >> 4)
    return True


def ttl_ends(journey: Journey) -> bool:
    """The director is a router: nothing leaves with a TTL of 0."""
    if journey.network.ttl > 1:
        return False
    journey.because(TTL, ttl=journey.network.ttl)
    return True


def leave(journey: Journey, hop: Hop, version: int, by_kernel: bool, what: str) -> str:
    """By XDP or, rewritten, by the kernel; `version` is that of the header in front."""
    link = journey.link
    if by_kernel:
        journey.because(BY_KERNEL)
        if link is not None:
            journey.link = link._replace(type=IP_TYPES[version])
        return f"route_{what}"
    journey.link = Link(hop.destination, hop.source, IP_TYPES[version])
    journey.egress = hop.ifindex
    journey.because(SENT, ifindex=hop.ifindex, mac=mac_text(hop.destination))
    return f"forward_{what}"


def leave_as_router(journey: Journey, hop: Hop, by_kernel: bool, what: str) -> str:
    """With one hop less to live; where the kernel sends, it lowers the TTL itself."""
    if not by_kernel:
        headers.lower_ttl(journey.packet, journey.network.version)
    return leave(journey, hop, journey.network.version, by_kernel, what)


def count_in(journey: Journey) -> None:
    """Towards the real server; bytes of IP, as they came."""
    journey.count(journey.server, packets_in=1, bytes_in=journey.network.length)


def count_out(journey: Journey) -> None:
    """Back from the real server through the director."""
    journey.count(journey.server, packets_out=1, bytes_out=journey.network.length)
