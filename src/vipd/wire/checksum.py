"""The Internet checksum (RFC 1071) and what precedes a transport's bytes in it."""

from __future__ import annotations

from vipd.model.director import Address


def internet_checksum(data: bytes) -> int:
    """The complement of the ones' complement sum; 0 over bytes that hold their own right checksum."""
    if len(data) % 2:
        data += b"\0"
    number = int.from_bytes(data, "big")
    # 2^16 leaves 1 when divided by 2^16 - 1, so the sum of all words is one remainder;
    # it is 0 for all-zero data alone, else 0xffff (RFC 1071 section 2, "-0").
    total = number % 0xFFFF or (0xFFFF if number else 0)
    return 0xFFFF - total


def pseudo_header(source: Address, destination: Address, protocol: int, length: int) -> bytes:
    """RFC 9293 3.1 for IPv4, RFC 8200 8.1 for IPv6."""
    if source.version == 4:
        return source.packed + destination.packed + bytes((0, protocol)) + length.to_bytes(2, "big")
    return source.packed + destination.packed + length.to_bytes(4, "big") + bytes((0, 0, 0, protocol))


def updated(checksum: int, old: bytes, new: bytes) -> int:
    """The checksum after the words `old` became `new` (RFC 1624 equation 3: ~(~HC + ~m + m')).

    Right stays right, and wrong stays as wrong as it was.
    """
    total = (checksum ^ 0xFFFF) + _ones(len(old)) - int.from_bytes(old, "big") + int.from_bytes(new, "big")
    return 0xFFFF - (total % 0xFFFF or (0xFFFF if total else 0))


def _ones(size: int) -> int:
    """As many bits as `size` bytes have, all set: what a number is taken from for its complement."""
    return (1 << 8 * size) - 1
