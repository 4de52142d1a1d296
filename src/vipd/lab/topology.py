"""What a lab consists of: hosts on segments, addresses of both families, who plays which part. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from types import MappingProxyType
from typing import Final

from vipd.model.director import Address, Method, Transport

FAMILIES: Final = (4, 6)
NAME: Final = re.compile(r"[a-z][a-z0-9]*")
DEVICE_NAME_LENGTH: Final = 15
SWITCH: Final = "switch"
"The namespace that holds every segment's bridge."


class TopologyError(ValueError):
    """A topology that contradicts itself."""


class Role(StrEnum):
    CLIENT = "client"
    ROUTER = "router"
    DIRECTOR = "director"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Segment:
    """A Linux bridge, and the network of each family on it."""

    name: str
    ipv4: IPv4Network
    ipv6: IPv6Network

    def address(self, number: int, family: int) -> Address:
        # Read as hexadecimal, so that .10 and ::10 are the same host to the eye.
        return self.ipv4[number] if family == 4 else self.ipv6[int(str(number), 16)]

    def interfaces(self, number: int) -> tuple[IPv4Interface | IPv6Interface, ...]:
        return (
            IPv4Interface((self.address(number, 4), self.ipv4.prefixlen)),
            IPv6Interface((self.address(number, 6), self.ipv6.prefixlen)),
        )


@dataclass(frozen=True, slots=True)
class Link:
    """A host's place on a segment: the same number in the networks of both families."""

    segment: str
    number: int


@dataclass(frozen=True, slots=True)
class Host:
    """`gateway` names the host behind which everything else is; its links are eth0, eth1, ..."""

    name: str
    role: Role
    links: tuple[Link, ...]
    gateway: str | None = None

    def link_on(self, segment: str) -> Link | None:
        return next((link for link in self.links if link.segment == segment), None)

    def device_on(self, segment: str) -> str:
        return f"eth{[link.segment for link in self.links].index(segment)}"


@dataclass(frozen=True, slots=True)
class Service:
    """A virtual service of the lab; `server_port` differs where NAT maps ports."""

    name: str
    transport: Transport
    port: int
    server_port: int


@dataclass(frozen=True, slots=True)
class Topology:
    name: str
    summary: str
    method: Method
    segments: tuple[Segment, ...]
    hosts: tuple[Host, ...]
    vip: Link
    services: tuple[Service, ...]

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise TopologyError(f"topology {self.name}: " + "; ".join(problems))

    def host(self, name: str) -> Host:
        return next(host for host in self.hosts if host.name == name)

    def segment(self, name: str) -> Segment:
        return next(segment for segment in self.segments if segment.name == name)

    def with_role(self, role: Role) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if host.role is role)

    @property
    def director(self) -> Host:
        return self.with_role(Role.DIRECTOR)[0]

    @property
    def client(self) -> Host:
        return self.with_role(Role.CLIENT)[0]

    @property
    def servers(self) -> tuple[Host, ...]:
        return self.with_role(Role.SERVER)

    def service(self, transport: Transport) -> Service:
        return next(service for service in self.services if service.transport is transport)

    def vip_address(self, family: int) -> Address:
        return self.segment(self.vip.segment).address(self.vip.number, family)

    def address(self, host: Host, family: int) -> Address:
        """The first address of the host: the one it is known by."""
        link = host.links[0]
        return self.segment(link.segment).address(link.number, family)

    def gateway_address(self, host: Host, family: int) -> Address | None:
        if host.gateway is None:
            return None
        link = shared_link(host, self.host(host.gateway))
        return self.segment(link.segment).address(link.number, family)

    def ports(self) -> Iterator[tuple[str, Host, Link]]:
        """Each port of the switch: its name, and the host and link at the other end."""
        for host in self.hosts:
            for link in host.links:
                yield f"{link.segment}-{host.name}", host, link


def shared_link(host: Host, other: Host) -> Link:
    """The place of `other` on the first segment that both are on."""
    segments = [link.segment for link in host.links]
    return next(link for link in other.links if link.segment in segments)


def _problems(topology: Topology) -> Iterator[str]:
    hosts = [host.name for host in topology.hosts]
    segments = [segment.name for segment in topology.segments]
    for name in {*hosts, *segments, SWITCH}:
        if (hosts + segments + [SWITCH]).count(name) > 1:
            yield f"the name {name} is given twice"
        if not NAME.fullmatch(name):
            yield f"the name {name!r} is not lower-case letters and digits"
    for role in (Role.CLIENT, Role.DIRECTOR, Role.SERVER):
        if not topology.with_role(role):
            yield f"there is no {role}"
    links = [link for host in topology.hosts for link in host.links] + [topology.vip]
    for link in links:
        if link.segment not in segments:
            yield f"there is no segment {link.segment}"
        elif links.count(link) > 1:
            yield f"number {link.number} on {link.segment} is given twice"
    for host in topology.hosts:
        yield from _problems_of_host(topology, host)


def _problems_of_host(topology: Topology, host: Host) -> Iterator[str]:
    for link in host.links:
        port = f"{link.segment}-{host.name}"
        if len(port) > DEVICE_NAME_LENGTH:
            yield f"the port {port} has a name of more than {DEVICE_NAME_LENGTH} characters"
    if not host.links:
        yield f"{host.name} has no link"
    if host.gateway is None:
        return
    gateway = next((other for other in topology.hosts if other.name == host.gateway), None)
    if gateway is None or not any(gateway.link_on(link.segment) for link in host.links):
        yield f"the gateway of {host.name}, {host.gateway}, is on no segment of its own"


def _segment(name: str, ipv4: str, ipv6: str) -> Segment:
    return Segment(name, IPv4Network(ipv4), IPv6Network(ipv6))


_FAR: Final = _segment("far", "198.51.100.0/24", "2001:db8:100::/64")
_CLIENT: Final = Host("client", Role.CLIENT, (Link("far", 2),), "router")
_SERVERS: Final = range(1, 4)
_WEB: Final = Service("web", Transport.TCP, 80, 80)
_ECHO: Final = Service("echo", Transport.UDP, 7, 7)

NAT: Final = Topology(
    name="nat",
    summary="the director is the gateway of an inner network of real servers",
    method=Method.NAT,
    segments=(
        _FAR,
        _segment("outer", "203.0.113.0/24", "2001:db8:113::/64"),
        _segment("inner", "10.0.0.0/24", "2001:db8:10::/64"),
    ),
    hosts=(
        _CLIENT,
        Host("router", Role.ROUTER, (Link("outer", 1), Link("far", 1))),
        Host("director", Role.DIRECTOR, (Link("outer", 2), Link("inner", 1)), "router"),
        *(Host(f"server{n}", Role.SERVER, (Link("inner", 10 + n),), "director") for n in _SERVERS),
    ),
    vip=Link("outer", 10),
    services=(Service("web", Transport.TCP, 80, 8080), Service("echo", Transport.UDP, 7, 7007)),
)

DR: Final = Topology(
    name="dr",
    summary="director and real servers on one network; real servers answer through the router",
    method=Method.DR,
    segments=(_FAR, _segment("lan", "203.0.113.0/24", "2001:db8:113::/64")),
    hosts=(
        _CLIENT,
        Host("router", Role.ROUTER, (Link("lan", 1), Link("far", 1))),
        Host("director", Role.DIRECTOR, (Link("lan", 2),), "router"),
        *(Host(f"server{n}", Role.SERVER, (Link("lan", 10 + n),), "router") for n in _SERVERS),
    ),
    vip=Link("lan", 10),
    services=(_WEB, _ECHO),
)

TUN: Final = Topology(
    name="tun",
    summary="real servers in networks of their own behind the router, through which they answer",
    method=Method.TUN,
    segments=(
        _FAR,
        _segment("front", "203.0.113.0/24", "2001:db8:113::/64"),
        *(_segment(f"rack{n}", f"10.0.{n}.0/24", f"2001:db8:{10 + n}::/64") for n in _SERVERS),
    ),
    hosts=(
        _CLIENT,
        Host("router", Role.ROUTER, (Link("front", 1), Link("far", 1), *(Link(f"rack{n}", 1) for n in _SERVERS))),
        Host("director", Role.DIRECTOR, (Link("front", 2),), "router"),
        *(Host(f"server{n}", Role.SERVER, (Link(f"rack{n}", 10 + n),), "router") for n in _SERVERS),
    ),
    vip=Link("front", 10),
    services=(_WEB, _ECHO),
)

TOPOLOGIES: Final[Mapping[str, Topology]] = MappingProxyType({each.name: each for each in (NAT, DR, TUN)})
