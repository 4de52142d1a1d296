"""The data plane's counters, by the names of what they count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from vipd.dataplane import _abi
from vipd.dataplane.book import Book
from vipd.dataplane.maps import Map
from vipd.dataplane.tables import Rows, packed_endpoint, unpack_address
from vipd.model.state import Counters, ServerKey, Totals

_COUNTER: Final = np.dtype("<u8")
_LOAD: Final = ("active", "inactive")
_TRAFFIC: Final = ("connections", "packets_in", "bytes_in", "packets_out", "bytes_out")
_NAME: Final = np.dtype(
    [(field, _abi.REAL_SERVER[field]) for field in ("address", "port", "service")]
    + [(field, _abi.SERVICE[field]) for field in ("vip", "first_port", "last_port", "protocol")]
)
"What makes a ServerKey."
_NOT_ENDS: Final = {_abi.Outcome.CONTINUE.name, _abi.Outcome.OUTCOME_COUNT.name, _abi.Event.COUNT.name}


class Counting:
    """Reads the counters; keeps the keys of servers, which are made once."""

    def __init__(self, maps: Mapping[str, Map]) -> None:
        self._maps = maps
        self._keys: dict[bytes, ServerKey] = {}

    def counters(self, book: Book) -> dict[ServerKey, Counters]:
        """A server whose method changed has two ids, which are one to whoever asks."""
        ids = np.flatnonzero(book.servers["status"] != _abi.ServerStatus.FREE)
        if not len(ids):
            return {}
        loads = self._maps["loads"].read(_abi.LOAD, 0, int(ids[-1]) + 1)[ids]
        traffic = self._maps["traffic"].read(_abi.TRAFFIC, 0, int(ids[-1]) + 1)[ids]
        columns = [loads[name].tolist() for name in _LOAD] + [traffic[name].sum(axis=1).tolist() for name in _TRAFFIC]
        found: dict[ServerKey, Counters] = {}
        for key, *counts in zip(self._named(book, ids), *columns, strict=True):
            told = Counters(*counts)
            found[key] = found[key] + told if key in found else told
        return found

    def _named(self, book: Book, ids: Rows) -> list[ServerKey]:
        rows = np.zeros(len(ids), _NAME)
        for field in ("address", "port", "service"):
            rows[field] = book.servers[field][ids]
        services = book.services[rows["service"]]
        for field in ("vip", "first_port", "last_port", "protocol"):
            rows[field] = services[field]
        names: list[bytes] = rows.view(f"V{rows.itemsize}").tolist()
        fresh = {}
        for number, name in enumerate(names):
            fresh[name] = self._keys.get(name) or _server_key(rows[number])
        self._keys = fresh
        return [fresh[name] for name in names]

    def totals(self) -> Totals:
        return Totals(
            outcomes=_named(self._maps["outcomes"].read(_COUNTER), _abi.Outcome),
            events=_named(self._maps["events"].read(_COUNTER), _abi.Event),
        )


def _server_key(row: Any) -> ServerKey:
    address = unpack_address(row["address"].tobytes())
    return ServerKey(packed_endpoint(row), address, int(row["port"]) or None)


def _named(counts: Rows, names: type[_abi.Outcome | _abi.Event]) -> dict[str, int]:
    totals: list[int] = counts.sum(axis=1).tolist()
    return {kind.name.lower(): totals[kind] for kind in names if kind.name not in _NOT_ENDS}
