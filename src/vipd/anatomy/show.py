"""Values as people write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from vipd.wire.ethernet import mac_text

_MANY: Final = 8
"Octets of data that are written out."


def count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def decimal(number: int) -> str:
    return str(number)


def hexadecimal(width: int) -> Callable[[int], str]:
    """Of a field of as many bits."""
    return lambda number: f"0x{number:0{(width + 3) // 4}x}"


hex8: Final = hexadecimal(8)
hex16: Final = hexadecimal(16)
hex32: Final = hexadecimal(32)


def binary(width: int) -> Callable[[int], str]:
    return lambda number: f"{number:0{width}b}"


def flag(number: int) -> str:
    return "set" if number else "not set"


def octets(value: bytes) -> str:
    if len(value) <= _MANY:
        return value.hex(" ")
    return f"{value[:_MANY].hex(' ')} … {count(len(value), 'octet')}"


def mac(value: bytes) -> str:
    return mac_text(value)


def ipv4(value: bytes) -> str:
    return str(IPv4Address(value))


def ipv6(value: bytes) -> str:
    return str(IPv6Address(value))


def words(value: bytes) -> str:
    """Text of anybody; what is no printable ASCII is written as an escape."""
    written = "".join(chr(octet) if 32 <= octet < 127 and octet != 92 else f"\\x{octet:02x}" for octet in value)
    return f'"{written}"'


def named(names: Mapping[int, str], otherwise: str = "") -> Callable[[int], str]:
    return lambda number: names.get(number, otherwise)


def right(expected: int) -> Callable[[int], str]:
    return lambda number: "right" if number == expected else ""


def unless(right_one: int, expected: str) -> Callable[[int], str]:
    """A fault where the number is another."""
    return lambda number: "" if number == right_one else f"{expected} expected"
