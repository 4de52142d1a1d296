"""Headers where they stand in a packet: read at their offset, changed in place, checksums kept.

For packets that may lie: nothing is checked but that the bytes are there, what a header means
is for others to say. Whoever wants a packet as a value takes `ip.decode`. A packet is an IP header
at the front of a bytearray; `offset` counts from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import Final, NamedTuple

from vipd.model.director import Address
from vipd.wire import ip
from vipd.wire.checksum import updated
from vipd.wire.transport import MSS

_V4: Final = Struct("!BBHHHBBH4s4s")
_V6: Final = Struct("!IHBB16s16s")
_TCP: Final = Struct("!HHIIH")
_UDP: Final = Struct("!HHHH")
_CHECKSUM: Final = {ip.TCP: 16, ip.UDP: 6}
"Where a transport header has its checksum."
_TCP_HEADER: Final = 20


class Network(NamedTuple):
    """What an IP header says, of either version."""

    version: int
    "The header that was looked for; `says_version` is what the packet claims."
    says_version: int
    source: Address
    destination: Address
    protocol: int
    "What follows the fixed header: of IPv6 perhaps an extension header."
    header: int
    "Bytes of it, options included."
    length: int
    "Bytes of the whole packet."
    ttl: int
    traffic_class: int
    identification: int
    "0 for IPv6."
    dont_fragment: bool
    "Always so for IPv6, whose packets only their sender may fragment (RFC 8200 5)."
    fragmentation: ip.Fragmentation | None
    "Of IPv4; IPv6 has an extension header for it."
    options: bytes
    "Of IPv4, as many as are there; see `ip.options`."

    @property
    def icmp(self) -> int:
        """The protocol that this version's control messages are."""
        return ip.ICMP if self.version == 4 else ip.ICMPV6


def read_network(packet: bytes | bytearray, version: int, at: int = 0) -> Network | None:
    """None where the bytes end before the fixed header does."""
    if len(packet) - at < (_V4 if version == 4 else _V6).size:
        return None
    return _read_v4(packet, at) if version == 4 else _read_v6(packet, at)


def _read_v4(packet: bytes | bytearray, at: int) -> Network:
    first, service, length, number, fragment, ttl, protocol, _, source, destination = _V4.unpack_from(packet, at)
    more, offset = bool(fragment & 0x2000), (fragment & 0x1FFF) * 8
    return Network(
        4,
        first >> 4,
        IPv4Address(source),
        IPv4Address(destination),
        protocol,
        (first & 0xF) * 4,
        length,
        ttl,
        service,
        number,
        bool(fragment & 0x4000),
        ip.Fragmentation(number, offset, more) if more or offset else None,
        bytes(packet[at + _V4.size : at + (first & 0xF) * 4]),
    )


def _read_v6(packet: bytes | bytearray, at: int) -> Network:
    word, length, protocol, ttl, source, destination = _V6.unpack_from(packet, at)
    return Network(
        6,
        word >> 28,
        IPv6Address(source),
        IPv6Address(destination),
        protocol,
        _V6.size,
        _V6.size + length,
        ttl,
        word >> 20 & 0xFF,
        0,
        True,
        None,
        b"",
    )


class ExtensionAt(NamedTuple):
    """An extension header of IPv6. The walk decides itself whether to go on."""

    kind: int
    following: int
    "What it says comes next."
    end: int
    "Offset behind it."
    fragmentation: ip.Fragmentation | None
    segments_left: int
    "Of a routing header, else 0."


def walk_extensions(packet: bytes | bytearray, network: Network) -> Iterator[ExtensionAt | None]:
    """The chain of IPv6's extension headers, as long as they follow; None, the last, where the bytes end before."""
    following, at = network.protocol, network.header
    while network.version == 6 and following in ip.EXTENSIONS:
        kind = following
        size = 8 if kind == ip.FRAGMENT or at + 2 > len(packet) else (packet[at + 1] + 1) * 8
        if at + size > len(packet):
            yield None
            return
        following = packet[at]
        part = ip.Extension(kind, bytes(packet[at + 1 : at + 8])).fragmentation
        at += size
        yield ExtensionAt(kind, following, at, part, packet[at - size + 3] if kind == ip.ROUTING else 0)


class TcpAt(NamedTuple):
    source_port: int
    destination_port: int
    sequence: int
    acknowledgment: int
    header: int
    "Bytes of it, options included."
    flags: int
    "As `transport.FLAGS` has them."


def read_tcp(packet: bytes | bytearray, offset: int) -> TcpAt | None:
    """None where the bytes end before the fixed header does."""
    if len(packet) - offset < _TCP_HEADER:
        return None
    source, destination, sequence, acknowledgment, word = _TCP.unpack_from(packet, offset)
    return TcpAt(source, destination, sequence, acknowledgment, (word >> 12) * 4, word & 0xFF)


class UdpAt(NamedTuple):
    source_port: int
    destination_port: int
    length: int


def read_udp(packet: bytes | bytearray, offset: int) -> UdpAt | None:
    """None where the bytes end before the header does."""
    if len(packet) - offset < _UDP.size:
        return None
    source, destination, length, _ = _UDP.unpack_from(packet, offset)
    return UdpAt(source, destination, length)


class Quote(NamedTuple):
    """The packet that an ICMP error brings back, as far as it tells the flow."""

    network: Network
    at: int
    ports_at: int
    source_port: int
    destination_port: int


def read_quote(packet: bytes | bytearray, version: int, at: int, end: int) -> Quote | None:
    """A quote at offset `at`, of which eight bytes of transport stand before `end` (RFC 792); None where not.

    The first fragment's, or of a whole packet, and in IPv6 directly behind the header: else no ports are there.
    """
    network = read_network(packet, version, at)
    if network is None or network.says_version != version or network.header < (20 if version == 4 else 40):
        return None
    ports_at = at + network.header
    part = network.fragmentation
    if (part is not None and part.offset) or ports_at + 8 > min(end, len(packet)):
        return None
    source, destination, *_ = _UDP.unpack_from(packet, ports_at)
    return Quote(network, at, ports_at, source, destination)


def put_address(packet: bytearray, which: str, new: Address, at: int = 0) -> bytes:
    """Make `new` the "source" or "destination" of the IP header at `at`; what stood there."""
    size, first = len(new.packed), 12 if new.version == 4 else 8
    place = at + first + (size if which == "destination" else 0)
    old = bytes(packet[place : place + size])
    packet[place : place + size] = new.packed
    if new.version == 4:
        _sum(packet, at + 10, old, new.packed)
    return old


def put_port(packet: bytearray, which: str, new: int, ports_at: int) -> bytes:
    """The same for the port of a TCP or UDP header."""
    place = ports_at + (2 if which == "destination" else 0)
    old = bytes(packet[place : place + 2])
    packet[place : place + 2] = new.to_bytes(2, "big")
    return old


def sum_transport(packet: bytearray, protocol: int, offset: int, old: bytes, new: bytes) -> None:
    """The checksum of the TCP or UDP header at `offset`, after `old` became `new` (RFC 768: 0 is none, and stays)."""
    at = offset + _CHECKSUM[protocol]
    if protocol == ip.UDP and not any(packet[at : at + 2]):
        return
    _sum(packet, at, old, new)
    if protocol == ip.UDP and not any(packet[at : at + 2]):
        packet[at : at + 2] = b"\xff\xff"


def sum_icmp(packet: bytearray, offset: int, old: bytes, new: bytes) -> None:
    _sum(packet, offset + 2, old, new)


def lower_ttl(packet: bytearray, version: int) -> None:
    """One less, as each router does (RFC 1812 5.3.1, RFC 8200 3)."""
    if version == 6:
        packet[7] -= 1
        return
    old = bytes(packet[8:10])
    packet[8] -= 1
    _sum(packet, 10, old, bytes(packet[8:10]))


def lower_mss(packet: bytearray, offset: int, limit: int) -> int | None:
    """Let the TCP header at `offset` offer no larger segments; what it offered, None where nothing changed."""
    end = offset + (packet[offset + 12] >> 4) * 4
    at = offset + _TCP_HEADER
    while at + 4 <= end and packet[at]:
        kind, size = packet[at], 1 if packet[at] == 1 else packet[at + 1]
        if kind == MSS and size == 4:
            return _lower(packet, offset, at + 2, limit)
        if kind != 1 and size < 2:
            return None
        at += size
    return None


def _lower(packet: bytearray, offset: int, at: int, limit: int) -> int | None:
    offered = int.from_bytes(packet[at : at + 2], "big")
    if offered <= limit:
        return None
    # On an odd offset the two bytes are halves of two words.
    first, last = at - (at - offset) % 2, at + 2 + (at - offset) % 2
    old = bytes(packet[first:last])
    packet[at : at + 2] = limit.to_bytes(2, "big")
    _sum(packet, offset + _CHECKSUM[ip.TCP], old, bytes(packet[first:last]))
    return offered


def _sum(packet: bytearray, at: int, old: bytes, new: bytes) -> None:
    checksum = updated(int.from_bytes(packet[at : at + 2], "big"), old, new)
    packet[at : at + 2] = checksum.to_bytes(2, "big")
