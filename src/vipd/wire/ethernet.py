"""Ethernet II frames (IEEE 802.3 clause 3), untagged."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final

from vipd.errors import WireError
from vipd.wire.reader import Reader

BROADCAST: Final = b"\xff" * 6
TYPE_ARP: Final = 0x0806
TYPE_IPV6: Final = 0x86DD


@dataclass(frozen=True, slots=True)
class Frame:
    destination: bytes
    source: bytes
    type: int
    payload: bytes

    @classmethod
    def decode(cls, data: bytes) -> Frame:
        reader = Reader(data)
        return cls(reader.take(6), reader.take(6), reader.u16(), reader.rest())

    def encode(self) -> bytes:
        return self.destination + self.source + self.type.to_bytes(2, "big") + self.payload


def mac_text(mac: bytes) -> str:
    return ":".join(f"{byte:02x}" for byte in mac)


def mac_bytes(text: str) -> bytes:
    try:
        mac = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        raise WireError(f"{text!r} is no MAC address") from None
    if len(mac) != 6:
        raise WireError(f"{text!r} is no MAC address")
    return mac


def multicast_mac(group: IPv6Address) -> bytes:
    """RFC 2464 section 7."""
    return b"\x33\x33" + group.packed[12:]
