"""A point-to-point link as values: how it is framed, what its protocol machine wants done. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Protocol, TypeAlias

SMALLEST_MTU: Final = {4: 68, 6: 1280}
"What IP demands of a link: RFC 791 section 3.2, RFC 8200 section 5."
IDENTIFIER_SIZE: Final = 8
"Octets of an IPv6 interface identifier."
_LINK_LOCAL: Final = IPv6Address("fe80::").packed[:8]
_UNIVERSAL: Final = 0x02
"Of an identifier's first octet: unique in the world (RFC 4291 2.5.1)."


class Framing(StrEnum):
    ASYNC = "async"
    "Octet-stuffed (RFC 1662 section 4)."
    BIT = "bit"
    "Bit-stuffed (RFC 1662 section 5, ISO 13239)."


class Encapsulation(StrEnum):
    PPP = "ppp"
    CISCO_HDLC = "cisco-hdlc"


class Phase(StrEnum):
    """RFC 1661 3.2; Cisco HDLC knows dead, establish and network alone."""

    DEAD = "dead"
    ESTABLISH = "establish"
    AUTHENTICATE = "authenticate"
    NETWORK = "network"
    TERMINATE = "terminate"


@dataclass(frozen=True, slots=True)
class Send:
    """Put a frame on the line: from its address field on, or where that is compressed, its protocol; no FCS."""

    frame: bytes
    plain: bool = False
    "As if nothing were agreed (RFC 1661 section 5): an octet-stuffed line escapes every control character in it."


@dataclass(frozen=True, slots=True)
class Deliver:
    """An IP packet for the network."""

    packet: bytes


@dataclass(frozen=True, slots=True)
class Reframe:
    """Octet-stuffed lines: which control characters to escape from now on, and which to ignore (RFC 1662 7.1).

    It concerns the very next frame on the line, so also what was read together with the one just received.
    """

    send_accm: int
    receive_accm: int


@dataclass(frozen=True, slots=True)
class Up:
    """Packets of this family may pass; `mtu` is the largest that the peer takes."""

    local: IPv4Address | IPv6Address
    remote: IPv4Address | IPv6Address | None
    "None where the protocol does not tell (IPv6 over Cisco HDLC)."
    mtu: int


@dataclass(frozen=True, slots=True)
class Down:
    """Packets of this family may pass no more."""

    version: int
    reason: str


@dataclass(frozen=True, slots=True)
class Hangup:
    """The link is over; the line may be tried anew. `fatal`: it would end the same way (a wrong secret)."""

    reason: str
    fatal: bool = False


Effect: TypeAlias = Send | Deliver | Reframe | Up | Down | Hangup


class LinkMachine(Protocol):
    """A link protocol without its line: time and frames go in, effects come out.

    A machine serves one line after the other: `start`, then `lost` or a `Hangup`, then `start` again.
    """

    @property
    def phase(self) -> Phase: ...

    @property
    def deadline(self) -> float:
        """When `tick` is due; infinity for never."""

    @property
    def agreed(self) -> Mapping[str, str]:
        """What the two ends have agreed on, by name, for people to read; empty while nothing is."""

    @property
    def counters(self) -> Mapping[str, int]:
        """Frames that were dropped and other events, by name, since the machine was made."""

    def start(self, now: float) -> list[Effect]:
        """The line is up."""

    def receive(self, frame: bytes, now: float) -> list[Effect]:
        """What a deframer found, without its FCS; hostile until parsed."""

    def tick(self, now: float) -> list[Effect]: ...

    def lost(self, now: float) -> list[Effect]:
        """The line is gone: `Down` for each family that was up. Nothing can be sent, no `Hangup` follows."""

    def stop(self, now: float) -> list[Effect]:
        """End it politely; `Hangup` follows, at once or after a terminate handshake."""

    def frame(self, packet: bytes) -> bytes | None:
        """An IP packet as the frame to send; None while its family may not pass."""


def can_be_an_end(address: IPv4Address) -> bool:
    """Whether one end of a link may have the address."""
    return not (address.is_multicast or address.is_loopback or address.is_reserved or address.is_unspecified)


def link_local(identifier: bytes) -> IPv6Address:
    """RFC 4291 2.5.6."""
    return IPv6Address(_LINK_LOCAL + identifier)


def random_identifier(random: Callable[[int], bytes]) -> bytes:
    """Not unique in the world, and never all zero, which stands for none (RFC 5072 4.1)."""
    first, *others = random(IDENTIFIER_SIZE)
    identifier = bytes((first & ~_UNIVERSAL, *others))
    return identifier if any(identifier) else bytes((1, *others))
