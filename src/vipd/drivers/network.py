"""What netlink tells of links, addresses and routes, as values; and the few changes vipd makes there.

Not for use on an event loop: pyroute2's synchronous calls run one of their own.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path as File
from socket import AF_INET, AF_INET6
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from vipd.dataplane.links import is_point_to_point
from vipd.drivers.routes import DEFAULT, LOCAL, MAIN, Route, Routes, RouteType
from vipd.drivers.watch import Feed
from vipd.errors import DataplaneError
from vipd.model.director import Address
from vipd.model.state import Egress

_ARPHRD_ETHER: Final = 1
_IFF_UP: Final = 1 << 0
_IFF_LOOPBACK: Final = 1 << 3
_IFF_NOARP: Final = 1 << 7
_IFF_LOWER_UP: Final = 1 << 16
NTF_EXT_MANAGED: Final = 1
_NUD_PERMANENT: Final = 0x80
_NUD_NOARP: Final = 0x40
_NUD_VALID: Final = 0xDE
_NO_ROUTE: Final = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL)
_PROC: Final = File("/proc/thread-self/net")
_RTF_GATEWAY: Final = 2
_ROUTE_TYPES: Final = {int(kind): kind for kind in RouteType}
_MANY: Final = 64
"Above so many questions one dump of all routes is quicker than to ask one by one."


@dataclass(frozen=True, slots=True)
class Link:
    name: str
    ifindex: int
    mac: bytes
    ethernet: bool
    "Has Ethernet headers and resolves neighbours."
    loopback: bool
    up: bool
    carrier: bool
    xdp: int
    "The id of the XDP program on it, 0 for none."
    generic: bool
    "That program runs in generic mode."
    point_to_point: bool = False
    "A tun or ppp device: what comes in are bare IP packets, also for XDP."


@dataclass(frozen=True, slots=True)
class HeldAddress:
    address: Address
    prefix: int
    ifindex: int


@dataclass(frozen=True, slots=True)
class Path:
    """The way to an address."""

    egress: Egress
    ifindex: int = 0
    next_hop: Address | None = None
    "The neighbour that takes the packet; None where there is none to resolve."


@dataclass(frozen=True, slots=True)
class Neighbour:
    address: Address
    ifindex: int
    managed: bool
    fixed: bool
    "Somebody set it by hand."
    resolved: bool


@dataclass(slots=True)
class Told:
    """Answers of the kernel, right until it reports a change. Grows with the questions."""

    paths: dict[Address, Path] = field(default_factory=dict)
    addresses: tuple[HeldAddress, ...] | None = None
    routes: Routes | None = None


class Memory:
    """What the kernel told, for as long as nothing changed. Outlives the `Network` that asked."""

    def __init__(self) -> None:
        self._feed = Feed()
        self._told = Told()

    def close(self) -> None:
        self._feed.close()

    def now(self) -> Told:
        """Another object after every change of links, addresses or routes."""
        if self._feed.changed():
            self._told = Told()
        return self._told


class Network:
    """Asks the kernel. Given a memory, nothing twice."""

    def __init__(self, memory: Memory | None = None) -> None:
        self.ip = IPRoute()
        self._memory = memory

    def close(self) -> None:
        self.ip.close()

    def told(self) -> Told:
        return self._memory.now() if self._memory else Told()

    def links(self) -> Mapping[str, Link]:
        return {link.name: link for link in map(_link, self.ip.get_links())}

    def link(self, name: str) -> Link | None:
        """None where there is none of this name; much quicker than all of them on a large machine."""
        try:
            (message,) = self.ip.link("get", ifname=name)
        except NetlinkError as error:
            if error.code == errno.ENODEV:
                return None
            raise DataplaneError(f"interface {name} cannot be asked for: {error.args[1]}") from None
        return _link(message)

    def addresses(self, told: Told | None = None) -> tuple[HeldAddress, ...]:
        told = told or self.told()
        if told.addresses is None:
            told.addresses = tuple(
                HeldAddress(
                    ip_address(message.get("IFA_LOCAL") or message.get("IFA_ADDRESS")),
                    message["prefixlen"],
                    message["index"],
                )
                for message in self.ip.get_addr()
            )
        return told.addresses

    def paths(self, addresses: Iterable[Address], told: Told | None = None) -> Mapping[Address, Path]:
        """To these addresses at least."""
        told = told or self.told()
        wanted = {address for address in addresses if address not in told.paths}
        if not wanted:
            return told.paths
        links = {link.ifindex: link for link in self.links().values()}
        if told.routes is None and len(wanted) > _MANY and self._plain_rules():
            told.routes = Routes(self._routes())
        lookup = told.routes.lookup if told.routes else self._lookup
        shared: dict[int, Path] = {}
        for address in wanted:
            route = lookup(address)
            path = shared.get(id(route)) or _path(route, address, links)
            if path.egress is not Egress.ON_LINK and told.routes:
                shared[id(route)] = path
            told.paths[address] = path
        return told.paths

    def gateways(self, interfaces: Mapping[str, int]) -> frozenset[tuple[Address, int]]:
        """The routers that are reached through these interfaces.

        From /proc: among a million routes they are found in a second, not in minutes.
        """
        found = {(gateway, name) for gateway, name in (*_gateways_ipv4(), *_gateways_ipv6()) if name in interfaces}
        return frozenset((gateway, interfaces[name]) for gateway, name in found)

    def _lookup(self, address: Address) -> Route | None:
        try:
            (message,) = self.ip.route("get", dst=str(address))
        except NetlinkError as error:
            if error.code in _NO_ROUTE:
                return None
            raise DataplaneError(f"the route to {address} cannot be asked for: {error}") from None
        return _route(message)

    def _routes(self) -> Iterable[Route]:
        for message in self.ip.get_routes():
            if message.get("RTA_TABLE") in (LOCAL, MAIN, DEFAULT):
                yield _route(message)

    def _plain_rules(self) -> bool:
        """Whether the local, main and default tables alone decide, in this order."""
        tables = {LOCAL: 0, MAIN: 32766, DEFAULT: 32767}
        return all(
            tables.get(rule.get("FRA_TABLE")) == (rule.get("FRA_PRIORITY") or 0)
            and not any(rule.get(name) for name in ("FRA_FWMARK", "FRA_IIFNAME", "FRA_OIFNAME", "FRA_SRC", "FRA_DST"))
            for rule in self.ip.get_rules()
            # The kernel also tells the rules of its tables for multicast routes.
            if rule["family"] in (AF_INET, AF_INET6)
        )

    def neighbours(self) -> Mapping[tuple[Address, int], Neighbour]:
        return {
            (neighbour.address, neighbour.ifindex): neighbour
            for neighbour in (
                _neighbour(message) for message in self.ip.get_neighbours() if message.get("NDA_DST") is not None
            )
        }


def _link(message: Any) -> Link:
    flags = message["flags"]
    xdp = message.get("IFLA_XDP")
    modes = dict(xdp["attrs"]) if xdp else {}
    mac = message.get("IFLA_ADDRESS") or ""
    information = message.get("IFLA_LINKINFO")
    kind = information.get("IFLA_INFO_KIND") or "" if information else ""
    return Link(
        name=message.get("IFLA_IFNAME"),
        ifindex=message["index"],
        mac=bytes.fromhex(mac.replace(":", "")),
        ethernet=message["ifi_type"] == _ARPHRD_ETHER and not flags & _IFF_NOARP,
        point_to_point=is_point_to_point(message["ifi_type"], kind),
        loopback=bool(flags & _IFF_LOOPBACK),
        up=bool(flags & _IFF_UP),
        carrier=bool(flags & _IFF_LOWER_UP),
        xdp=modes.get("IFLA_XDP_PROG_ID") or 0,
        generic=modes.get("IFLA_XDP_ATTACHED") == "xdpgeneric",
    )


def _neighbour(message: Any) -> Neighbour:
    state = message["state"]
    return Neighbour(
        address=ip_address(message.get("NDA_DST")),
        ifindex=message["ifindex"],
        managed=bool((message.get("NDA_FLAGS_EXT") or 0) & NTF_EXT_MANAGED),
        fixed=bool(state & (_NUD_PERMANENT | _NUD_NOARP)),
        resolved=bool(state & _NUD_VALID),
    )


def _route(message: Any) -> Route:
    """A route of several next hops is shown by its first: they differ in the way, not in its kind."""
    hop = message
    ifindex = message.get("RTA_OIF")
    if several := message.get("RTA_MULTIPATH"):
        hop = several[0]
        ifindex = hop["oif"]
    via = hop.get("RTA_VIA")
    gateway = via["addr"] if via else hop.get("RTA_GATEWAY")
    nowhere = "0.0.0.0" if message["family"] == AF_INET else "::"
    return Route(
        table=message.get("RTA_TABLE"),
        destination=ip_network(f"{message.get('RTA_DST') or nowhere}/{message['dst_len']}"),
        type=_ROUTE_TYPES.get(message["type"], RouteType.OTHER),
        metric=message.get("RTA_PRIORITY") or 0,
        ifindex=ifindex or 0,
        gateway=ip_address(gateway) if gateway else None,
    )


def _path(route: Route | None, address: Address, links: Mapping[int, Link]) -> Path:
    if route is None or route.type not in (RouteType.UNICAST, RouteType.LOCAL):
        return Path(Egress.UNREACHABLE)
    link = links.get(route.ifindex)
    if route.type is RouteType.LOCAL or (link is not None and link.loopback):
        return Path(Egress.LOCAL)
    if link is None:
        return Path(Egress.UNREACHABLE)
    if not link.ethernet:
        return Path(Egress.POINT_TO_POINT, route.ifindex)
    if route.gateway is not None:
        return Path(Egress.ROUTED, route.ifindex, route.gateway)
    return Path(Egress.ON_LINK, route.ifindex, address)


def _gateways_ipv4() -> Iterator[tuple[Address, str]]:
    with _PROC.joinpath("route").open() as routes:
        next(routes)
        for line in routes:
            name, _, gateway, flags = line.split()[:4]
            if int(flags, 16) & _RTF_GATEWAY:
                # The kernel prints the number in its own byte order.
                yield IPv4Address(int(gateway, 16).to_bytes(4, sys.byteorder)), name


def _gateways_ipv6() -> Iterator[tuple[Address, str]]:
    path = _PROC / "ipv6_route"
    if not path.exists():
        return
    with path.open() as routes:
        for line in routes:
            fields = line.split()
            if int(fields[8], 16) & _RTF_GATEWAY:
                yield IPv6Address(bytes.fromhex(fields[4])), fields[9]
