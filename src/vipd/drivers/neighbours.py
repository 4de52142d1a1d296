"""Neighbours that the kernel keeps resolved for ever, whether the daemon lives or not."""

from __future__ import annotations

import errno
import logging
from collections.abc import Set as AbstractSet
from typing import Final, TypeAlias

from pyroute2.netlink.exceptions import NetlinkError

from vipd.drivers.ledger import AddedNeighbour, Ledger
from vipd.drivers.network import NTF_EXT_MANAGED, Network
from vipd.errors import DataplaneError
from vipd.model.director import Address

log = logging.getLogger(__name__)

Hop: TypeAlias = tuple[Address, int]
"A neighbour and the interface it is on."

_FULL: Final = (errno.ENOBUFS, errno.ENOMEM)
_GONE: Final = (errno.ENOENT, errno.ENODEV, errno.ENXIO)


def keep_resolved(network: Network, ledger: Ledger, wanted: AbstractSet[Hop]) -> frozenset[Hop]:
    """Make the kernel resolve exactly these on our behalf; returns those that are new and have no MAC yet."""
    names = {link.ifindex: link.name for link in network.links().values()}
    present = network.neighbours()
    ours = {(entry.address, entry.interface): entry for entry in ledger.contents.neighbours}
    wanted_names = {(address, names[ifindex]): ifindex for address, ifindex in wanted if ifindex in names}
    unmanaged = [
        (address, name, ifindex)
        for (address, name), ifindex in wanted_names.items()
        if (found := present.get((address, ifindex))) is None or not (found.managed or found.fixed)
    ]
    ledger.add("neighbours", tuple(AddedNeighbour(address=address, interface=name) for address, name, _ in unmanaged))
    for address, _, ifindex in unmanaged:
        _manage(network, address, ifindex)
    indexes = {name: ifindex for ifindex, name in names.items()}
    stale = tuple(entry for key, entry in ours.items() if key not in wanted_names)
    for entry in stale:
        _forget(network, entry, indexes)
    ledger.drop("neighbours", stale)
    new = ((address, ifindex) for address, _, ifindex in unmanaged)
    return frozenset(hop for hop in new if (found := present.get(hop)) is None or not found.resolved)


def release(network: Network, ledger: Ledger) -> None:
    """Forget every neighbour that we had resolved; who else needs it asks again."""
    indexes = {link.name: link.ifindex for link in network.links().values()}
    for entry in ledger.contents.neighbours:
        _forget(network, entry, indexes)
    ledger.drop("neighbours", ledger.contents.neighbours)


def _manage(network: Network, address: Address, ifindex: int) -> None:
    try:
        network.ip.neigh("replace", dst=str(address), ifindex=ifindex, state=0, NDA_FLAGS_EXT=NTF_EXT_MANAGED)
    except NetlinkError as error:
        if error.code in _FULL:
            family = "ipv4" if address.version == 4 else "ipv6"
            raise DataplaneError(
                f"the kernel has no room for neighbour {address}; raise net.{family}.neigh.default.gc_thresh3 "
                "above the number of real servers"
            ) from None
        if error.code not in _GONE:
            raise DataplaneError(f"neighbour {address} cannot be kept resolved: {error}") from None


def _forget(network: Network, entry: AddedNeighbour, indexes: dict[str, int]) -> None:
    ifindex = indexes.get(entry.interface)
    if ifindex is None:
        return
    try:
        network.ip.neigh("del", dst=str(entry.address), ifindex=ifindex)
    except NetlinkError as error:
        if error.code not in _GONE:
            raise DataplaneError(f"neighbour {entry.address} cannot be removed: {error}") from None
