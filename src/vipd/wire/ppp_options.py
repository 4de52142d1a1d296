"""The options of LCP, IPCP and IPV6CP: their numbers, the sizes of their data, how each is built."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from ipaddress import IPv4Address
from typing import Final

from vipd.wire.ppp import Option, Protocol


class Lcp(IntEnum):
    """RFC 1661 section 6, RFC 1662 section 7, RFC 1570 section 3."""

    MRU = 1
    ACCM = 2
    AUTHENTICATION = 3
    QUALITY = 4
    MAGIC = 5
    PROTOCOL_COMPRESSION = 7
    ADDRESS_COMPRESSION = 8
    FCS_ALTERNATIVES = 9
    SELF_DESCRIBING_PADDING = 10
    CALLBACK = 13
    COMPOUND_FRAMES = 15
    MULTILINK_MRRU = 17
    "RFC 1990 5.1."
    SHORT_SEQUENCE = 18
    ENDPOINT_DISCRIMINATOR = 19


class Ipcp(IntEnum):
    """RFC 1332 section 3, RFC 1877 section 1."""

    ADDRESSES = 1
    "Deprecated."
    COMPRESSION = 2
    ADDRESS = 3
    PRIMARY_DNS = 129
    PRIMARY_NBNS = 130
    SECONDARY_DNS = 131
    SECONDARY_NBNS = 132


class Ipv6cp(IntEnum):
    """RFC 5072 section 4."""

    IDENTIFIER = 1
    COMPRESSION = 2


NAMES: Final[Mapping[int, type[IntEnum]]] = {Protocol.LCP: Lcp, Protocol.IPCP: Ipcp, Protocol.IPV6CP: Ipv6cp}
"By the control protocol."

SIZES: Final[Mapping[int, Mapping[int, int]]] = {
    Protocol.LCP: {
        Lcp.MRU: 2,
        Lcp.ACCM: 4,
        Lcp.MAGIC: 4,
        Lcp.PROTOCOL_COMPRESSION: 0,
        Lcp.ADDRESS_COMPRESSION: 0,
    },
    Protocol.IPCP: {
        Ipcp.ADDRESS: 4,
        Ipcp.PRIMARY_DNS: 4,
        Ipcp.PRIMARY_NBNS: 4,
        Ipcp.SECONDARY_DNS: 4,
        Ipcp.SECONDARY_NBNS: 4,
    },
    Protocol.IPV6CP: {Ipv6cp.IDENTIFIER: 8},
}
"Octets of data, by control protocol and option, where the RFC knows only one size."

CHAP_WITH_MD5: Final = Protocol.CHAP.to_bytes(2, "big") + b"\x05"
"What the authentication option says for it (RFC 1994 section 3)."
PAP: Final = Protocol.PAP.to_bytes(2, "big")


def option_name(protocol: int, kind: int) -> str:
    try:
        return NAMES[protocol](kind).name.replace("_", " ").lower()
    except (KeyError, ValueError):
        return f"option {kind}"


def right_size(protocol: int, option: Option) -> bool:
    """Also of an option that is not known, or has no size of its own."""
    return SIZES[protocol].get(option.kind, len(option.data)) == len(option.data)


def mru(size: int) -> Option:
    return Option(Lcp.MRU, size.to_bytes(2, "big"))


def accm(characters: int) -> Option:
    return Option(Lcp.ACCM, characters.to_bytes(4, "big"))


def magic(number: int) -> Option:
    return Option(Lcp.MAGIC, number.to_bytes(4, "big"))


def ipv4_address(kind: Ipcp, address: IPv4Address) -> Option:
    return Option(kind, address.packed)
