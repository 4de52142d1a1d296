"""Neighbours that the kernel keeps resolved for ever, whether the daemon lives or not."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, TypeAlias

from vipd.drivers.ledger import AddedNeighbour, Ledger
from vipd.drivers.network import Network
from vipd.drivers.requests import carry_out, forget_neighbour, manage_neighbour
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
    _manage([(address, ifindex) for address, _, ifindex in unmanaged])
    indexes = {name: ifindex for ifindex, name in names.items()}
    stale = tuple(entry for key, entry in ours.items() if key not in wanted_names)
    _forget(stale, indexes)
    ledger.drop("neighbours", stale)
    new = ((address, ifindex) for address, _, ifindex in unmanaged)
    return frozenset(hop for hop in new if (found := present.get(hop)) is None or not found.resolved)


def release(network: Network, ledger: Ledger) -> None:
    """Forget every neighbour that we had resolved; who else needs it asks again."""
    indexes = {link.name: link.ifindex for link in network.links().values()}
    _forget(ledger.contents.neighbours, indexes)
    ledger.drop("neighbours", ledger.contents.neighbours)


def _manage(hops: Sequence[Hop]) -> None:
    results = carry_out([manage_neighbour(address, ifindex) for address, ifindex in hops])
    for (address, _), error in zip(hops, results, strict=True):
        if error in _FULL:
            family = "ipv4" if address.version == 4 else "ipv6"
            raise DataplaneError(
                f"the kernel has no room for neighbour {address}; raise net.{family}.neigh.default.gc_thresh3 "
                "above the number of real servers"
            )
        if error and error not in _GONE:
            raise DataplaneError(f"neighbour {address} cannot be kept resolved: {os.strerror(error)}")


def _forget(entries: Iterable[AddedNeighbour], indexes: Mapping[str, int]) -> None:
    due = [entry for entry in entries if entry.interface in indexes]
    results = carry_out([forget_neighbour(entry.address, indexes[entry.interface]) for entry in due])
    for entry, error in zip(due, results, strict=True):
        if error and error not in _GONE:
            raise DataplaneError(f"neighbour {entry.address} cannot be removed: {os.strerror(error)}")
