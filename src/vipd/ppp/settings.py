"""What one end of a PPP link wants and will do. Values; valid once built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Final

from vipd.model.secret import Secret

DEFAULT_MRU: Final = 1500
"RFC 1661 6.1; every end must be able to take it."
DEFAULT_ACCM: Final = 0xFFFF_FFFF
"RFC 1662 7.1: escape every control character."
SMALLEST_MRU: Final = {4: 68, 6: 1280}
"What IP demands of a link: RFC 791 section 3.2, RFC 8200 section 5."
READABLE: Final = 80
"Octets of what a peer wrote that a message shows."


class AuthMethod(StrEnum):
    CHAP = "chap"
    "With MD5 (RFC 1994)."
    PAP = "pap"
    "The secret in clear (RFC 1334)."


@dataclass(frozen=True, slots=True)
class Timing:
    """RFC 1661 4.6, in seconds and tries; the defaults are the RFC's."""

    restart: float = 3.0
    max_terminate: int = 2
    max_configure: int = 10
    max_failure: int = 5


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are, if the peer asks."""

    name: str
    secret: Secret
    methods: tuple[AuthMethod, ...] = (AuthMethod.CHAP,)
    "What we answer; without PAP the secret never leaves us."


@dataclass(frozen=True, slots=True)
class Demand:
    """Who the peer must prove to be."""

    secrets: Mapping[str, Secret]
    "By the name that the peer gives."
    methods: tuple[AuthMethod, ...] = (AuthMethod.CHAP,)
    "The one we like best first."
    name: str = "vipd"
    "Ours, as CHAP's challenge tells it."
    again: float = 0.0
    "Seconds between two challenges once the link is up (CHAP alone); 0 for never."


@dataclass(frozen=True, slots=True)
class Ipv4:
    local: IPv4Address | None = None
    "None: the peer gives us one."
    remote: IPv4Address | None = None
    "None: the peer says its own."
    dns: tuple[IPv4Address, ...] = ()
    "Given to a peer that asks, at most two (RFC 1877)."


@dataclass(frozen=True, slots=True)
class Ipv6:
    identifier: bytes | None = None
    "The lower half of our link-local address, 8 octets; None: a random one."


@dataclass(frozen=True, slots=True)
class Echo:
    """Keep-alive by Echo-Request (RFC 1661 5.8)."""

    interval: float = 10.0
    "Seconds; 0 for none."
    failures: int = 3
    "So many in a row without reply end the link."


@dataclass(frozen=True, slots=True)
class Settings:
    mru: int = DEFAULT_MRU
    "The largest packet that we take."
    accm: int | None = 0
    "The control characters that the peer shall escape; None on lines without (bit-stuffed)."
    compress: bool = True
    "Address, control and protocol fields, both ways (RFC 1661 6.5, 6.6)."
    identity: Identity | None = None
    demand: Demand | None = None
    ipv4: Ipv4 | None = field(default_factory=Ipv4)
    ipv6: Ipv6 | None = None
    echo: Echo = field(default_factory=Echo)
    timing: Timing = field(default_factory=Timing)
    passive: bool = False
    "Wait for ever for a peer that does not answer, instead of giving up (RFC 1661 4.1, the option [p])."


def readable(data: bytes) -> str:
    """What a peer wrote, so that it can stand in a message."""
    text = data[:READABLE].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "?" for character in text)
