"""What one end of a PPP link wants and will do. Values; ConfigError where they would make no sense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Final

from vipd.errors import require
from vipd.model.link import IDENTIFIER_SIZE, SMALLEST_MTU, can_be_an_end
from vipd.model.secret import Secret

DEFAULT_MRU: Final = 1500
"RFC 1661 6.1; every end must be able to take it."
DEFAULT_ACCM: Final = 0xFFFF_FFFF
"RFC 1662 7.1: escape every control character."
LARGEST_MRU: Final = 0xFFFF
LARGEST_NAME: Final = 255
"Octets of a name or a secret."
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

    def __post_init__(self) -> None:
        require(self.restart > 0, "restart", f"{self.restart} is no time to wait; more than 0 s")
        for name in ("max_terminate", "max_configure", "max_failure"):
            require(getattr(self, name) >= 1, name, f"{getattr(self, name)} is too few; 1 or more")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are, if the peer asks."""

    name: str
    secret: Secret
    methods: tuple[AuthMethod, ...] = (AuthMethod.CHAP,)
    "What we answer; without PAP the secret never leaves us."

    def __post_init__(self) -> None:
        _require_name(self.name, self.secret)
        require(bool(self.methods), "methods", "none is given; chap, pap or both")


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

    def __post_init__(self) -> None:
        require(bool(self.secrets), "secrets", "none is given, so no peer could prove who it is")
        for name, secret in self.secrets.items():
            _require_name(name, secret)
        _require_name(self.name, None)
        require(bool(self.methods), "methods", "none is given; chap, pap or both")
        require(self.again >= 0, "again", f"{self.again} is no time to wait; 0 s (never) or more")


@dataclass(frozen=True, slots=True)
class Ipv4:
    local: IPv4Address | None = None
    "None: the peer gives us one."
    remote: IPv4Address | None = None
    "None: the peer says its own."

    def __post_init__(self) -> None:
        for name, address in (("local", self.local), ("remote", self.remote)):
            require(
                address is None or can_be_an_end(address), name, f"{address} cannot be the address of one end of a link"
            )
        require(self.local is None or self.local != self.remote, "remote", f"{self.remote} is the local address too")


@dataclass(frozen=True, slots=True)
class Ipv6:
    identifier: bytes | None = None
    "The lower half of our link-local address, 8 octets; None: a random one."

    def __post_init__(self) -> None:
        fits = self.identifier is None or (len(self.identifier) == IDENTIFIER_SIZE and any(self.identifier))
        require(fits, "identifier", f"{IDENTIFIER_SIZE} octets expected, not all of them 0")


@dataclass(frozen=True, slots=True)
class Echo:
    """Keep-alive by Echo-Request (RFC 1661 5.8)."""

    interval: float = 10.0
    "Seconds; 0 for none."
    failures: int = 3
    "So many in a row without reply end the link."

    def __post_init__(self) -> None:
        require(self.interval >= 0, "interval", f"{self.interval} is no time to wait; 0 s (no echo) or more")
        require(self.failures >= 1, "failures", f"{self.failures} is too few; 1 or more")


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

    def __post_init__(self) -> None:
        require(bool(self.ipv4 or self.ipv6), "ipv4", "neither IPv4 nor IPv6 is wanted; one of them, or both")
        least = smallest_mru(self)
        require(least <= self.mru <= LARGEST_MRU, "mru", f"{self.mru} is not possible; {least} to {LARGEST_MRU}")
        require(self.accm is None or 0 <= self.accm <= DEFAULT_ACCM, "accm", "one bit for each of 32 characters")


def smallest_mru(settings: Settings) -> int:
    return SMALLEST_MTU[6 if settings.ipv6 else 4]


def _require_name(name: str, secret: Secret | None) -> None:
    """PAP has one octet for either length (RFC 1334 2.2.1)."""
    size = len(name.encode())
    require(1 <= size <= LARGEST_NAME, "name", f"{size} octets; 1 to {LARGEST_NAME}")
    if secret:
        size = len(secret.reveal())
        require(1 <= size <= LARGEST_NAME, "secret", f"{size} octets; 1 to {LARGEST_NAME}")


def readable(data: bytes) -> str:
    """What a peer wrote, so that it can stand in a message."""
    text = data[:READABLE].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "?" for character in text)
