"""Ways of forwarding, and the headers of tunnels."""

from __future__ import annotations

from typing import Final

from tests.golden import changes as to
from tests.golden.difference import Difference

FORWARDING: Final = (
    Difference(
        "hop limit under DR",
        ("dr?/*",),
        "TTL or hop limit one less",
        "as it came",
        "a bridge does not count as a router, and DR is one: the IP packet stays as it is",
        to.ttl_as_it_came,
    ),
    Difference(
        "end of the hop limit under DR",
        ("dr?/ip/hops#ttl-[01]", "dr?/icmp/odd-quotes#with-ttl-1"),
        "answered with time exceeded",
        "forwarded",
        "the server is the packet's last hop, and may take it",
        to.sends(to.forwarded),
    ),
    Difference(
        "GUE",
        ("gue?/*",),
        "`--tun-type gue`",
        "IP in IP",
        "not there yet",
        to.without_header_between(12),
    ),
    Difference("GRE", ("gre?/*",), "`--tun-type gre`", "IP in IP", "not there yet", to.without_header_between(4)),
    Difference(
        "outer source of tunnels",
        ("tun?/*", "cross?/*", "gue?/*", "gre?/*"),
        "the director's own address",
        "spread over 172.16.0.0/16 or 100::/64 by the flow's hash, or `tunnel.source`",
        "receivers' RSS and routers' ECMP tell flows apart by it",
        to.outer_source,
    ),
    Difference(
        "outer flow label",
        ("tun6/*", "cross4/*", "gue6/*", "gre6/*"),
        "0",
        "20 bits of the flow's hash",
        "RFC 6438: so that routers can spread tunnels",
        to.outer_flow_label,
    ),
    Difference(
        "outer TTL or hop limit",
        ("tun?/*", "cross?/*", "gue?/*", "gre?/*"),
        "the inner packet's",
        "64",
        "RFC 2003 3.1: it has to reach the tunnel's end, however near its own end the packet is",
        to.outer_ttl,
    ),
    Difference(
        "outer IPv4 identifier",
        ("tun4/*", "gue4/*", "gre4/*"),
        "0 with DF, else drawn",
        "the inner packet's",
        "a counter would be shared by all processors; the spread sources keep flows apart",
        to.outer_identifier,
    ),
    Difference(
        "DF around IPv6",
        ("cross6/*",),
        "not set",
        "set",
        "IPv6 is not fragmented on its way (RFC 8200 4.5), and without a counter nothing would tell pieces apart",
        to.outer_not_to_be_fragmented,
    ),
    Difference(
        "congestion marks into a tunnel",
        ("tun?/ip/classes#class-*", "cross?/ip/classes#class-*"),
        "CE inside becomes ECT(0) outside",
        "copied",
        "RFC 6040 4.1, which replaces that rule",
        to.outer_congestion,
    ),
)
