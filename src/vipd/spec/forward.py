"""To the real server by its method, and back to the client under NAT. The last stage."""

from __future__ import annotations

from vipd.model.director import Address, Method
from vipd.spec import answer, leaving, nexthop, tunnelling
from vipd.spec.configuration import Server
from vipd.spec.packet import Journey
from vipd.spec.reason import rules_of
from vipd.spec.state import Hop
from vipd.wire import headers

_rule = rules_of("forward")
LOCAL = _rule(
    "local",
    "the server {server} is the director itself: the kernel takes the packet",
    "LVS, ip_vs_xmit.c ip_vs_null_xmit: local node",
)
DR = _rule(
    "dr", "direct routing: only the MAC addresses change", "docs/lvs.md, TTL: a bridge does not count as a router"
)
DR_GATEWAY = _rule(
    "dr_gateway",
    "direct routing over a router, which would send the packet back: its destination is the VIP",
    "linuxvirtualserver.org, VS-DRouting: director and servers share a segment",
)
DR_NO_MAC = _rule(
    "dr_no_mac",
    "direct routing, but XDP has no MAC address to send to",
    "linuxvirtualserver.org, VS-DRouting: director and servers share a segment",
)
UNRESOLVED = _rule("unresolved", "the server's MAC address is not known (yet)", "RFC 826, RFC 4861 7.2")
NAT = _rule("nat", "NAT: the destination becomes {server} port {port}", "RFC 3022 4.1; LVS, ip_vs_xmit.c")
NAT_REPLY = _rule("nat_reply", "NAT: the source becomes the VIP {vip} port {port}", "RFC 3022 4.1; LVS, ip_vs_core.c")


def forward(journey: Journey) -> str:
    if journey.is_reply:
        return _reply(journey)
    server = journey.configuration.servers[journey.server]
    if server.method is None:
        journey.because(LOCAL, server=server.address)
        leaving.count_in(journey)
        return "pass_local_server"
    hop = nexthop.of_server(journey, server)
    match server.method:
        case Method.DR:
            return forward_dr(journey, hop)
        case Method.NAT:
            return _nat(journey, server, hop)
        case Method.TUN:
            return tunnelling.forward_tun(journey, server, hop)


def forward_dr(journey: Journey, hop: Hop) -> str:
    kind = nexthop.kind(journey, hop)
    if kind == nexthop.UNRESOLVED:
        journey.because(UNRESOLVED)
        return "drop_neighbour_unresolved"
    if kind == nexthop.KERNEL:
        journey.because(DR_NO_MAC)
        return "drop_no_ethernet"
    if kind == nexthop.NO_ROUTE or hop.gateway:
        journey.because(DR_GATEWAY if hop.gateway else leaving.NO_ROUTE)
        return "drop_no_route"
    if journey.network.length > hop.mtu:
        # Nobody fragments a frame's content on the way through a bridge.
        journey.because(leaving.TOO_BIG, length=journey.network.length, mtu=hop.mtu)
        return answer.too_big(journey, hop.mtu)
    journey.because(DR)
    leaving.count_in(journey)
    return leaving.leave(journey, hop, journey.network.version, False, "dr")


def _nat(journey: Journey, server: Server, hop: Hop) -> str:
    if hop.kind == nexthop.NO_ROUTE:
        journey.because(leaving.NO_ROUTE)
        return "drop_no_route"
    if leaving.ttl_ends(journey):
        return answer.time_exceeded(journey)
    fits, by_kernel = _fits(journey, hop)
    if not fits:
        return answer.too_big(journey, hop.mtu)
    port = server.port or journey.flow.destination_port
    journey.because(NAT, server=server.address, port=port)
    _rewrite(journey, "destination", server.address, port)
    leaving.count_in(journey)
    return leaving.leave_as_router(journey, hop, by_kernel, "nat")


def _reply(journey: Journey) -> str:
    """The kernel is the server's router: it says to it what is wrong with a reply."""
    hop = nexthop.of_client(journey)
    if hop.kind == nexthop.NO_ROUTE:
        journey.because(leaving.NO_ROUTE)
        return "drop_no_route"
    if leaving.ttl_ends(journey):
        return "pass_ttl"
    fits, by_kernel = _fits(journey, hop)
    if not fits:
        return "pass_too_big"
    vip = journey.configuration.services[journey.service].endpoint.vip
    journey.because(NAT_REPLY, vip=vip, port=journey.service_port)
    _rewrite(journey, "source", vip, journey.service_port)
    leaving.count_out(journey)
    return leaving.leave_as_router(journey, hop, by_kernel, "nat_reply")


def _fits(journey: Journey, hop: Hop) -> tuple[bool, bool]:
    """Whether the packet can be sent on, and whether the kernel is to do it.

    What the kernel is to send must fit too: its own word on that would quote what the packet has become.
    """
    length = journey.network.length
    if not hop.mtu or length <= hop.mtu:
        return True, nexthop.kind(journey, hop) != nexthop.ETHERNET
    dont = journey.network.dont_fragment
    journey.because(leaving.TOO_BIG if dont else leaving.FRAGMENTED, length=length, mtu=hop.mtu)
    return not dont, True


def _rewrite(journey: Journey, which: str, address: Address, port: int) -> None:
    """Address and port, and the checksums that cover them. A later fragment has neither port nor checksum."""
    old = headers.put_address(journey.packet, which, address)
    if journey.tcp or journey.udp:
        old += headers.put_port(journey.packet, which, port, journey.offset)
        new = address.packed + port.to_bytes(2, "big")
        headers.sum_transport(journey.packet, journey.flow.protocol, journey.offset, old, new)
