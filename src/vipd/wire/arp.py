"""ARP for IPv4 over Ethernet (RFC 826), and its uses to claim an address (RFC 5227)."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from vipd.errors import WireError
from vipd.wire.ethernet import BROADCAST, TYPE_ARP, Frame
from vipd.wire.reader import Reader

REQUEST: Final = 1
REPLY: Final = 2
_ETHERNET_IPV4: Final = bytes((0, 1, 8, 0, 6, 4))
_UNSPECIFIED: Final = IPv4Address(0)


@dataclass(frozen=True, slots=True)
class Arp:
    operation: int
    sender_mac: bytes
    sender: IPv4Address
    target_mac: bytes
    target: IPv4Address

    @classmethod
    def decode(cls, packet: bytes) -> Arp:
        """Bytes after the packet are Ethernet's padding."""
        reader = Reader(packet)
        if reader.take(6) != _ETHERNET_IPV4:
            raise WireError("not ARP for IPv4 over Ethernet")
        operation = reader.u16()
        if operation not in (REQUEST, REPLY):
            raise WireError(f"ARP operation {operation}")
        return cls(operation, reader.take(6), reader.ipv4(), reader.take(6), reader.ipv4())

    def encode(self) -> bytes:
        sender = self.sender_mac + self.sender.packed
        return _ETHERNET_IPV4 + self.operation.to_bytes(2, "big") + sender + self.target_mac + self.target.packed


def probe(address: IPv4Address, mac: bytes) -> Frame:
    """Asks whether anybody has the address; changes nobody's cache (RFC 5227 1.1)."""
    return _broadcast(Arp(REQUEST, mac, _UNSPECIFIED, bytes(6), address))


def announcement(address: IPv4Address, mac: bytes) -> Frame:
    """Tells everybody that the address is here now (RFC 5227 1.1, 2.3)."""
    return _broadcast(Arp(REQUEST, mac, address, bytes(6), address))


def _broadcast(arp: Arp) -> Frame:
    return Frame(BROADCAST, arp.sender_mac, TYPE_ARP, arp.encode())


def claims(arp: Arp, address: IPv4Address, ours: Container[bytes]) -> bool:
    """Whether the packet shows another machine that has the address (RFC 5227 2.4)."""
    return arp.sender == address and arp.sender_mac not in ours


def wants(arp: Arp, address: IPv4Address, ours: Container[bytes]) -> bool:
    """Whether the packet shows another machine that is about to take the address (RFC 5227 2.1.1)."""
    probing = arp.operation == REQUEST and arp.sender == _UNSPECIFIED and arp.target == address
    return probing and arp.sender_mac not in ours
