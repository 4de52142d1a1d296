"""Cisco HDLC: its header, and the packets of SLARP, its own protocol for addresses and keep-alive.

No standard describes it; the layouts are those that Cisco's routers, Linux and tcpdump agree on
(and RFC 1547 4.3 mentions).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address
from typing import Final, TypeAlias

from vipd.errors import WireError
from vipd.wire.reader import Reader

UNICAST: Final = 0x0F
BROADCAST: Final = 0x8F
_RELIABILITY: Final = 0xFFFF


class Type(IntEnum):
    """EtherTypes, and two of Cisco's own."""

    IPV4 = 0x0800
    CDP = 0x2000
    SLARP = 0x8035
    IPV6 = 0x86DD
    MPLS = 0x8847
    OSI = 0xFEFE


class SlarpCode(IntEnum):
    ADDRESS_REQUEST = 0
    ADDRESS_REPLY = 1
    KEEPALIVE = 2


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands between two flags, without the FCS."""

    address: int
    type: int
    payload: bytes

    @classmethod
    def decode(cls, data: bytes) -> Frame:
        reader = Reader(data)
        address, control = reader.u8(), reader.u8()
        if address not in (UNICAST, BROADCAST):
            raise WireError(f"address 0x{address:02x} at offset 0, 0x0f or 0x8f expected")
        if control != 0:
            raise WireError(f"control field 0x{control:02x} at offset 1, 0 expected")
        return cls(address, reader.u16(), reader.rest())

    def encode(self) -> bytes:
        return bytes((self.address, 0)) + self.type.to_bytes(2, "big") + self.payload


@dataclass(frozen=True, slots=True)
class AddressRequest:
    """Who are you? Whoever knows its address answers."""

    def encode(self) -> bytes:
        return _slarp(SlarpCode.ADDRESS_REQUEST, bytes(8))


@dataclass(frozen=True, slots=True)
class AddressReply:
    """The sender's own address and network mask."""

    address: IPv4Address
    mask: IPv4Address

    def encode(self) -> bytes:
        return _slarp(SlarpCode.ADDRESS_REPLY, self.address.packed + self.mask.packed)


@dataclass(frozen=True, slots=True)
class Keepalive:
    """`sequence` is the sender's; `seen` is the last that it has from the other end, 0 for none."""

    sequence: int
    seen: int
    uptime: int = 0
    "Of the sender, in milliseconds; it says nothing to anybody, but some refuse a packet without it."

    def encode(self) -> bytes:
        numbers = self.sequence.to_bytes(4, "big") + self.seen.to_bytes(4, "big")
        return _slarp(SlarpCode.KEEPALIVE, numbers, self.uptime)


Slarp: TypeAlias = AddressRequest | AddressReply | Keepalive


def _slarp(code: SlarpCode, values: bytes, uptime: int = 0) -> bytes:
    return code.to_bytes(4, "big") + values + _RELIABILITY.to_bytes(2, "big") + uptime.to_bytes(4, "big")


def decode_slarp(payload: bytes) -> Slarp:
    """A packet may end before the uptime; what follows it is padding."""
    reader = Reader(payload)
    code, first, second, _reliability = reader.u32(), reader.take(4), reader.take(4), reader.u16()
    uptime = reader.u32() if reader.left >= 4 else 0
    match code:
        case SlarpCode.ADDRESS_REQUEST:
            return AddressRequest()
        case SlarpCode.ADDRESS_REPLY:
            return AddressReply(IPv4Address(first), IPv4Address(second))
        case SlarpCode.KEEPALIVE:
            return Keepalive(int.from_bytes(first, "big"), int.from_bytes(second, "big"), uptime)
        case _:
            raise WireError(f"SLARP code {code}, 0 to 2 expected")
