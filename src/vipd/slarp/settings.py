"""What one end of a Cisco HDLC link is. Values; ConfigError where they would make no sense."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Final

from vipd.errors import require
from vipd.model.link import IDENTIFIER_SIZE, SMALLEST_MTU, can_be_an_end

OF_TWO: Final = (30, 31)
"Prefix lengths of networks that have room for two ends and no more."


@dataclass(frozen=True, slots=True)
class Ipv4:
    local: IPv4Address | None = None
    "None: told by the peer's address (SLARP)."
    remote: IPv4Address | None = None
    "None: told by ours, in a network of two."
    prefix: int = 30
    "The length that we tell a peer that asks."

    def __post_init__(self) -> None:
        require(1 <= self.prefix <= 32, "prefix", f"{self.prefix} is no length of an IPv4 prefix")
        for name, address in (("local", self.local), ("remote", self.remote)):
            require(
                address is None or can_be_an_end(address), name, f"{address} cannot be the address of one end of a link"
            )
        if self.local is None:
            require(self.remote is None, "remote", "only with a local address; without, both come from the peer")
            return
        require(self.local != self.remote, "remote", f"{self.remote} is the local address too")
        known = self.remote is not None or other_end(self.local, self.prefix) is not None
        require(known, "remote", f"{self.local}/{self.prefix} does not tell it; give one")


@dataclass(frozen=True, slots=True)
class Ipv6:
    identifier: bytes | None = None
    "The lower half of our link-local address, 8 octets; None: a random one."

    def __post_init__(self) -> None:
        fits = self.identifier is None or (len(self.identifier) == IDENTIFIER_SIZE and any(self.identifier))
        require(fits, "identifier", "8 octets expected, not all of them 0")


@dataclass(frozen=True, slots=True)
class Settings:
    ipv4: Ipv4 | None = field(default_factory=Ipv4)
    ipv6: Ipv6 | None = None
    mtu: int = 1500
    interval: float = 10.0
    "Seconds between keep-alives; 0 for none, and a link that is up at once."
    misses: int = 3
    "More keep-alives than that without an answer end the link."

    def __post_init__(self) -> None:
        require(bool(self.ipv4 or self.ipv6), "ipv4", "neither IPv4 nor IPv6 is wanted; one of them, or both")
        least = SMALLEST_MTU[6 if self.ipv6 else 4]
        require(least <= self.mtu <= 0xFFFF, "mtu", f"{self.mtu} is not possible; {least} to 65535")
        require(self.interval >= 0, "interval", f"{self.interval} is no time to wait; 0 s (none) or more")
        require(self.misses >= 1, "misses", f"{self.misses} is too few; 1 or more")


def other_end(address: IPv4Address, prefix: int) -> IPv4Address | None:
    """The only other host of a network of two."""
    if prefix not in OF_TWO:
        return None
    if prefix == 31:
        return IPv4Address(int(address) ^ 1)
    place = int(address) & 3
    return IPv4Address(int(address) ^ 3) if place in (1, 2) else None
