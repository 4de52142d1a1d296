"""Neighbour solicitation and advertisement (RFC 4861 4.3, 4.4) with the IPv6 header around them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final, TypeAlias

from vipd.errors import WireError
from vipd.wire.checksum import internet_checksum, pseudo_header
from vipd.wire.ethernet import TYPE_IPV6, Frame, multicast_mac
from vipd.wire.reader import Reader

ICMPV6: Final = 58
SOLICITATION: Final = 135
ADVERTISEMENT: Final = 136
ALL_NODES: Final = IPv6Address("ff02::1")
UNSPECIFIED: Final = IPv6Address(0)
_SOURCE_MAC: Final = 1
_TARGET_MAC: Final = 2
_HOP_LIMIT: Final = 255
_ROUTER, _SOLICITED, _OVERRIDE = 1 << 31, 1 << 30, 1 << 29


@dataclass(frozen=True, slots=True)
class Solicitation:
    source: IPv6Address
    destination: IPv6Address
    target: IPv6Address
    mac: bytes | None
    "Of the sender; None while it checks an address for duplicates."

    def encode(self) -> bytes:
        return _encode(self.source, self.destination, SOLICITATION, 0, self.target, _option(_SOURCE_MAC, self.mac))


@dataclass(frozen=True, slots=True)
class Advertisement:
    source: IPv6Address
    destination: IPv6Address
    target: IPv6Address
    mac: bytes | None
    router: bool = False
    solicited: bool = False
    override: bool = False

    def encode(self) -> bytes:
        flags = _ROUTER * self.router | _SOLICITED * self.solicited | _OVERRIDE * self.override
        return _encode(self.source, self.destination, ADVERTISEMENT, flags, self.target, _option(_TARGET_MAC, self.mac))


Message: TypeAlias = Solicitation | Advertisement


def decode(packet: bytes) -> Message:
    """An IPv6 packet; the checks are those of RFC 4861 7.1.1 and 7.1.2."""
    outer = Reader(packet)
    version, length, protocol, hop_limit = outer.u32() >> 28, outer.u16(), outer.u8(), outer.u8()
    if version != 6 or protocol != ICMPV6 or hop_limit != _HOP_LIMIT:
        raise WireError("not a neighbour message of this link")
    source, destination = outer.ipv6(), outer.ipv6()
    body = outer.take(length)
    if internet_checksum(pseudo_header(source, destination, ICMPV6, length) + body):
        raise WireError("bad checksum")
    reader = Reader(body)
    kind, code, _checksum, flags, target = reader.u8(), reader.u8(), reader.u16(), reader.u32(), reader.ipv6()
    if kind not in (SOLICITATION, ADVERTISEMENT) or code or target.is_multicast:
        raise WireError("not a neighbour solicitation or advertisement")
    if kind == SOLICITATION:
        return Solicitation(source, destination, target, _read_mac(reader, _SOURCE_MAC))
    mac = _read_mac(reader, _TARGET_MAC)
    return Advertisement(
        source, destination, target, mac, bool(flags & _ROUTER), bool(flags & _SOLICITED), bool(flags & _OVERRIDE)
    )


def solicited_node(address: IPv6Address) -> IPv6Address:
    """RFC 4291 2.7.1."""
    return IPv6Address(IPv6Address("ff02::1:ff00:0").packed[:13] + address.packed[13:])


def probe(address: IPv6Address, mac: bytes) -> Frame:
    """Asks whether anybody has the address; changes nobody's cache (RFC 4862 5.4.2)."""
    group = solicited_node(address)
    return Frame(multicast_mac(group), mac, TYPE_IPV6, Solicitation(UNSPECIFIED, group, address, None).encode())


def announcement(address: IPv6Address, mac: bytes, router: bool) -> Frame:
    """Tells everybody that the address is here now (RFC 4861 7.2.6). `router` as the kernel would say."""
    message = Advertisement(address, ALL_NODES, address, mac, router=router, override=True)
    return Frame(multicast_mac(ALL_NODES), mac, TYPE_IPV6, message.encode())


def _option(kind: int, mac: bytes | None) -> bytes:
    return b"" if mac is None else bytes((kind, 1)) + mac


def _read_mac(reader: Reader, wanted: int) -> bytes | None:
    found = None
    while reader.left:
        kind, size = reader.u8(), reader.u8() * 8
        if size == 0:
            raise WireError("option of length 0")
        value = reader.take(size - 2)
        if kind == wanted and len(value) == 6:
            found = value
    return found


def _encode(
    source: IPv6Address, destination: IPv6Address, kind: int, flags: int, target: IPv6Address, option: bytes
) -> bytes:
    rest = flags.to_bytes(4, "big") + target.packed + option
    length = 4 + len(rest)
    header = pseudo_header(source, destination, ICMPV6, length)
    checksum = internet_checksum(header + bytes((kind, 0, 0, 0)) + rest)
    ip = (6 << 28).to_bytes(4, "big") + length.to_bytes(2, "big") + bytes((ICMPV6, _HOP_LIMIT))
    return ip + source.packed + destination.packed + bytes((kind, 0)) + checksum.to_bytes(2, "big") + rest
