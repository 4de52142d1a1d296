"""What IPCP negotiates (RFC 1332). Knows no state and sends nothing."""

from __future__ import annotations

from collections.abc import Container
from ipaddress import IPv4Address
from typing import Final

from vipd.model.link import can_be_an_end
from vipd.ppp.settings import Ipv4
from vipd.wire import ppp_options as wire
from vipd.wire.ppp import Option, Protocol
from vipd.wire.ppp_options import Ipcp

NONE: Final = IPv4Address(0)
"Which asks the other end for an address (RFC 1332 3.3)."


class IpcpPolicy:
    def __init__(self, settings: Ipv4) -> None:
        self._settings = settings
        self._own = self._peer = NONE
        self.renew()

    @property
    def addresses(self) -> tuple[IPv4Address, IPv4Address] | None:
        """Ours and the peer's, once both are known."""
        own, peer = self._own, self._peer
        if peer == NONE:
            peer = self._settings.remote or NONE
        if own == NONE:
            own = self._settings.local or NONE
        return None if NONE in (own, peer) or own == peer else (own, peer)

    def renew(self) -> None:
        self.hopeless = ""
        self._suggested = NONE
        self._wish = self._settings.local or NONE
        self._asks = True

    def wanted(self) -> tuple[Option, ...]:
        return (wire.ipv4_address(Ipcp.ADDRESS, self._wish),) if self._asks else ()

    def judge(self, option: Option) -> Option | None:
        """Refused is all else: compression, and the name servers of RFC 1877, which this program has none to tell."""
        if option.kind != Ipcp.ADDRESS:
            return None
        address = IPv4Address(option.data) if wire.right_size(Protocol.IPCP, option) else NONE
        if self._settings.remote in (None, address) and can_be_an_end(address) and address != self._wish:
            return option
        return wire.ipv4_address(Ipcp.ADDRESS, self._settings.remote) if self._settings.remote else None

    def missing(self, kinds: Container[int]) -> tuple[Option, ...]:
        """A peer that says no address is asked to use the one that we know, or to say its own (RFC 1332 3.3)."""
        return () if Ipcp.ADDRESS in kinds else (wire.ipv4_address(Ipcp.ADDRESS, self._settings.remote or NONE),)

    def grant(self, options: tuple[Option, ...]) -> None:
        self._peer = _address(options)

    def accept(self, options: tuple[Option, ...]) -> None:
        self._own = _address(options)

    def nak(self, option: Option) -> None:
        if option.kind != Ipcp.ADDRESS or not wire.right_size(Protocol.IPCP, option):
            return
        self._suggested = IPv4Address(option.data)
        if self._settings.local is None and can_be_an_end(self._suggested):
            self._wish = self._suggested

    def reject(self, option: Option) -> None:
        if option.kind != Ipcp.ADDRESS:
            return
        self._asks = False
        if self._settings.local is None:
            self.hopeless = "the peer gives us no IPv4 address"
        elif self._suggested != NONE:
            self.hopeless = f"the peer wants us to be {self._suggested}, not {self._settings.local}"


def _address(options: tuple[Option, ...]) -> IPv4Address:
    return next((IPv4Address(option.data) for option in options if option.kind == Ipcp.ADDRESS), NONE)
