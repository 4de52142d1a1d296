"""Networks beyond the lab's three, for what only shows there."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from vipd.lab.topology import DR, NAT, TUN, Host, Link, Role, Segment, Topology

_FAR, _OUTER, _INNER = NAT.segments
_CLIENT, _ROUTER = NAT.client, NAT.host("router")
_LAN: Final = DR.segments[1]
_RACK: Final = Segment("rack", IPv4Network("10.1.0.0/24"), IPv6Network("2001:db8:11::/64"))
_EXIT: Final = Segment("exit", IPv4Network("192.0.2.0/24"), IPv6Network("2001:db8:2::/64"))

ONE_ARMED: Final = Topology(
    name="onearm",
    summary="NAT over one interface, in and out; a second client on the servers' own network",
    segments=(_FAR, _LAN),
    hosts=(
        _CLIENT,
        Host("near", Role.CLIENT, (Link("lan", 20),), "router"),
        Host("router", Role.ROUTER, (Link("lan", 1), Link("far", 1))),
        Host("director", Role.DIRECTOR, (Link("lan", 2),), "router"),
        *(Host(f"server{n}", Role.SERVER, (Link("lan", 10 + n),), "director") for n in (1, 2, 3)),
    ),
    vip=Link("lan", 10),
    services=NAT.services,
)

BEHIND_ROUTER: Final = Topology(
    name="behind",
    summary="NAT to real servers behind another router; the director needs a route to them",
    segments=(_FAR, _OUTER, _INNER, _RACK),
    hosts=(
        _CLIENT,
        _ROUTER,
        Host("director", Role.DIRECTOR, (Link("outer", 2), Link("inner", 1)), "router"),
        Host("core", Role.ROUTER, (Link("inner", 2), Link("rack", 1)), "director"),
        *(Host(f"server{n}", Role.SERVER, (Link("rack", 10 + n),), "core") for n in (1, 2, 3)),
    ),
    vip=Link("outer", 10),
    services=NAT.services,
)

THREE_ARMED: Final = Topology(
    name="three",
    summary="NAT: in by one interface, to the servers by another, back to the clients by a third",
    segments=(_FAR, _OUTER, _INNER, _EXIT),
    hosts=(
        _CLIENT,
        Host("router", Role.ROUTER, (Link("exit", 1), Link("outer", 1), Link("far", 1))),
        Host("director", Role.DIRECTOR, (Link("exit", 2), Link("outer", 2), Link("inner", 1)), "router"),
        *(Host(f"server{n}", Role.SERVER, (Link("inner", 10 + n),), "director") for n in (1, 2, 3)),
    ),
    vip=Link("outer", 10),
    services=NAT.services,
)

TWO_ARMED_TUN: Final = replace(
    TUN,
    name="twoarm",
    summary="tunnels leave by another interface than requests come in by",
    segments=(*TUN.segments, _EXIT),
    hosts=tuple(
        {
            "router": replace(TUN.host("router"), links=(Link("exit", 1), *TUN.host("router").links)),
            "director": replace(TUN.director, links=(Link("exit", 2), Link("front", 2))),
        }.get(host.name, host)
        for host in TUN.hosts
    ),
)
