"""The packet inside another one to the real server: TUN, in all four pairings of families."""

from __future__ import annotations

from typing import Final

from vipd.model.director import Address
from vipd.spec import answer, leaving, nexthop
from vipd.spec.configuration import Server
from vipd.spec.packet import Journey
from vipd.spec.reason import rules_of
from vipd.spec.state import Hop
from vipd.wire import headers, tunnel

_MTU: Final = 1500
"Where the kernel does not tell one."
_TCP_HEADER: Final = 20

_rule = rules_of("tunnel")
TOO_BIG = _rule(
    "too_big",
    "{length} bytes and {overhead} of an outer header do not fit into {mtu}: never in silence",
    "RFC 2003 5.1, RFC 2473 7.1, docs/lvs.md, packet too large for the tunnel",
)
CLAMPED = _rule(
    "clamped",
    "a SYN that offers segments of {offered} bytes: {limit} fit into the tunnel",
    "RFC 9293 3.7.1, RFC 4459 3.2",
)
OUTER = _rule(
    "outer",
    "into a packet from {source} to {server}; DSCP and ECN are copied",
    "RFC 2003 3.1, RFC 4213 3.5, RFC 2473 6, RFC 6040 4.1",
)


def forward_tun(journey: Journey, server: Server, hop: Hop) -> str:
    if hop.kind == nexthop.NO_ROUTE:
        journey.because(leaving.NO_ROUTE)
        return "drop_no_route"
    if leaving.ttl_ends(journey):
        return answer.time_exceeded(journey)
    overhead, mtu = tunnel.OVERHEAD[server.address.version], hop.mtu or _MTU
    if journey.network.length + overhead > mtu:
        journey.because(TOO_BIG, length=journey.network.length, overhead=overhead, mtu=mtu)
        return answer.too_big(journey, mtu - overhead)
    _clamp(journey, mtu - overhead - _TCP_HEADER - tunnel.OVERHEAD[journey.network.version])
    headers.lower_ttl(journey.packet, journey.network.version)
    leaving.count_in(journey)
    source = outer_source(server, journey.hash)
    journey.because(OUTER, source=source, server=server.address)
    inner = headers.read_network(journey.packet, journey.network.version)
    assert inner is not None
    # RFC 6438: the flow label spreads as the source does.
    outer = tunnel.outer_header(inner, source, server.address, journey.hash >> 12)
    journey.packet[:0] = outer
    return leaving.leave(journey, hop, server.address.version, nexthop.kind(journey, hop) != nexthop.ETHERNET, "tun")


def outer_source(server: Server, hashed: int) -> Address:
    """Spread by flow over its low bits, so that routers and receivers tell flows apart (docs/lvs.md, outer source)."""
    assert server.tunnel_source is not None
    return type(server.tunnel_source)(int(server.tunnel_source) | hashed & (1 << server.tunnel_source_bits) - 1)


def _clamp(journey: Journey, limit: int) -> None:
    """What a SYN or SYN-ACK offers is bounded; one that offers nothing is left alone."""
    service = journey.configuration.services[journey.service]
    if journey.tcp is None or journey.segment != "syn" or not service.clamp_mss or limit <= 0:
        return
    offered = headers.lower_mss(journey.packet, journey.offset, limit)
    if offered is not None:
        journey.because(CLAMPED, offered=offered, limit=limit)
        journey.happened("mss_clamped")
