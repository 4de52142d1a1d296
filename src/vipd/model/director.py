"""What an operator asks for: services, real servers, VIPs, settings. Pure values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from types import MappingProxyType
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

MAGLEV_SLOTS: Final = 65_537
CONNECTIONS: Final = 1_048_576
BUCKET_FILL: Final = 10
"Entries a bucket of the connection table is made for; it has room for 16."


def table_buckets(connections: int) -> int:
    """Of the connection table: two entries for each connection, as NAT needs."""
    return math.ceil(connections * 2 / BUCKET_FILL)


def with_port(address: Address, port: int | None) -> str:
    """As people write it: 10.0.0.1, 10.0.0.1:80, [2001:db8::1]:80."""
    if port is None:
        return str(address)
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


class Transport(StrEnum):
    TCP = "tcp"
    UDP = "udp"


class Method(StrEnum):
    NAT = "nat"
    DR = "dr"
    TUN = "tun"


class Scheduler(StrEnum):
    RR = "rr"
    WRR = "wrr"
    LC = "lc"
    WLC = "wlc"
    SH = "sh"
    MH = "mh"


class OnServerRemoved(StrEnum):
    RESET = "reset"
    RESCHEDULE = "reschedule"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """VIP, ports and transport that a service listens on; all ports is 0 to 65535."""

    vip: Address
    first_port: int
    last_port: int
    transport: Transport

    def __hash__(self) -> int:
        # Thousands of them are keys of mappings, and an address takes its time to hash.
        return hash((int(self.vip), self.first_port))

    @property
    def single_port(self) -> bool:
        return self.first_port == self.last_port

    @property
    def all_ports(self) -> bool:
        return (self.first_port, self.last_port) == (0, 65535)

    def __str__(self) -> str:
        host = f"[{self.vip}]" if self.vip.version == 6 else str(self.vip)
        ports = str(self.first_port) if self.single_port else f"{self.first_port}-{self.last_port}"
        return f"{host}:{'*' if self.all_ports else ports}/{self.transport}"


@dataclass(frozen=True, slots=True)
class RealServer:
    """`port` None: the one the packet came for. `tunnel_source` None: spread over the default."""

    address: Address
    port: int | None = None
    weight: int = 1
    method: Method = Method.NAT
    tunnel_source: Network | None = None
    "TUN: outer sources are spread over this network; a single address (/32, /128) is fixed."


@dataclass(frozen=True, slots=True)
class VirtualService:
    name: str
    listen: tuple[Endpoint, ...]
    servers: tuple[RealServer, ...]
    scheduler: Scheduler = Scheduler.WLC
    on_server_removed: OnServerRemoved = OnServerRemoved.RESET
    maglev_slots: int = MAGLEV_SLOTS
    clamp_mss: bool = True
    hash_port: bool = False
    "sh and mh: hash the client's port too (ipvsadm's sh-port, mh-port)."


@dataclass(frozen=True, slots=True)
class Vip:
    """`interface` None: the one it is reached through. `routed`: no ARP, no announcement."""

    address: Address
    interface: str | None = None
    routed: bool = False


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; LVS's defaults (net/netfilter/ipvs/ip_vs_proto_tcp.c and _udp.c)."""

    none: float = 2
    established: float = 900
    syn_sent: float = 120
    syn_recv: float = 60
    fin_wait: float = 120
    time_wait: float = 120
    close: float = 10
    close_wait: float = 60
    last_ack: float = 30
    listen: float = 120
    synack: float = 120
    udp: float = 300


STATES: Final = tuple(state.name for state in fields(Timeouts))
"That a connection can be in."


@dataclass(frozen=True, slots=True)
class Director:
    """A whole configuration."""

    interfaces: tuple[str, ...]
    services: tuple[VirtualService, ...]
    vips: Mapping[Address, Vip] = field(default_factory=lambda: MappingProxyType({}))
    connections: int = CONNECTIONS
    timeouts: Timeouts = Timeouts()
    secret_file: str | None = None
    "Holds the key of mh and of the connection hash; directors that share it agree."
