"""The network that a configuration makes up, made of the kernel's own devices, routes and neighbours.

Nobody lives there: each neighbour is a permanent entry, which is all that a look-up of routes asks for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from vipd.drivers.namespace import Namespace
from vipd.drivers.requests import carry_out, fix_neighbour, route_host
from vipd.errors import EnvironmentProblem
from vipd.explain.imagined import ImaginedNetwork
from vipd.model.director import Address
from vipd.wire.ethernet import mac_text

LARGEST_MTU: Final = 65_520
"IP_MAX_MTU (include/net/ip.h), whatever a device has."
_SYSCTL: Final = Path("/proc/sys/net")
_FORWARDING: Final = "conf/all/forwarding"
_DEFAULTS: Final = {"disable_ipv6": "0", "addr_gen_mode": "1", "accept_ra": "0"}
"Of IPv6: no address of the kernel's own making, whose routes nobody imagined."
_ROUTERS: Final[dict[int, Address]] = {4: IPv4Address("192.0.0.8"), 6: IPv6Address("fe80::ff:fe01:2")}
"Addresses that no client has: RFC 7600 4.8; a link-local one."
_FAMILIES: Final = {4: 2, 6: 10}
_PERMANENT: Final = 0x80
_ONLINK: Final = 4
"RTNH_F_ONLINK: no address of ours is of the router's network."


@contextmanager
def stood_up() -> Iterator[int]:
    """The calling thread stands in a namespace of its own meanwhile; the number that its first interface can have."""
    with closing(_namespace()) as here, here.entered(), IPRoute() as netlink:
        # Some kernels put tunnels of theirs into every namespace.
        yield 1 + max(link["index"] for link in netlink.get_links())


def _namespace() -> Namespace:
    try:
        return Namespace()
    except OSError as error:
        raise EnvironmentProblem(f"no network namespace can be made: {error.strerror}") from None


@contextmanager
def built(network: ImaginedNetwork) -> Iterator[None]:
    """In the namespace where the caller stands."""
    with closing(_namespace()) as ends:
        try:
            _build(network, ends)
        except (NetlinkError, OSError) as error:
            raise EnvironmentProblem(f"the network that the file makes up cannot be built here: {error}") from None
        yield


def _build(network: ImaginedNetwork, ends: Namespace) -> None:
    families = _families(network)
    with IPRoute() as netlink:
        # Loopback addresses are ours.
        netlink.link("set", index=1, state="up")
        for number in network.interfaces:
            _interface(netlink, network, number, ends)
        for family in families:
            _route_everybody(netlink, network, family)
    requests = [route_host(address, network.inside) for address in network.servers]
    requests += [fix_neighbour(address, network.inside, mac) for address, mac in network.servers.items()]
    if failed := next(filter(None, carry_out(requests)), 0):
        raise OSError(failed, f"a server's way: {os.strerror(failed)}")


def _families(network: ImaginedNetwork) -> list[int]:
    """Both, where the kernel has both."""
    _set("ipv4", _FORWARDING, "1")
    if not (_SYSCTL / "ipv6").exists():
        vips = (endpoint.vip for service in network.director.services for endpoint in service.listen)
        if lost := next((each for each in (*network.servers, *vips) if each.version == 6), None):
            raise EnvironmentProblem(f"this machine's kernel has no IPv6, and the configuration has {lost}")
        return [4]
    for name, value in _DEFAULTS.items():
        for scope in ("all", "default"):
            _set("ipv6", f"conf/{scope}/{name}", value)
    _set("ipv6", _FORWARDING, "1")
    return [4, 6]


def _set(family: str, name: str, value: str) -> None:
    (_SYSCTL / family / name).write_text(value)


def _interface(netlink: Any, network: ImaginedNetwork, number: int, ends: Namespace) -> None:
    """One end of a wire, which has a carrier only while the other is up."""
    name = f"d{number}"
    peer = {"ifname": name, "net_ns_fd": ends.fd}
    mac = mac_text(network.mac(number))
    netlink.link("add", index=number, ifname=name, kind="veth", peer=peer, address=mac, mtu=network.mtu)
    netlink.link("set", index=number, state="up")
    with ends.entered(), IPRoute() as there:
        there.link("set", index=there.link_lookup(ifname=name)[0], state="up")


def _route_everybody(netlink: Any, network: ImaginedNetwork, family: int) -> None:
    """Over the router on the first interface."""
    router = _ROUTERS[family]
    while router in network.servers:
        router += 1
    default = {4: "0.0.0.0/0", 6: "::/0"}[family]
    outside = network.outside
    netlink.route("add", dst=default, gateway=str(router), oif=outside, family=_FAMILIES[family], flags=_ONLINK)
    netlink.neigh("add", ifindex=outside, dst=str(router), lladdr=mac_text(network.router(outside)), state=_PERMANENT)
