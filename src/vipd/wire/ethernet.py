"""Ethernet frames (IEEE 802.3 clause 3), with VLAN tags (802.1Q 9); without preamble and FCS."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final

from vipd.errors import WireError
from vipd.wire.reader import Reader

BROADCAST: Final = b"\xff" * 6
HEADER: Final = 14
"Octets, without a tag: both addresses and the type."
TYPE_IPV4: Final = 0x0800
TYPE_ARP: Final = 0x0806
TYPE_IPV6: Final = 0x86DD
IP_TYPES: Final = {4: TYPE_IPV4, 6: TYPE_IPV6}
"By version."
TYPE_VLAN: Final = 0x8100
"802.1Q: the customer's tag, the only or the inner one."
TYPE_SERVICE_VLAN: Final = 0x88A8
"802.1ad: the provider's tag, outside of the customer's."
TAG_TYPES: Final = (TYPE_VLAN, TYPE_SERVICE_VLAN)

MAX_LENGTH: Final = 1500
"Up to here the field behind the addresses is a length (802.3 3.2.6)."
MIN_TYPE: Final = 0x0600
_HEX: Final = frozenset("0123456789abcdefABCDEF")
MIN_FRAME: Final = 60
"Octets without FCS: a shorter one could end before a collision at the far end is heard."


@dataclass(frozen=True, slots=True)
class Tag:
    vlan: int
    "0: the tag tells a priority only; 4095 is reserved."
    priority: int = 0
    drop_eligible: bool = False
    type: int = TYPE_VLAN

    def encode(self) -> bytes:
        control = self.priority << 13 | self.drop_eligible << 12 | self.vlan
        return self.type.to_bytes(2, "big") + control.to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class Frame:
    destination: bytes
    source: bytes
    type: int
    "An EtherType; or the length of the payload, where it is at most `MAX_LENGTH`."
    payload: bytes
    "With its padding, if it has any: only a length tells where that begins."
    tags: tuple[Tag, ...] = ()
    "The outermost first."

    @classmethod
    def decode(cls, data: bytes) -> Frame:
        reader = Reader(data)
        destination, source, kind = reader.take(6), reader.take(6), reader.u16()
        tags = []
        while kind in TAG_TYPES:
            control = reader.u16()
            tags.append(Tag(control & 0xFFF, control >> 13, bool(control & 0x1000), kind))
            kind = reader.u16()
        return cls(destination, source, kind, reader.rest(), tuple(tags))

    def encode(self) -> bytes:
        tags = b"".join(tag.encode() for tag in self.tags)
        return self.destination + self.source + tags + self.type.to_bytes(2, "big") + self.payload

    def counted_payload(self) -> bytes:
        """What the length counts (LLC), without the padding; `WireError` where there is no length, or a wrong one."""
        if self.type >= MIN_TYPE:
            raise WireError(f"{self.type:#06x} is an EtherType, no length")
        if self.type > MAX_LENGTH:
            raise WireError(f"{self.type:#06x} is neither an EtherType nor a length")
        if self.type > len(self.payload):
            raise WireError(f"a length of {self.type} octets, but the frame has {len(self.payload)} left")
        return self.payload[: self.type]


def padded(frame: bytes) -> bytes:
    """With as many zeros as the minimum wants."""
    return frame.ljust(MIN_FRAME, b"\0")


def mac_text(mac: bytes) -> str:
    return ":".join(f"{byte:02x}" for byte in mac)


def mac_bytes(text: str) -> bytes:
    """As it is written by `mac_text`, with hyphens instead, in three parts with dots, or without anything between."""
    for between, digits in ((":", 2), ("-", 2), (".", 4), ("", 12)):
        parts = text.split(between) if between else [text]
        if len(parts) * digits == 12 and all(len(part) == digits and _HEX.issuperset(part) for part in parts):
            return bytes.fromhex("".join(parts))
    raise WireError(f"{text!r} is no MAC address; 02:00:00:00:00:01 is")


def multicast_mac(group: IPv6Address) -> bytes:
    """RFC 2464 section 7."""
    return b"\x33\x33" + group.packed[12:]
