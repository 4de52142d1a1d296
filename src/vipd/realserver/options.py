"""What a real server is asked to be, and what its kernel shows. Pure values; knows no step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address
from types import MappingProxyType

from vipd.errors import ConfigError, Problem
from vipd.model.director import Address, Method, Network
from vipd.model.instance import DEFAULT, Instance


class Via(StrEnum):
    """How packets for the VIP become the server's own."""

    DUMMY = "dummy"
    LOOPBACK = "loopback"
    REDIRECT = "redirect"


class Decapsulation(StrEnum):
    KERNEL = "kernel"
    BPF = "bpf"


@dataclass(frozen=True, slots=True)
class Options:
    """As the operator gave them; None and () are left to the plan."""

    vips: tuple[Address, ...]
    method: Method
    instance: str = DEFAULT
    via: Via | None = None
    ports: tuple[int, ...] = ()
    "Redirect: the ports taken; none means every port and protocol."
    interfaces: tuple[str, ...] = ()
    "Where packets from the director come in."
    addresses: tuple[Address, ...] = ()
    "TUN: the server's own addresses that the director sends to."
    directors: tuple[Network, ...] = ()
    "TUN: outer sources that are believed; none means any."
    decapsulation: Decapsulation | None = None

    def __post_init__(self) -> None:
        Instance(self.instance)
        problems = tuple(self._problems())
        if problems:
            raise ConfigError(problems)

    def _problems(self) -> list[Problem]:
        found = [Problem("--vip", f"{vip} {reason}") for vip in self.vips if (reason := unfit(vip))]
        if not self.vips:
            found.append(Problem("--vip", "missing; give every VIP that the director sends to this server"))
        found += [Problem("--port", f"{port} is no port; 1 to 65535") for port in self.ports if not 0 < port < 65536]
        if self.method is Method.NAT:
            found.append(
                Problem("--method", "nat needs nothing on a real server but a default route by way of the director")
            )
        if self.ports and self.via is not Via.REDIRECT:
            found.append(Problem("--port", "only --via redirect chooses by port; with an address every port is taken"))
        if self.method is Method.DR and (self.directors or self.addresses or self.decapsulation):
            found.append(Problem("--method", "--director, --address and --decapsulation have a meaning with tun only"))
        return found


def unfit(vip: Address) -> str:
    """Why this can be no VIP, or nothing."""
    if vip.version == 6 and (vip.scope_id or vip.ipv4_mapped):
        return "is no VIP; write it without a zone, and IPv4 as IPv4"
    if vip.is_multicast or vip.is_unspecified or vip.is_loopback or vip.is_link_local:
        return "cannot be a VIP; a unicast address that clients reach is needed"
    return "cannot be a VIP; broadcast reaches every host" if vip == IPv4Address("255.255.255.255") else ""


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface as the kernel shows it; link-local addresses left out."""

    name: str
    index: int
    kind: str = ""
    ethernet: bool = True
    up: bool = True
    addresses: tuple[Address, ...] = ()
    point_to_point: bool = False
    "A tun or ppp device: bare IP packets, no MAC addresses."


@dataclass(frozen=True, slots=True)
class Attached:
    """What our decapsulating program is set to; `interfaces` are those that really run it."""

    interfaces: frozenset[str]
    addresses: frozenset[Address]
    vips: frozenset[Address]
    directors: frozenset[Network]


@dataclass(frozen=True, slots=True)
class Facts:
    links: tuple[Link, ...] = ()
    sysctls: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    "By path under /proc/sys (`net/ipv4/conf/all/arp_ignore`)."
    tables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    "Listing of each nft table, by family and name (`inet vipd_default`)."
    attached: Attached | None = None
    kinds: frozenset[str] = frozenset()
    "Kinds of link that this kernel can make, of those asked about."

    def link(self, name: str) -> Link | None:
        return next((link for link in self.links if link.name == name), None)
