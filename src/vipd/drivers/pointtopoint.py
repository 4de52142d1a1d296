"""Addresses, routes and MTU of a link's interface, as its two ends agree on them and no longer.

Not for use on an event loop: pyroute2's synchronous calls run one of their own.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from vipd.errors import DataplaneError
from vipd.model.director import Address, Network
from vipd.model.link import Up

_NODAD: Final = 0x02
_SETTINGS: Final = Path("/proc/sys/net/ipv6/conf")
_NO_LINK_LOCAL: Final = "1"
"addr_gen_mode: the ends agree on their link-local addresses, the kernel adds none."
_LINK_LOCAL: Final = 64
"The prefix in which the other end is where its address is not told."
_WAITING: Final = 200
"Packets that may wait in the interface until we read them."


@dataclass(frozen=True, slots=True)
class Extras:
    """What an operator wants on the interface while packets of that family may pass."""

    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()
    routes: tuple[Network, ...] = ()


class PointToPoint:
    """The interface is there already, down and without addresses."""

    def __init__(self, name: str, ipv6: bool, extras: Extras) -> None:
        self._name, self._extras = name, extras
        self._families: dict[int, Up] = {}
        with _netlink(f"interface {name}") as netlink:
            self._index = _index(netlink, name)
            netlink.link("set", index=self._index, txqlen=_WAITING)
        settings = _SETTINGS / name
        if settings.exists():  # not where the machine has no IPv6
            (settings / "addr_gen_mode").write_text(_NO_LINK_LOCAL)
            (settings / "accept_ra").write_text("0")
            (settings / "disable_ipv6").write_text("0" if ipv6 else "1")

    def up(self, agreed: Up) -> None:
        """`DataplaneError` says which step the kernel refused; those before it stay until `down`."""
        version = agreed.local.version
        self.down(version)
        self._families[version] = agreed
        with _netlink(f"{self._name}: MTU {agreed.mtu}") as netlink:
            netlink.link("set", index=self._index, mtu=agreed.mtu, state="up")
        for address in self._addresses(agreed):
            with _netlink(f"{self._name}: address {address['local']}") as netlink:
                netlink.addr("add", index=self._index, flags=_NODAD if version == 6 else 0, **address)
        for route in self._routes(version):
            # Never in the place of a route that somebody else made.
            with _netlink(f"{self._name}: route {route['dst']}") as netlink:
                netlink.route("add", **route)

    def down(self, version: int) -> None:
        """Exactly what `up` made goes."""
        agreed = self._families.pop(version, None)
        if agreed is None:
            return
        with _netlink(f"{self._name}: removing IPv{version}") as netlink:
            for route in self._routes(version):
                _forgive(netlink.route, "del", **route)
            for address in self._addresses(agreed):
                _forgive(netlink.addr, "del", index=self._index, **address)
            if not self._families:
                netlink.link("set", index=self._index, state="down")

    def _addresses(self, agreed: Up) -> Iterator[dict[str, Any]]:
        local, remote, version = agreed.local, agreed.remote, agreed.local.version
        length = (32 if version == 4 else _LINK_LOCAL) if remote is None else remote.max_prefixlen
        yield self._address(version, local, remote or local, length)
        for extra in self._extras.addresses:
            if extra.version == version:
                yield self._address(version, extra.ip, extra.ip, extra.network.prefixlen)

    @staticmethod
    def _address(version: int, local: Address, remote: Address, length: int) -> dict[str, Any]:
        return {"family": _family(version), "local": str(local), "address": str(remote), "prefixlen": length}

    def _routes(self, version: int) -> Iterator[dict[str, Any]]:
        for route in self._extras.routes:
            if route.version == version:
                yield {"family": _family(version), "dst": str(route), "oif": self._index}


def _forgive(call: Any, *arguments: Any, **named: Any) -> None:
    """What shall go may be gone."""
    try:
        call(*arguments, **named)
    except NetlinkError as error:
        if error.code not in (errno.ESRCH, errno.ENOENT, errno.ENODEV, errno.EADDRNOTAVAIL):
            raise


@contextmanager
def _netlink(step: str) -> Iterator[IPRoute]:
    try:
        with IPRoute() as netlink:
            yield netlink
    except NetlinkError as error:
        raise DataplaneError(f"{step}: the kernel refused it: {error.args[1]}") from None


def _index(netlink: IPRoute, name: str) -> int:
    found: Sequence[int] = netlink.link_lookup(ifname=name)
    if not found:
        raise DataplaneError(f"interface {name} is gone")
    return found[0]


def _family(version: int) -> int:
    return socket.AF_INET if version == 4 else socket.AF_INET6
