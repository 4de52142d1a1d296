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
    hub: bool = False
    "It learns nothing: every frame goes to every other port."

    def address(self, number: int, family: int) -> Address:
        # Read as hexadecimal, so that .10 and ::10 are the same host to the eye.
        return self.ipv4[number] if family == 4 else self.ipv6[int(str(number), 16)]

    def interfaces(self, number: int) -> tuple[IPv4Interface | IPv6Interface, ...]:
        return (
            IPv4Interface((self.address(number, 4), self.ipv4.prefixlen)),
            IPv6Interface((self.address(number, 6), self.ipv6.prefixlen)),
        )


@dataclass(frozen=True, slots=True)
class Line(Segment):
    """From one host to one other, without MAC addresses: PPP in HDLC by two `vipd link`, over a pseudo-terminal."""


@dataclass(frozen=True, slots=True)
class Link:
    """A host's place on a segment: the same number in the networks of both families."""

    segment: str
    number: int


@dataclass(frozen=True, slots=True)
class End(Link):
    """The same of a line."""


@dataclass(frozen=True, slots=True)
class Host:
    """Its links are eth0, eth1, ..., its ends of lines ppp0, ppp1, ..."""

    name: str
    role: Role
    links: tuple[Link, ...]
    gateway: str | None = None
    "The host behind which everything else is."
    uplink: str | None = None
    "The host by which packets from the VIP leave, where that is another one."

    def link_on(self, segment: str) -> Link | None:
        return next((link for link in self.links if link.segment == segment), None)

    def device_on(self, segment: str) -> str:
        for alike, name in ((self.cables, "eth"), (self.ends, "ppp")):
            for number, link in enumerate(alike):
                if link.segment == segment:
                    return f"{name}{number}"
        raise KeyError(segment)

    @property
    def cables(self) -> tuple[Link, ...]:
        """To segments."""
        return tuple(link for link in self.links if not isinstance(link, End))

    @property
    def ends(self) -> tuple[End, ...]:
        """Of lines."""
        return tuple(link for link in self.links if isinstance(link, End))


@dataclass(frozen=True, slots=True)
class Service:
    """A virtual service of the lab; `server_port` differs where NAT maps ports."""

    name: str
    transport: Transport
    port: int
    server_port: int
    method: Method


@dataclass(frozen=True, slots=True)
class Topology:
    name: str
    summary: str
    segments: tuple[Segment, ...]
    hosts: tuple[Host, ...]
    vip: Link
    services: tuple[Service, ...]
    lines: tuple[Line, ...] = ()

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise TopologyError(f"topology {self.name}: " + "; ".join(problems))

    def host(self, name: str) -> Host:
        return next(host for host in self.hosts if host.name == name)

    def segment(self, name: str) -> Segment:
        """Or line."""
        return next(segment for segment in (*self.segments, *self.lines) if segment.name == name)

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
        """The first of that transport."""
        return next(service for service in self.services if service.transport is transport)

    def vip_address(self, family: int) -> Address:
        return self.segment(self.vip.segment).address(self.vip.number, family)

    def address(self, host: Host, family: int) -> Address:
        """The first address of the host: the one it is known by."""
        link = host.links[0]
        return self.segment(link.segment).address(link.number, family)

    def gateway_address(self, host: Host, family: int) -> Address | None:
        """None also where it is at the other end of a line, which needs no address."""
        return _neighbour_address(self, host, host.gateway, family)

    def ports(self) -> Iterator[tuple[str, Host, Link]]:
        """Each port of the switch: its name, and the host and link at the other end."""
        for host in self.hosts:
            for link in host.cables:
                yield f"{link.segment}-{host.name}", host, link


def methods_of(topology: Topology) -> tuple[Method, ...]:
    """Of the services, each once."""
    return tuple(dict.fromkeys(service.method for service in topology.services))


def ends_of(topology: Topology, line: Line) -> tuple[Host, Host]:
    first, second = (host for host in topology.hosts if host.link_on(line.name))
    return first, second


def uplink_address(topology: Topology, host: Host, family: int) -> Address | None:
    return _neighbour_address(topology, host, host.uplink, family)


def _neighbour_address(topology: Topology, host: Host, other: str | None, family: int) -> Address | None:
    if other is None:
        return None
    link = shared_link(host, topology.host(other))
    return None if isinstance(link, End) else topology.segment(link.segment).address(link.number, family)


def shared_link(host: Host, other: Host) -> Link:
    """The place of `other` on the first of the host's segments and lines that it is on too."""
    return next(found for link in host.links if (found := other.link_on(link.segment)))


def _problems(topology: Topology) -> Iterator[str]:
    hosts, segments = [host.name for host in topology.hosts], [segment.name for segment in topology.segments]
    names = [*hosts, *segments, *(line.name for line in topology.lines), SWITCH]
    for name in set(names):
        if names.count(name) > 1:
            yield f"the name {name} is given twice"
        if not NAME.fullmatch(name):
            yield f"the name {name!r} is not lower-case letters and digits"
    for role in (Role.CLIENT, Role.DIRECTOR, Role.SERVER):
        if not topology.with_role(role):
            yield f"there is no {role}"
    links = [link for host in topology.hosts for link in host.cables] + [topology.vip]
    for link in links:
        if link.segment not in segments:
            yield f"there is no segment {link.segment}"
        elif links.count(link) > 1:
            yield f"number {link.number} on {link.segment} is given twice"
    yield from _problems_of_lines(topology)
    for host in topology.hosts:
        yield from _problems_of_host(topology, host)


def _problems_of_lines(topology: Topology) -> Iterator[str]:
    ends = [end for host in topology.hosts for end in host.ends]
    for end in ends:
        if end.segment not in [line.name for line in topology.lines]:
            yield f"there is no line {end.segment}"
    for line in topology.lines:
        numbers = [end.number for end in ends if end.segment == line.name]
        if len(numbers) != 2 or numbers[0] == numbers[1]:
            yield f"line {line.name} has not two ends of different numbers"


def _problems_of_host(topology: Topology, host: Host) -> Iterator[str]:
    for link in host.cables:
        port = f"{link.segment}-{host.name}"
        if len(port) > DEVICE_NAME_LENGTH:
            yield f"the port {port} has a name of more than {DEVICE_NAME_LENGTH} characters"
    if not host.links:
        yield f"{host.name} has no link"
    for what, name in (("gateway", host.gateway), ("uplink", host.uplink)):
        other = next((other for other in topology.hosts if other.name == name), None)
        if name is not None and (other is None or not any(other.link_on(link.segment) for link in host.links)):
            yield f"the {what} of {host.name}, {name}, is on no segment of its own"


def _segment(name: str, ipv4: str, ipv6: str) -> Segment:
    return Segment(name, IPv4Network(ipv4), IPv6Network(ipv6))


_FAR: Final = _segment("far", "198.51.100.0/24", "2001:db8:100::/64")
_CLIENT: Final = Host("client", Role.CLIENT, (Link("far", 2),), "router")
_SERVERS: Final = range(1, 4)


def _unmapped(method: Method) -> tuple[Service, ...]:
    """Servers take packets for the VIP, so that ports stay."""
    return Service("web", Transport.TCP, 80, 80, method), Service("echo", Transport.UDP, 7, 7, method)


NAT: Final = Topology(
    name="nat",
    summary="the director is the gateway of an inner network of real servers",
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
    services=(
        Service("web", Transport.TCP, 80, 8080, Method.NAT),
        Service("echo", Transport.UDP, 7, 7007, Method.NAT),
    ),
)

DR: Final = Topology(
    name="dr",
    summary="director and real servers on one network; real servers answer through the router",
    segments=(_FAR, _segment("lan", "203.0.113.0/24", "2001:db8:113::/64")),
    hosts=(
        _CLIENT,
        Host("router", Role.ROUTER, (Link("lan", 1), Link("far", 1))),
        Host("director", Role.DIRECTOR, (Link("lan", 2),), "router"),
        *(Host(f"server{n}", Role.SERVER, (Link("lan", 10 + n),), "router") for n in _SERVERS),
    ),
    vip=Link("lan", 10),
    services=_unmapped(Method.DR),
)

TUN: Final = Topology(
    name="tun",
    summary="real servers in networks of their own behind the router, through which they answer",
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
    services=_unmapped(Method.TUN),
)

P2P: Final = Topology(
    name="p2p",
    summary="one of the real servers is in another city, at the end of a line: PPP in HDLC",
    segments=(
        _FAR,
        _segment("outer", "203.0.113.0/24", "2001:db8:113::/64"),
        _segment("inner", "10.0.0.0/24", "2001:db8:10::/64"),
        _segment("city", "192.0.2.0/24", "2001:db8:2::/64"),
    ),
    lines=(Line("line", IPv4Network("10.3.0.0/24"), IPv6Network("2001:db8:30::/64")),),
    hosts=(
        _CLIENT,
        Host("router", Role.ROUTER, (Link("outer", 1), Link("far", 1), Link("city", 1))),
        Host("director", Role.DIRECTOR, (Link("outer", 2), Link("inner", 1), End("line", 1)), "router"),
        *(
            Host(f"server{n}", Role.SERVER, (Link("inner", 10 + n), Link("outer", 10 + n)), "director", "router")
            for n in (1, 2)
        ),
        Host("server3", Role.SERVER, (End("line", 13), Link("city", 13)), "director", "router"),
    ),
    vip=Link("outer", 10),
    services=(
        Service("web", Transport.TCP, 80, 8080, Method.NAT),
        Service("echo", Transport.UDP, 7, 7007, Method.NAT),
        Service("tunweb", Transport.TCP, 81, 81, Method.TUN),
        Service("tunecho", Transport.UDP, 17, 17, Method.TUN),
    ),
)

TOPOLOGIES: Final[Mapping[str, Topology]] = MappingProxyType({each.name: each for each in (NAT, DR, TUN, P2P)})
