"""What IPV6CP negotiates (RFC 5072 section 4). Knows no state and sends nothing."""

from __future__ import annotations

from collections.abc import Container
from ipaddress import IPv6Address
from typing import Final

from vipd.model.link import IDENTIFIER_SIZE, link_local, random_identifier
from vipd.ppp.negotiation import Random
from vipd.ppp.settings import Ipv6
from vipd.wire import ppp_options as wire
from vipd.wire.ppp import Option, Protocol
from vipd.wire.ppp_options import Ipv6cp

NONE: Final = bytes(IDENTIFIER_SIZE)


class Ipv6cpPolicy:
    def __init__(self, settings: Ipv6, random: Random) -> None:
        self.hopeless = ""
        self._random = random
        self._own = self._peer = NONE
        self._first = settings.identifier or random_identifier(random)
        self.renew()

    @property
    def addresses(self) -> tuple[IPv6Address, IPv6Address] | None:
        """Ours and the peer's, both link-local (RFC 5072 section 5), once both are known."""
        if NONE in (self._own, self._peer) or self._own == self._peer:
            return None
        return link_local(self._own), link_local(self._peer)

    def renew(self) -> None:
        """The identifier stays, if it can: the network's addresses are made of it."""
        self._wish = self._first

    def wanted(self) -> tuple[Option, ...]:
        return (Option(Ipv6cp.IDENTIFIER, self._wish),)

    def judge(self, option: Option) -> Option | None:
        """The cases of RFC 5072 4.1; a compression protocol is refused."""
        if option.kind != Ipv6cp.IDENTIFIER:
            return None
        if wire.right_size(Protocol.IPV6CP, option) and option.data not in (NONE, self._wish):
            return option
        return Option(Ipv6cp.IDENTIFIER, self._other_than(self._wish))

    def missing(self, kinds: Container[int]) -> tuple[Option, ...]:
        return () if Ipv6cp.IDENTIFIER in kinds else (Option(Ipv6cp.IDENTIFIER, self._other_than(self._wish)),)

    def grant(self, options: tuple[Option, ...]) -> None:
        self._peer = _identifier(options)

    def accept(self, options: tuple[Option, ...]) -> None:
        self._own = _identifier(options)

    def nak(self, option: Option) -> None:
        """What the peer suggests is taken if it is none's yet (RFC 5072 4.1)."""
        if option.kind != Ipv6cp.IDENTIFIER or not wire.right_size(Protocol.IPV6CP, option):
            return
        taken = option.data in (NONE, self._peer)
        self._wish = random_identifier(self._random) if taken else option.data

    def reject(self, option: Option) -> None:
        """Without an identifier there is no IPv6; the Reject may be but one Nak too many (RFC 1661 4.6)."""
        if option.kind == Ipv6cp.IDENTIFIER:
            self._wish = random_identifier(self._random)

    def _other_than(self, identifier: bytes) -> bytes:
        other = random_identifier(self._random)
        return other if other != identifier else bytes((other[0] ^ 1, *other[1:]))


def _identifier(options: tuple[Option, ...]) -> bytes:
    return next((option.data for option in options if option.kind == Ipv6cp.IDENTIFIER), NONE)
