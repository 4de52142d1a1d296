"""Frames on the lab's wires, read as far as a drawing needs. Pure; knows no socket."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from vipd.model.director import Address

_IPV4, _IPV6 = 0x0800, 0x86DD
_IPIP, _TCP, _UDP, _IPV6_IN_IP = 4, 6, 17, 41
_TRANSPORTS: Final = {_TCP: "tcp", _UDP: "udp"}
_ETHERNET: Final = 14


@dataclass(frozen=True, slots=True)
class Addresses:
    """Of one IP header."""

    source: Address
    destination: Address


@dataclass(frozen=True, slots=True)
class Packet:
    """`outer` is the tunnel's header, if there is one."""

    addresses: Addresses
    transport: str
    source_port: int
    destination_port: int
    outer: Addresses | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """A frame on the wire between two hosts."""

    sender: str
    receiver: str
    packet: Packet


def decode(frame: bytes) -> Packet | None:
    """None for all that is neither TCP nor UDP over IP, tunnelled or not."""
    kind = int.from_bytes(frame[12:_ETHERNET], "big")
    return decode_packet(frame[_ETHERNET:]) if kind in (_IPV4, _IPV6) else None


def decode_packet(data: bytes) -> Packet | None:
    """The same without Ethernet."""
    try:
        addresses, protocol, rest = _ip(data, data[0] >> 4 if data else 0)
        outer = None
        if protocol in (_IPIP, _IPV6_IN_IP):
            outer = addresses
            addresses, protocol, rest = _ip(rest, 4 if protocol == _IPIP else 6)
        if protocol not in _TRANSPORTS:
            return None
        source_port, destination_port = struct.unpack_from("!HH", rest)
    except struct.error:
        return None
    return Packet(addresses, _TRANSPORTS[protocol], source_port, destination_port, outer)


def _ip(data: bytes, family: int) -> tuple[Addresses, int, bytes]:
    if family == 4:
        length, protocol, source, destination = struct.unpack_from("!B8xB2x4s4s", data)
        return Addresses(IPv4Address(source), IPv4Address(destination)), protocol, data[4 * (length & 15) :]
    protocol, source, destination = struct.unpack_from("!6xBx16s16s", data)
    return Addresses(IPv6Address(source), IPv6Address(destination)), protocol, data[40:]


def sighting(sender: str, hosts: Mapping[bytes, str], frame: bytes) -> Sighting | None:
    """`hosts` by their MAC addresses."""
    packet = decode(frame)
    receiver = hosts.get(frame[:6])
    return None if packet is None or receiver is None else Sighting(sender, receiver, packet)


@dataclass(frozen=True, slots=True)
class Paths:
    """Of the first packet of a conversation and of the first one back, hop by hop."""

    there: tuple[Sighting, ...]
    back: tuple[Sighting, ...]


def paths(sightings: Iterable[Sighting], client: Address) -> Paths:
    """Of the conversation that the client began last, without what an earlier one still sends.

    A packet's hops are what first passed between two hosts; the client's address tells the direction.
    """
    there: dict[int, dict[tuple[str, str], Sighting]] = {}
    back: dict[int, dict[tuple[str, str], Sighting]] = {}
    for seen in sightings:
        packet, between = seen.packet, (seen.sender, seen.receiver)
        if packet.addresses.source == client:
            there.setdefault(packet.source_port, {}).setdefault(between, seen)
        elif packet.addresses.destination == client:
            back.setdefault(packet.destination_port, {}).setdefault(between, seen)
    port = next(reversed(there), 0)
    return Paths(tuple(there.get(port, {}).values()), tuple(back.get(port, {}).values()))
