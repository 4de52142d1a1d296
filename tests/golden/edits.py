"""Bytes of a frame changed, and the sums that follow (RFC 1624), so that a wrong one stays as wrong as it was."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Self

ETHERNET: Final = 14
TCP, UDP, ICMP, ICMPV6, FRAGMENT = 6, 17, 1, 58, 44
IPV4, IPV6 = b"\x08\x00", b"\x86\xdd"
_EXTENSIONS: Final = (0, 43, 60, FRAGMENT)
_SUM: Final = {TCP: 16, UDP: 6, ICMP: 2, ICMPV6: 2}
"Where a transport has its sum."


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def words(data: bytes) -> int:
    padded = data + bytes(len(data) % 2)
    return sum(int.from_bytes(padded[n : n + 2], "big") for n in range(0, len(padded), 2))


def adjusted(check: int, old: bytes, new: bytes) -> int:
    """Equation 3; both of the same length."""
    total = (~check & 0xFFFF) + words(bytes(~byte & 0xFF for byte in old)) + words(new)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are in a frame with IP in it."""

    family: int
    source: int
    "The destination follows."
    width: int
    "Of an address."
    protocol: int
    transport: int
    "Where it begins."
    later: bool
    "A fragment without the transport's header."

    @classmethod
    def of(cls, raw: bytes) -> Self:
        if raw[12:14] == IPV4:
            later = bool(int.from_bytes(raw[20:22], "big") & 0x1FFF)
            return cls(4, 26, 4, raw[23], ETHERNET + (raw[14] & 0xF) * 4, later)
        protocol, at, later = raw[20], 54, False
        while protocol in _EXTENSIONS and not later:
            if protocol == FRAGMENT:
                later = bool(int.from_bytes(raw[at + 2 : at + 4], "big") & 0xFFF8)
                size = 8
            else:
                size = (raw[at + 1] + 1) * 8
            protocol, at = raw[at], at + size
        return cls(6, 22, 16, protocol, at, later)

    @property
    def destination(self) -> int:
        return self.source + self.width


def put(raw: bytes, at: int, new: bytes) -> bytes:
    return raw[:at] + new + raw[at + len(new) :]


def sum_put(raw: bytes, at: int, old: bytes, new: bytes) -> bytes:
    """The sum at this place, after such a change of what it covers."""
    return put(raw, at, adjusted(int.from_bytes(raw[at : at + 2], "big"), old, new).to_bytes(2, "big"))


def header_put(raw: bytes, at: int, new: bytes, begins: int = ETHERNET) -> bytes:
    """A field of the IP header that begins there, with IPv4's own sum; `at` is even from its beginning."""
    changed = put(raw, at, new)
    if raw[begins] >> 4 == 4:
        changed = sum_put(changed, begins + 10, raw[at : at + len(new)], new)
    return changed


def ttl_put(raw: bytes, ttl: int, begins: int = ETHERNET) -> bytes:
    if raw[begins] >> 4 == 4:
        return header_put(raw, begins + 8, bytes([ttl, raw[begins + 9]]), begins)
    return put(raw, begins + 7, bytes([ttl]))


def ttl_of(raw: bytes) -> int:
    return raw[22] if raw[12:14] == IPV4 else raw[21]


def transport_put(raw: bytes, address_at: int, address: str, port_at: int | None, port: int) -> bytes:
    """Another address, and a port of the transport where there is one, as NAT does it."""
    layout = Layout.of(raw)
    old, new = raw[address_at : address_at + layout.width], ip_address(address).packed
    changed = header_put(raw, address_at, new)
    if layout.later or layout.protocol not in (TCP, UDP):
        return changed
    if port_at is not None:
        place = layout.transport + port_at
        old, new = old + raw[place : place + 2], new + port.to_bytes(2, "big")
        changed = put(changed, place, port.to_bytes(2, "big"))
    at = layout.transport + _SUM[layout.protocol]
    if layout.protocol == UDP and raw[at : at + 2] == bytes(2):
        return changed
    changed = sum_put(changed, at, old, new)
    return put(changed, at, b"\xff\xff") if changed[at : at + 2] == bytes(2) and layout.protocol == UDP else changed


def error_put(raw: bytes, outer_at: int, inner_at: int, port_at: int, address: str, port: int) -> bytes:
    """An ICMP error with another address on it, and in the packet that it quotes, with a port there.

    `inner_at`, `port_at`: from where the quoted header begins. The quoted transport's sum stays.
    """
    layout = Layout.of(raw)
    quote = layout.transport + 8
    size = (raw[quote] & 0xF) * 4 if raw[quote] >> 4 == 4 else 40
    new = ip_address(address).packed
    changed = header_put(raw, quote + inner_at, new, quote)
    changed = put(changed, quote + size + port_at, port.to_bytes(2, "big"))
    before, after = raw[quote:], changed[quote:]
    if layout.family == 6:
        before, after = raw[outer_at : outer_at + 16] + before, new + after
    changed = sum_put(changed, layout.transport + 2, before, after)
    return header_put(changed, outer_at, new)
