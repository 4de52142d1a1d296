"""IPv4 (RFC 791) and IPv6 (RFC 8200) packets, with options and extension headers.

A value encodes to the very bytes it was decoded from, wrong checksums included; only
Ethernet's padding behind the packet is not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple, TypeAlias

from vipd.errors import WireError
from vipd.model.director import Address
from vipd.wire.checksum import internet_checksum
from vipd.wire.reader import Reader

HOP_BY_HOP: Final = 0
ICMP: Final = 1
IP_IN_IP: Final = 4
TCP: Final = 6
UDP: Final = 17
IPV6_IN_IP: Final = 41
ROUTING: Final = 43
FRAGMENT: Final = 44
ICMPV6: Final = 58
NO_NEXT_HEADER: Final = 59
DESTINATION_OPTIONS: Final = 60
EXTENSIONS: Final = frozenset({HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS})
"Extension headers of RFC 8200 whose end can be told."

DONT_FRAGMENT: Final = 0b010
MORE_FRAGMENTS: Final = 0b001
LOOSE_ROUTE: Final = 131
STRICT_ROUTE: Final = 137
"Options of IPv4 by which a sender asks for a way of his own (RFC 791 3.1)."
_V4_HEADER: Final = 20
_V6_HEADER: Final = 40


class Fragmentation(NamedTuple):
    """Which part of a datagram this is. `offset` in bytes."""

    identification: int
    offset: int
    more: bool


@dataclass(frozen=True, slots=True)
class IPv4:
    source: IPv4Address
    destination: IPv4Address
    protocol: int
    payload: bytes
    ttl: int = 64
    traffic_class: int = 0
    "DSCP and ECN (RFC 2474, RFC 3168)."
    identification: int = 0
    flags: int = 0
    "Three bits (RFC 791 3.1): reserved, DONT_FRAGMENT, MORE_FRAGMENTS."
    offset: int = 0
    "Of a fragment, in bytes: a multiple of 8."
    options: bytes = b""
    "Filled up to a multiple of 4, at most 40."
    checksum: int | None = None
    "As it stands on the wire where that is not the right one."

    @classmethod
    def decode(cls, packet: bytes, whole: bool = True) -> IPv4:
        """`whole` false: a quote in an ICMP error, which may end anywhere behind the header."""
        reader = Reader(packet)
        first = reader.u8()
        if first >> 4 != 4:
            raise WireError(f"IP version {first >> 4}, not 4")
        header = (first & 0xF) * 4
        traffic_class, length, identification, fragment = reader.u8(), reader.u16(), reader.u16(), reader.u16()
        ttl, protocol, checksum = reader.u8(), reader.u8(), reader.u16()
        source, destination = reader.ipv4(), reader.ipv4()
        if header < _V4_HEADER or length < header:
            raise WireError(f"header of {header} bytes in an IPv4 packet of {length}")
        options = reader.take(header - _V4_HEADER)
        payload = reader.take(length - header if whole else min(length - header, reader.left))
        offset = (fragment & 0x1FFF) * 8
        made = cls(
            source, destination, protocol, payload, ttl, traffic_class, identification, fragment >> 13, offset, options
        )
        return made if made._header(length)[10:12] == packet[10:12] else replace(made, checksum=checksum)

    def encode(self) -> bytes:
        return self._header(_V4_HEADER + len(self.options) + len(self.payload)) + self.payload

    def _header(self, length: int) -> bytes:
        fragment = self.flags << 13 | self.offset // 8
        words = 4 << 12 | (_V4_HEADER + len(self.options)) // 4 << 8 | self.traffic_class
        start = (words << 48 | length << 32 | self.identification << 16 | fragment).to_bytes(8, "big")
        start += bytes((self.ttl, self.protocol))
        end = self.source.packed + self.destination.packed + self.options
        checksum = internet_checksum(start + end) if self.checksum is None else self.checksum
        return start + checksum.to_bytes(2, "big") + end

    @property
    def fragmentation(self) -> Fragmentation | None:
        more = bool(self.flags & MORE_FRAGMENTS)
        return Fragmentation(self.identification, self.offset, more) if more or self.offset else None


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension header. `content` is all of it behind the byte that names the next header."""

    kind: int
    content: bytes

    @property
    def fragmentation(self) -> Fragmentation | None:
        """Of a fragment header; also of one that is the only fragment (RFC 6946)."""
        if self.kind != FRAGMENT:
            return None
        word = int.from_bytes(self.content[1:3], "big")
        return Fragmentation(int.from_bytes(self.content[3:7], "big"), word & 0xFFF8, bool(word & 1))


def fragment_header(identification: int, offset: int, more: bool) -> Extension:
    """RFC 8200 4.5. `offset` in bytes, a multiple of 8."""
    return Extension(FRAGMENT, bytes(1) + (offset | more).to_bytes(2, "big") + identification.to_bytes(4, "big"))


def options_header(kind: int, options: bytes = b"") -> Extension:
    """Hop-by-hop or destination options, filled up with PadN or Pad1 (RFC 8200 4.2, 4.3, 4.6)."""
    room = -(len(options) + 2) % 8
    padding = bytes(room) if room < 2 else bytes((1, room - 2)) + bytes(room - 2)
    return Extension(kind, bytes(((len(options) + 2 + room) // 8 - 1,)) + options + padding)


@dataclass(frozen=True, slots=True)
class IPv6:
    source: IPv6Address
    destination: IPv6Address
    protocol: int
    "What `payload` is: the last next header. Of a later fragment, what the datagram goes on with."
    payload: bytes
    hop_limit: int = 64
    traffic_class: int = 0
    flow_label: int = 0
    extensions: tuple[Extension, ...] = ()

    @classmethod
    def decode(cls, packet: bytes, whole: bool = True) -> IPv6:
        """`whole` false: a quote in an ICMP error, which may end anywhere behind the header."""
        reader = Reader(packet)
        word, length, following, hop_limit = reader.u32(), reader.u16(), reader.u8(), reader.u8()
        if word >> 28 != 6:
            raise WireError(f"IP version {word >> 28}, not 6")
        source, destination = reader.ipv6(), reader.ipv6()
        if length == 0 and following == HOP_BY_HOP:
            raise WireError("a jumbogram (RFC 2675), whose length is in an option")
        body = Reader(reader.take(length if whole else min(length, reader.left)))
        extensions: list[Extension] = []
        while following in EXTENSIONS and not (extensions and _is_later(extensions[-1])):
            kind = following
            following, extension = _read_extension(body, kind)
            extensions.append(extension)
        return cls(
            source, destination, following, body.rest(), hop_limit, word >> 20 & 0xFF, word & 0xFFFFF, tuple(extensions)
        )

    def encode(self) -> bytes:
        kinds = [each.kind for each in self.extensions] + [self.protocol]
        body = b"".join(
            bytes((following,)) + each.content for each, following in zip(self.extensions, kinds[1:], strict=True)
        )
        body += self.payload
        first = 6 << 28 | self.traffic_class << 20 | self.flow_label
        header = (first << 32 | len(body) << 16 | kinds[0] << 8 | self.hop_limit).to_bytes(8, "big")
        return header + self.source.packed + self.destination.packed + body

    @property
    def fragmentation(self) -> Fragmentation | None:
        """None for an atomic fragment too, which is a whole packet (RFC 6946)."""
        for extension in self.extensions:
            part = extension.fragmentation
            if part is not None and (part.more or part.offset):
                return part
        return None


Packet: TypeAlias = IPv4 | IPv6


def decode(packet: bytes, whole: bool = True) -> Packet:
    """By its own version."""
    version = Reader(packet).u8() >> 4
    if version == 4:
        return IPv4.decode(packet, whole)
    if version == 6:
        return IPv6.decode(packet, whole)
    raise WireError(f"IP version {version}")


def build(
    source: Address, destination: Address, protocol: int, payload: bytes, ttl: int = 64, traffic_class: int = 0
) -> Packet:
    """A packet between two addresses of one family that no router may fragment."""
    if isinstance(source, IPv4Address) and isinstance(destination, IPv4Address):
        return IPv4(source, destination, protocol, payload, ttl, traffic_class, flags=DONT_FRAGMENT)
    if isinstance(source, IPv6Address) and isinstance(destination, IPv6Address):
        return IPv6(source, destination, protocol, payload, ttl, traffic_class)
    raise ValueError(f"from {source} to {destination}, which are of two families")


def options(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and value of each option of IPv4 (RFC 791 3.1) or TCP (RFC 9293 3.1), until the list ends."""
    reader = Reader(raw)
    while reader.left:
        kind = reader.u8()
        if kind == 0:
            return
        if kind == 1:
            yield kind, b""
            continue
        size = reader.u8()
        if size < 2:
            raise WireError(f"option {kind} of {size} bytes")
        yield kind, reader.take(size - 2)


def _is_later(extension: Extension) -> bool:
    """Behind the header of a fragment that is not the first, no header begins."""
    part = extension.fragmentation
    return part is not None and part.offset > 0


def _read_extension(body: Reader, kind: int) -> tuple[int, Extension]:
    following, content = body.u8(), body.take(7)
    if kind != FRAGMENT:
        content += body.take(content[0] * 8)
    return following, Extension(kind, content)
