"""What the director was told: services, real servers, interfaces, timeouts, keys; and what follows from it. Values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Address
from struct import iter_unpack
from typing import Final

from vipd.model.director import Address, Endpoint, Method, OnServerRemoved, Scheduler, Timeouts, Transport
from vipd.model.state import HeldServer, HeldService
from vipd.wire import ip

TICK: Final = 1 << 26
"Nanoseconds, about 67 ms: what expiry is counted in."
NEXT_HOP_AGE: Final = 500_000_000
PROTOCOLS: Final = {Transport.TCP: ip.TCP, Transport.UDP: ip.UDP}


@dataclass(frozen=True, slots=True)
class Server:
    """A real server of one service."""

    service: int
    address: Address
    method: Method | None
    "None: the server is the director itself, and the kernel takes its packets."
    port: int | None = None
    "None: the one that the packet came for."
    weight: int = 1
    tunnel_source: Address | None = None
    tunnel_source_bits: int = 0
    "Low bits of the outer source that are spread by flow."
    removed: OnServerRemoved | None = None
    "Set once it is no longer there and only known connections remain."


@dataclass(frozen=True, slots=True)
class Service:
    endpoint: Endpoint
    scheduler: Scheduler
    clamp_mss: bool = True
    hash_port: bool = False
    slots: Sequence[int] = ()
    "Numbers of servers: what the scheduler walks or indexes. For lc and wlc each server once."
    fallback: Sequence[int] = ()
    "The Maglev table for packets that no connection is known of."
    listening: bool = True
    "False: it is gone, but connections of it remain."


@dataclass(frozen=True, slots=True)
class Interface:
    """One that the director looks at."""

    mac: bytes
    "All zeros of a point-to-point device, which has none."
    redirect: bool = True
    "Whether XDP can send out of it what came in by another."


@dataclass(frozen=True, slots=True)
class Keys:
    """Of the two hashes: secret, and the same on directors that are to agree."""

    client: tuple[int, int] = (0, 0)
    "SipHash's: which server."
    flow: tuple[int, ...] = (0,) * 11
    "The multilinear hash's: which place in the table."


@dataclass(frozen=True, slots=True)
class Configuration:
    """Servers and services by number; 0 is nobody's number."""

    services: Mapping[int, Service]
    servers: Mapping[int, Server]
    interfaces: Mapping[int, Interface] = field(default_factory=dict)
    "By ifindex."
    timeouts: Timeouts = field(default_factory=Timeouts)
    keys: Keys = Keys()
    buckets: int = 209_716
    "Of the connection table; each has room for 16 entries."
    next_hop_age: int = NEXT_HOP_AGE
    "Nanoseconds after which the way to a server is asked for again."
    derived: Derived = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "derived", Derived.of(self))

    def service_at(self, vip: Address, protocol: int, port: int) -> int:
        """The service that listens there, 0 for none: on the port alone, else on a range, else on all ports."""
        number = self.derived.ports.get((vip, protocol, port))
        if number is not None:
            return number
        for endpoint, found in self.derived.ranges.get((vip, protocol), ()):
            if endpoint.first_port <= port <= endpoint.last_port:
                return found
        return 0

    def concerns_us(self, address: Address) -> bool:
        """Whether packets from or to the address may be ours; a wrong yes costs time only (ARCHITECTURE.md)."""
        return fold(address) in self.derived.interest


def numbered(held: Iterable[HeldService]) -> tuple[dict[int, Service], dict[int, Server]]:
    """Services and servers as the control plane wants them held, numbered from 1 on in its order."""
    services: dict[int, Service] = {}
    servers: dict[int, Server] = {}
    for number, each in enumerate(held, start=1):
        first = len(servers) + 1
        servers |= {first + place: server_of(server, number) for place, server in enumerate(each.servers)}
        slots, fallback = (
            [first + place for (place,) in iter_unpack("<I", table)] for table in (each.slots, each.fallback)
        )
        services[number] = Service(each.endpoint, each.scheduler, each.clamp_mss, each.hash_port, slots, fallback)
    return services, servers


def server_of(held: HeldServer, service: int) -> Server:
    return Server(
        service,
        held.key.address,
        None if held.local else held.method,
        held.key.port,
        held.weight,
        held.tunnel_source,
        held.tunnel_source_bits,
        held.removed,
    )


@dataclass(frozen=True, slots=True)
class Derived:
    """Indices over a configuration."""

    ports: Mapping[tuple[Address, int, int], int]
    ranges: Mapping[tuple[Address, int], Sequence[tuple[Endpoint, int]]]
    "The narrowest first: ranges are disjoint, but all ports may stand beside them."
    nat_sources: Mapping[tuple[Address, int, int], int]
    "Address, protocol and port that a server under NAT answers from, to its number; 0: of more than one service."
    interest: frozenset[int]
    ticks: Mapping[str, int]
    "Each state's timeout."

    @classmethod
    def of(cls, given: Configuration) -> Derived:
        ports: dict[tuple[Address, int, int], int] = {}
        ranges: dict[tuple[Address, int], list[tuple[Endpoint, int]]] = {}
        for number, service in given.services.items():
            at, protocol = service.endpoint, PROTOCOLS[service.endpoint.transport]
            if not service.listening:
                continue
            if at.single_port:
                ports[at.vip, protocol, at.first_port] = number
            else:
                ranges.setdefault((at.vip, protocol), []).append((at, number))
        for entries in ranges.values():
            entries.sort(key=lambda entry: entry[0].last_port - entry[0].first_port)
        ours = [service.endpoint.vip for service in given.services.values()]
        ours += [server.address for server in given.servers.values() if server.method is Method.NAT]
        ticks = {each.name: in_ticks(getattr(given.timeouts, each.name)) for each in fields(Timeouts)}
        return cls(ports, ranges, nat_sources(given), frozenset(map(fold, ours)), ticks)


def in_ticks(seconds: float) -> int:
    """A tick more than asked for is harmless, one fewer is not."""
    return math.ceil(seconds * 1e9 / TICK)


def nat_sources(given: Configuration) -> dict[tuple[Address, int, int], int]:
    """Whose reply it is that comes from an address and port, without memory of its connection.

    0 where that cannot be told: where servers of two services answer from there, or where the service
    has many ports, of which the reply does not show which the client knows. A server that is
    present goes before one that was removed.
    """
    found: dict[tuple[Address, int, int], int] = {}
    services: dict[tuple[Address, int, int], int] = {}
    for number, server in sorted(given.servers.items(), key=lambda each: (each[1].removed is not None, each[0])):
        endpoint = given.services[server.service].endpoint
        port = server.port or (endpoint.first_port if endpoint.single_port else None)
        if server.method is not Method.NAT or not port:
            continue
        key = server.address, PROTOCOLS[endpoint.transport], port
        if services.setdefault(key, server.service) != server.service:
            found[key] = 0
        found.setdefault(key, number if endpoint.single_port else 0)
    return found


def mapped(address: Address) -> bytes:
    """16 bytes, IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2): the form in which addresses are hashed."""
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed


def fold(address: Address) -> int:
    """The eight words of 16 bits of an address, by exclusive or; two addresses may share it."""
    number = int(address) | 0xFFFF << 32 if isinstance(address, IPv4Address) else int(address)
    number ^= number >> 64
    number ^= number >> 32
    return (number ^ number >> 16) & 0xFFFF
