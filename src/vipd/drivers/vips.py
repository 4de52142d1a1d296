"""Which interface carries each VIP, and putting it there and taking it away.

An address that was there before vipd came is left as it is. A VIP that no connected
prefix holds is routed to the director: the loopback carries it, and nobody is asked or told.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from vipd.drivers.claims import Place
from vipd.drivers.ledger import AddedAddress, Ledger
from vipd.drivers.network import HeldAddress, Link, Path
from vipd.drivers.network import Network as Kernel
from vipd.drivers.requests import add_address, carry_out, remove_address
from vipd.errors import DataplaneError
from vipd.model.director import Address, Network, Vip
from vipd.model.state import Egress

log = logging.getLogger(__name__)

LOOPBACK: Final = "lo"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a VIP is, or is to be."""

    address: Address
    interface: str
    ifindex: int
    ours: bool
    "vipd put it there, or will; else it was there before."
    present: bool
    place: Place | None
    "Where to ask and tell others about it; None where there are no others."


def place(
    vips: Iterable[Vip],
    links: Mapping[str, Link],
    held: Iterable[HeldAddress],
    paths: Mapping[Address, Path],
    added: Iterable[AddedAddress],
) -> tuple[Placement, ...]:
    """None for a VIP whose interface is not there."""
    by_index = {link.ifindex: link for link in links.values()}
    where: dict[Address, list[str]] = {}
    prefixes: list[tuple[Network, Link]] = []
    for each in held:
        if (link := by_index.get(each.ifindex)) is None:
            continue
        where.setdefault(each.address, []).append(link.name)
        if link.ethernet and each.prefix < each.address.max_prefixlen:
            prefixes.append((ip_network(f"{each.address}/{each.prefix}", strict=False), link))
    prefixes.sort(key=lambda found: found[0].prefixlen, reverse=True)
    owned = {entry.address: entry.interface for entry in added}
    found = []
    for vip in vips:
        connected = next((link for network, link in prefixes if vip.address in network), None)
        if connected is None and (path := paths[vip.address]).egress is Egress.ON_LINK:
            connected = by_index[path.ifindex]
        found.append(_place(vip, links, where.get(vip.address, []), connected, paths[vip.address], owned))
    return tuple(placement for placement in found if placement is not None)


def staying(entry: AddedAddress) -> Vip:
    """A VIP that nobody configures any more, where it is."""
    return Vip(entry.address, entry.interface)


def _place(
    vip: Vip,
    links: Mapping[str, Link],
    where: list[str],
    connected: Link | None,
    path: Path,
    owned: Mapping[Address, str],
) -> Placement | None:
    if vip.interface is not None and vip.interface not in links:
        return None
    ours = owned.get(vip.address)
    if where and ours not in where:
        return _on(vip, links[where[0]], ours=False, present=True)
    if vip.interface is not None:
        link = links[vip.interface]
    elif vip.routed:
        link = links[LOOPBACK]
    elif connected is not None:
        link = connected
    elif path.egress is Egress.LOCAL and not where:
        return None  # a route of type local serves it already
    else:
        link = links[LOOPBACK]
    return _on(vip, link, ours=True, present=link.name in where)


def _on(vip: Vip, link: Link, ours: bool, present: bool) -> Placement:
    others = link.ethernet and not link.loopback and not vip.routed and len(link.mac) == 6
    spot = Place(vip.address, link.name, link.ifindex, link.mac) if others else None
    return Placement(vip.address, link.name, link.ifindex, ours, present, spot)


def claim(ledger: Ledger, placements: Iterable[Placement]) -> None:
    """Put those there that are not yet."""
    due = [placement for placement in placements if placement.ours and not placement.present]
    ledger.add(
        "addresses", tuple(AddedAddress(address=placement.address, interface=placement.interface) for placement in due)
    )
    for placement in due:
        log.info("claiming VIP %s on %s", placement.address, placement.interface)
    results = carry_out([add_address(placement.address, placement.ifindex) for placement in due])
    for placement, error in zip(due, results, strict=True):
        if error not in (0, errno.EEXIST):
            hint = "; IPv6 is switched off there" if error == errno.EACCES else ""
            raise DataplaneError(f"VIP {placement.address} cannot be put on its interface: {os.strerror(error)}{hint}")


def release(network: Kernel, ledger: Ledger, kept: Iterable[Placement] = ()) -> None:
    """Take away every address that vipd put somewhere, but those in their right place."""
    right = {(placement.address, placement.interface) for placement in kept if placement.ours}
    stale = tuple(entry for entry in ledger.contents.addresses if (entry.address, entry.interface) not in right)
    if not stale:
        return
    indexes = {link.name: link.ifindex for link in network.links().values()}
    due = [entry for entry in stale if entry.interface in indexes]
    for entry in due:
        log.info("releasing VIP %s from %s", entry.address, entry.interface)
    results = carry_out([remove_address(entry.address, indexes[entry.interface]) for entry in due])
    for entry, error in zip(due, results, strict=True):
        if error not in (0, errno.EADDRNOTAVAIL, errno.ENODEV):
            raise DataplaneError(f"VIP {entry.address} cannot be taken away: {os.strerror(error)}")
    ledger.drop("addresses", stale)
