"""Forgets removed servers whose last connection has ended. Never an id that an entry still names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from vipd.dataplane import _abi
from vipd.dataplane.book import Book
from vipd.dataplane.connections import Table
from vipd.dataplane.maps import Map
from vipd.dataplane.tables import INDEX, Rows

_REMOVED: Final = (
    _abi.ServerStatus.REMOVED_RESET,
    _abi.ServerStatus.REMOVED_RESCHEDULE,
    _abi.ServerStatus.REMOVED_KEEP,
)


def idle_servers(maps: Mapping[str, Map], book: Book, table: Table) -> Rows:
    """Removed servers that neither the data plane's counts nor any entry of the table knows."""
    removed: Rows = np.flatnonzero(np.isin(book.servers["status"], _REMOVED))
    if not len(removed):
        return removed
    loads = maps["loads"].read(_abi.LOAD, 0, int(removed[-1]) + 1)[removed]
    idle: Rows = removed[(loads["active"] == 0) & (loads["inactive"] == 0)]
    if not len(idle):
        return idle
    # The table is walked only where there is hope: it is large.
    free: Rows = idle[~np.isin(idle, list(table.named_servers()))]
    return free


def empty_services(book: Book) -> Rows:
    """Services that are gone, with no server left that names them."""
    named = set(book.servers["service"][book.servers["status"] != _abi.ServerStatus.FREE].tolist())
    return np.array([number for number in book.retired.values() if number not in named], INDEX)


def clear(table: Map, ids: Rows) -> None:
    table.write(ids.astype(INDEX), np.zeros(len(ids), f"V{table.value_size}"))
