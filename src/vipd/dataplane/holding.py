"""What the maps say is in force, as values. Decodes only what has changed since it was last asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from vipd.dataplane.book import Book
from vipd.dataplane.port import Change, PutService, RemoveService
from vipd.dataplane.regions import Region
from vipd.dataplane.tables import INDEX, Rows, held_server, held_service
from vipd.model.director import Endpoint
from vipd.model.state import HeldService

_SHORT: Final = 4096
_NOBODY: Final = np.iinfo(np.uint32).max
"The index told where a slot names no server of the service."


@dataclass(frozen=True, slots=True)
class _Known:
    """A service as it was decoded or applied, and what in the maps says so."""

    service: HeldService
    rows: bytes
    tables: tuple[_Table, ...]

    def stands(self, slots: Rows) -> bool:
        return all(table.stands(slots) for table in self.tables)


@dataclass(frozen=True, slots=True)
class _Table:
    region: Region
    ids: Rows
    told: bytes
    "Indices into the service's servers, whose ids are `ids`."
    expected: bytes | None
    "What the region must hold; None where it is long and not kept twice."

    @classmethod
    def of(cls, region: Region, ids: Rows, told: bytes) -> _Table:
        indices = np.frombuffer(told, INDEX)
        if region.size and indices.max() >= len(ids):
            return cls(region, ids, b"", None)  # a slot that names nobody never stands
        return cls(region, ids, told, ids[indices].tobytes() if region.size <= _SHORT else None)

    def stands(self, slots: Rows) -> bool:
        content = slots[self.region.start : self.region.start + self.region.size]
        if self.expected is not None:
            return bool(content.tobytes() == self.expected)
        return np.array_equal(content, self.ids[np.frombuffer(self.told, INDEX)])


class Holding:
    """The services of a book with their slots, by endpoint."""

    def __init__(self, slots: Rows, servers: int) -> None:
        self._slots = slots
        self._index = np.full(servers, _NOBODY, INDEX)
        self._known: dict[Endpoint, _Known] = {}
        self._book: Book | None = None
        "Whose rows `_known` says."
        self._services: dict[Endpoint, HeldService] = {}
        "Those of `_known`."

    def follow(self, before: Book, book: Book, changes: Sequence[Change]) -> None:
        """To the book that these changes made of the one before."""
        self._services = dict(self._services)  # who was given the last one keeps it
        put = {change.service.endpoint: change.service for change in changes if isinstance(change, PutService)}
        for endpoint in put.keys() & book.ids.keys():
            number = book.ids[endpoint]
            self._remember(book, number, book.present(number), put[endpoint])
        for change in changes:
            if isinstance(change, RemoveService) and change.endpoint not in book.ids:
                self._known.pop(change.endpoint, None)
                self._services.pop(change.endpoint, None)
        self._services |= {endpoint: put[endpoint] for endpoint in put.keys() & book.ids.keys()}
        self._book = book if self._book is before else None

    def services(self, book: Book) -> Mapping[Endpoint, HeldService]:
        if book is not self._book or not all(known.stands(self._slots) for known in self._known.values()):
            self._known = {endpoint: self._look(book, endpoint, number) for endpoint, number in book.ids.items()}
            self._services = {endpoint: known.service for endpoint, known in self._known.items()}
            self._book = book
        return self._services

    def _remember(self, book: Book, number: int, ids: Rows, service: HeldService) -> _Known:
        told = {"slots": service.slots, "fallback": service.fallback}
        tables = tuple([_Table.of(book.region(number, what), ids, of) for what, of in told.items()])
        known = _Known(service, _text(book, number, ids), tables)
        self._known[service.endpoint] = known
        return known

    def _look(self, book: Book, endpoint: Endpoint, number: int) -> _Known:
        ids, known = book.present(number), self._known.get(endpoint)
        if known is not None and known.rows == _text(book, number, ids) and known.stands(self._slots):
            return known
        regions = [book.region(number, what) for what in ("slots", "fallback")]
        contents = [self._slots[region.start : region.start + region.size] for region in regions]
        return self._remember(book, number, ids, self._decode(book, endpoint, ids, contents))

    def _decode(self, book: Book, endpoint: Endpoint, ids: Rows, contents: list[Rows]) -> HeldService:
        self._index[ids] = np.arange(len(ids), dtype=INDEX)
        slots, fallback = (self._index[content].tobytes() for content in contents)
        self._index[ids] = _NOBODY
        servers = tuple(held_server(row, endpoint) for row in book.servers[ids])
        return held_service(book.services[book.ids[endpoint]], servers, slots, fallback)


def _text(book: Book, number: int, ids: Rows) -> bytes:
    row: bytes = book.services[number].tobytes()
    servers: bytes = book.servers[ids].tobytes()
    return row + servers
