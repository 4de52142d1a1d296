"""PPP's header (RFC 1661 section 2, RFC 1662 3.1) and control packets (RFC 1661 section 5). Knows no option."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from vipd.errors import WireError
from vipd.wire.reader import Reader

ALL_STATIONS: Final = 0xFF
UNNUMBERED_INFORMATION: Final = 0x03
ADDRESS_AND_CONTROL: Final = bytes((ALL_STATIONS, UNNUMBERED_INFORMATION))
HEADER_SIZE: Final = 4
"Of a packet with a code: code, identifier, length."
_LARGEST_OPTION: Final = 253
"Octets of data."


class Protocol(IntEnum):
    """The protocols of RFC 1661 section 2 and the assigned numbers that this program can name."""

    IPV4 = 0x0021
    VAN_JACOBSON_COMPRESSED = 0x002D
    VAN_JACOBSON_UNCOMPRESSED = 0x002F
    BRIDGING = 0x0031
    MULTILINK = 0x003D
    IPV6 = 0x0057
    COMPRESSED = 0x00FD
    MPLS = 0x0281
    IPCP = 0x8021
    BRIDGING_CONTROL = 0x8031
    ENCRYPTION_CONTROL = 0x8053
    IPV6CP = 0x8057
    COMPRESSION_CONTROL = 0x80FD
    MPLS_CONTROL = 0x8281
    LCP = 0xC021
    PAP = 0xC023
    LINK_QUALITY_REPORT = 0xC025
    CHAP = 0xC223
    EAP = 0xC227


class Code(IntEnum):
    """What a control packet is. All but the last six are every control protocol's, those are LCP's alone."""

    CONFIGURE_REQUEST = 1
    CONFIGURE_ACK = 2
    CONFIGURE_NAK = 3
    CONFIGURE_REJECT = 4
    TERMINATE_REQUEST = 5
    TERMINATE_ACK = 6
    CODE_REJECT = 7
    PROTOCOL_REJECT = 8
    ECHO_REQUEST = 9
    ECHO_REPLY = 10
    DISCARD_REQUEST = 11
    IDENTIFICATION = 12
    "RFC 1570 2.1."
    TIME_REMAINING = 13
    "RFC 1570 2.2."


def protocol_name(number: int) -> str:
    try:
        return Protocol(number).name.replace("_", " ")
    except ValueError:
        return f"protocol 0x{number:04x}"


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands between two flags, without the FCS."""

    protocol: int
    payload: bytes
    "Also padding, which the protocol must tell from data."
    address_compressed: bool = False
    "Address and control left out (RFC 1661 6.6)."
    protocol_compressed: bool = False
    "One octet of protocol instead of two (RFC 1661 6.5)."

    @classmethod
    def decode(cls, data: bytes) -> Frame:
        """Every form is understood, agreed or not: the peer may have seen the Ack that was lost on us."""
        reader = Reader(data)
        first = reader.u8()
        compressed = first != ALL_STATIONS
        if not compressed:
            control = reader.u8()
            if control != UNNUMBERED_INFORMATION:
                raise WireError(f"control field 0x{control:02x} at offset 1, 0x03 expected")
            first = reader.u8()
        # The lowest bit tells a protocol's last octet (RFC 1661 section 2).
        if first & 1:
            return cls(first, reader.rest(), compressed, True)
        second = reader.u8()
        if not second & 1:
            raise WireError(f"protocol 0x{first:02x}{second:02x} is even")
        return cls(first << 8 | second, reader.rest(), compressed, False)

    def encode(self) -> bytes:
        prefix = b"" if self.address_compressed else ADDRESS_AND_CONTROL
        size = 1 if self.protocol_compressed and self.protocol < 0x100 else 2
        return prefix + self.protocol.to_bytes(size, "big") + self.payload


@dataclass(frozen=True, slots=True)
class Packet:
    """A control packet of any protocol; PAP's and CHAP's have the same header."""

    code: int
    identifier: int
    data: bytes = b""

    @classmethod
    def decode(cls, payload: bytes) -> Packet:
        """What follows the length is padding (RFC 1661 section 5)."""
        reader = Reader(payload)
        code, identifier, length = reader.u8(), reader.u8(), reader.u16()
        if length < HEADER_SIZE:
            raise WireError(f"length {length} at offset 2, {HEADER_SIZE} is the least")
        return cls(code, identifier, reader.take(length - HEADER_SIZE))

    def encode(self) -> bytes:
        return bytes((self.code, self.identifier)) + (HEADER_SIZE + len(self.data)).to_bytes(2, "big") + self.data

    def __str__(self) -> str:
        return f"{code_name(self.code)} {self.identifier}"


def code_name(code: int) -> str:
    """As the RFC writes it, for control protocols."""
    try:
        return Code(code).name.replace("_", "-").title()
    except ValueError:
        return f"code {code}"


@dataclass(frozen=True, slots=True)
class Option:
    """A Configuration Option (RFC 1661 section 6): type and data; the length is the data's."""

    kind: int
    data: bytes = b""

    @property
    def number(self) -> int:
        """The data as a number."""
        return int.from_bytes(self.data, "big")

    def encode(self) -> bytes:
        if len(self.data) > _LARGEST_OPTION:
            raise WireError(f"an option of {len(self.data)} octets, {_LARGEST_OPTION} is the most")
        return bytes((self.kind, 2 + len(self.data))) + self.data


def decode_options(data: bytes) -> tuple[Option, ...]:
    """All of a Configure-* packet's data, or none: an option that is cut off makes the packet invalid."""
    reader = Reader(data)
    options = []
    while reader.left:
        offset = len(data) - reader.left
        kind, length = reader.u8(), reader.u8()
        if length < 2:
            raise WireError(f"option {kind} of length {length} at offset {offset}")
        options.append(Option(kind, reader.take(length - 2)))
    return tuple(options)


def encode_options(options: Iterable[Option]) -> bytes:
    return b"".join(option.encode() for option in options)


@dataclass(frozen=True, slots=True)
class Echo:
    """The data of Echo-Request, Echo-Reply and Discard-Request (RFC 1661 5.8, 5.9)."""

    magic: int
    "The sender's; 0 while it has none."
    data: bytes = b""

    @classmethod
    def decode(cls, data: bytes) -> Echo:
        reader = Reader(data)
        return cls(reader.u32(), reader.rest())

    def encode(self) -> bytes:
        return self.magic.to_bytes(4, "big") + self.data


@dataclass(frozen=True, slots=True)
class ProtocolReject:
    """The data of a Protocol-Reject (RFC 1661 5.7)."""

    protocol: int
    information: bytes
    "What was rejected, perhaps cut off."

    @classmethod
    def decode(cls, data: bytes) -> ProtocolReject:
        reader = Reader(data)
        return cls(reader.u16(), reader.rest())

    def encode(self) -> bytes:
        return self.protocol.to_bytes(2, "big") + self.information
