"""The data plane's counters, by the names of what they count."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any, Final

import numpy as np

from vipd.dataplane import _abi
from vipd.dataplane.book import Book
from vipd.dataplane.maps import Map
from vipd.dataplane.tables import Rows, packed_endpoint, unpack_address
from vipd.model.director import Address
from vipd.model.state import Counters, ServerKey, Totals

_COUNTER: Final = np.dtype("<u8")
_FREE: Final = int(_abi.ServerStatus.FREE)
_LOAD: Final = ("active", "inactive")
_TRAFFIC: Final = ("connections", "packets_in", "bytes_in", "packets_out", "bytes_out")
_NAME: Final = np.dtype(
    [(field, _abi.REAL_SERVER[field]) for field in ("address", "port", "service")]
    + [(field, _abi.SERVICE[field]) for field in ("vip", "first_port", "last_port", "protocol")]
)
"What makes a ServerKey."
_NOT_ENDS: Final = {_abi.Outcome.CONTINUE.name, _abi.Outcome.OUTCOME_COUNT.name, _abi.Event.COUNT.name}


class Names:
    """The servers of a book by key; the keys are made when somebody asks for one."""

    def __init__(self, book: Book, known: dict[bytes, ServerKey]) -> None:
        self.book, self._known = book, known
        self.ids: Rows = np.flatnonzero(book.servers["status"] != _FREE)

    @cached_property
    def places(self) -> dict[ServerKey, list[int]]:
        """Where in `ids` each is. A server whose method changed has two ids, which are one to whoever asks."""
        rows = np.zeros(len(self.ids), _NAME)
        for field in ("address", "port", "service"):
            rows[field] = self.book.servers[field][self.ids]
        services = self.book.services[rows["service"]]
        for field in ("vip", "first_port", "last_port", "protocol"):
            rows[field] = services[field]
        fresh, found = {}, dict[ServerKey, list[int]]()
        names: list[bytes] = rows.view(f"V{rows.itemsize}").tolist()
        for number, name in enumerate(names):
            fresh[name] = self._known.get(name) or _server_key(rows[number])
            found.setdefault(fresh[name], []).append(number)
        self._known.clear()
        self._known.update(fresh)
        return found


class Counts(Mapping[ServerKey, Counters]):
    """The counters of all servers at one moment."""

    def __init__(self, names: Names, loads: Rows, traffic: Rows) -> None:
        self._names, self._loads, self._traffic = names, loads, traffic

    @cached_property
    def _rows(self) -> list[tuple[int, ...]]:
        columns = [self._loads[name].tolist() for name in _LOAD]
        columns += [self._traffic[name].sum(axis=1).tolist() for name in _TRAFFIC]
        return list(zip(*columns, strict=True))

    def __getitem__(self, key: ServerKey) -> Counters:
        first, *more = [Counters(*self._rows[place]) for place in self._names.places[key]]
        return sum(more, first)

    def __iter__(self) -> Iterator[ServerKey]:
        return iter(self._names.places)

    def __len__(self) -> int:
        return len(self._names.places)


class Usage:
    """What has connections, asked of the loads of as few servers as can be."""

    def __init__(self, loads: Map, book: Callable[[], Book]) -> None:
        self._loads, self._book = loads, book

    def vips(self, but: AbstractSet[Address]) -> frozenset[Address]:
        """VIPs of services, gone ones too, whose servers have connections."""
        book = self._book()
        others = [number for each in (book.ids, book.retired) for to, number in each.items() if to.vip not in but]
        if not others:
            return frozenset()
        ids = np.flatnonzero(np.isin(book.servers["service"], others) & (book.servers["status"] != _FREE))
        if not len(ids):
            return frozenset()
        loads = self._loads.read(_abi.LOAD, int(ids[0]), int(ids[-1] - ids[0]) + 1)[ids - ids[0]]
        busy = np.unique(book.servers["service"][ids[(loads["active"] > 0) | (loads["inactive"] > 0)]])
        return frozenset(unpack_address(vip.tobytes()) for vip in book.services["vip"][busy])


class Counting:
    """Reads the counters; keeps the keys of servers, which are made once."""

    def __init__(self, maps: Mapping[str, Map]) -> None:
        self._maps = maps
        self._known: dict[bytes, ServerKey] = {}
        self._names: Names | None = None

    def counters(self, book: Book) -> Counts:
        """A book never changes; what replaces it is another."""
        if self._names is None or self._names.book is not book:
            self._names = Names(book, self._known)
        ids = self._names.ids
        count = int(ids[-1]) + 1 if len(ids) else 0
        loads = self._maps["loads"].read(_abi.LOAD, 0, count)[ids]
        return Counts(self._names, loads, self._maps["traffic"].read(_abi.TRAFFIC, 0, count)[ids])

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
