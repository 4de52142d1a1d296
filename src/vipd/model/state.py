"""What a data plane holds and tells: services, servers, connections, counters. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from vipd.model.director import Address, Endpoint, Method, OnServerRemoved, Scheduler, Transport


class Egress(StrEnum):
    """How a real server is reached from this director."""

    LOCAL = "local"
    "The address is the director's own."
    ON_LINK = "on_link"
    "On a directly connected Ethernet segment."
    ROUTED = "routed"
    "Behind a router on an Ethernet segment."
    POINT_TO_POINT = "point_to_point"
    "Behind a device without Ethernet headers."
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class ServerKey:
    """A real server within a service of the data plane."""

    endpoint: Endpoint
    address: Address
    port: int | None


@dataclass(frozen=True, slots=True)
class HeldServer:
    """A real server as the data plane has it; `local` instead of a method for the director itself."""

    key: ServerKey
    method: Method
    local: bool
    weight: int
    tunnel_source: Address | None
    tunnel_source_bits: int
    removed: OnServerRemoved | None = None
    "Set once it has been removed and only known connections remain."


@dataclass(frozen=True, slots=True)
class HeldService:
    endpoint: Endpoint
    scheduler: Scheduler
    clamp_mss: bool
    hash_port: bool
    servers: tuple[HeldServer, ...]
    slots: bytes
    "The region that the scheduler reads, as indices into `servers`, little-endian 32 bits each."
    fallback: bytes
    "The Maglev region for packets that no connection is known of, in the same form."


@dataclass(frozen=True, slots=True)
class Counters:
    """Totals since the server was added; bytes of IP."""

    active: int = 0
    inactive: int = 0
    connections: int = 0
    packets_in: int = 0
    bytes_in: int = 0
    packets_out: int = 0
    bytes_out: int = 0

    def __add__(self, other: Counters) -> Counters:
        return Counters(
            self.active + other.active,
            self.inactive + other.inactive,
            self.connections + other.connections,
            self.packets_in + other.packets_in,
            self.bytes_in + other.bytes_in,
            self.packets_out + other.packets_out,
            self.bytes_out + other.bytes_out,
        )


@dataclass(frozen=True, slots=True)
class Connection:
    """A known connection; `expires` is seconds from now."""

    transport: Transport
    client: Address
    client_port: int
    vip: Address
    vip_port: int
    server: Address
    server_port: int
    state: str
    expires: float
    active: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """Counters of the whole data plane."""

    outcomes: Mapping[str, int]
    "By outcome name in lower case (`forward_dr`)."
    events: Mapping[str, int]
