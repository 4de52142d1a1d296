"""Everything that `vipd link up` is told, as values; what does not fit together is refused by its name.

What a protocol does not allow its own settings refuse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface, ip_interface, ip_network
from pathlib import Path
from typing import Final, TypeVar

from vipd.errors import ConfigError, Problem
from vipd.model.director import Network
from vipd.model.line import XON_XOFF, Flow, Place, Serial
from vipd.model.link import Encapsulation, Framing
from vipd.model.peer import Peer

V = TypeVar("V")

_INTERFACE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_ACCM: Final = re.compile(r"[0-9A-Fa-f]{1,8}")
_INTERFACE_NAMES: Final = "up to 15 letters, digits, '_', '.' and '-'"


class Auth(StrEnum):
    """By what the peer must prove who it is."""

    NONE = "none"
    CHAP = "chap"
    PAP = "pap"


@dataclass(frozen=True, slots=True)
class Ends:
    """IPv4 addresses; None where the peer is to tell."""

    local: IPv4Address | None
    remote: IPv4Address | None


@dataclass(frozen=True, slots=True)
class Proof:
    """Who we are, and whom we believe."""

    auth: Auth = Auth.NONE
    user: str | None = None
    "Our own name, where the peer asks."
    allow_pap: bool = False
    "Send the secret in clear where the peer asks for PAP."
    peer_user: str | None = None
    "The one name that the peer may have."
    secrets: Path | None = None
    again: float = 0.0
    "Seconds until the peer must prove itself once more (CHAP alone); 0 for never."


@dataclass(frozen=True, slots=True)
class Keepalive:
    interval: float = 10.0
    "Seconds; 0 for none."
    failures: int = 3
    "Unanswered in a row that end the link."


@dataclass(frozen=True, slots=True)
class Options:
    peer: Peer
    place: Place
    interface: str
    framing: Framing
    encapsulation: Encapsulation
    ipv4: Ends | None
    ipv6: bool
    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()
    routes: tuple[Network, ...] = ()
    proof: Proof = Proof()
    keepalive: Keepalive = Keepalive()
    mru: int = 1500
    accm: int = 0
    fcs: int = 16
    compress: bool = True
    pcap: Path | None = None

    def __post_init__(self) -> None:
        problems = [Problem(option, message) for option, message in self._mistakes()]
        if problems:
            raise ConfigError(problems)

    def _mistakes(self) -> Sequence[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        cisco = self.encapsulation is Encapsulation.CISCO_HDLC
        if self.ipv4 is None and not self.ipv6:
            found.append(("ipv4", "no packets may pass; --ipv4 LOCAL:REMOTE (or --ipv4 : to be told), --ipv6, or both"))
        if self.fcs not in (16, 32):
            found.append(("fcs", f"{self.fcs} bits; 16 or 32 is allowed"))
        if not _INTERFACE.fullmatch(self.interface):
            found.append(("interface", f"{self.interface!r} cannot name an interface; {_INTERFACE_NAMES} can"))
        proof = self.proof
        if cisco and (proof.auth is not Auth.NONE or proof.user or proof.peer_user or proof.secrets):
            found.append(("encapsulation", "cisco-hdlc has no way to prove who one is; leave --auth and --user out"))
        if proof.auth is Auth.NONE and proof.peer_user:
            found.append(("peer-user", "nothing is asked of the peer; --auth chap asks for its name and proof"))
        if proof.again and proof.auth is not Auth.CHAP:
            found.append(("chap-interval", "only CHAP asks again; --auth chap asks at all"))
        if proof.allow_pap and not proof.user:
            found.append(("allow-pap", "it is about our own proof; --user NAME says who we are"))
        # A family that is off would keep them from ever being set.
        versions = {4: self.ipv4 is not None, 6: self.ipv6}
        for option, values in (("address", self.addresses), ("route", self.routes)):
            found += [
                (option, f"{value} is IPv{value.version}, which this link does not carry; --ipv{value.version} does")
                for value in values
                if not versions[value.version]
            ]
        return found


def default_accm(place: Place) -> int:
    """Only what the line itself eats need be escaped."""
    return XON_XOFF if isinstance(place, Serial) and place.flow is Flow.XONXOFF else 0


def parse_ends(text: str) -> Ends:
    local, colon, remote = text.partition(":")
    if not colon:
        raise _refusal("ipv4", f"{text!r} has no colon; LOCAL:REMOTE is expected, either of them empty to be told it")
    ends = Ends(*(_parsed("ipv4", each, IPv4Address, "an IPv4 address") if each else None for each in (local, remote)))
    if ends.local is not None and ends.local == ends.remote:
        raise _refusal("ipv4", f"both ends are {ends.local}; two different addresses are expected")
    return ends


def parse_address(text: str) -> IPv4Interface | IPv6Interface:
    return _parsed("address", text, ip_interface, "ADDRESS or ADDRESS/PREFIX")


def parse_route(text: str) -> Network:
    return _parsed("route", text, ip_network, "an address or ADDRESS/PREFIX")


def parse_accm(text: str) -> int:
    if not _ACCM.fullmatch(text):
        raise _refusal("accm", f"{text!r} is no map of 32 characters; up to eight hexadecimal digits are expected")
    return int(text, 16)


def _parsed(option: str, text: str, parse: Callable[[str], V], allowed: str) -> V:
    try:
        return parse(text)
    except ValueError as error:
        raise _refusal(option, f"{error}; {allowed} is expected") from None


def _refusal(option: str, message: str) -> ConfigError:
    return ConfigError([Problem(option, message)])
