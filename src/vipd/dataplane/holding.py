"""What the maps say is in force, as values. Decodes only what has changed since it was last asked."""

from __future__ import annotations

from typing import Final

import numpy as np

from vipd.dataplane.book import Book
from vipd.dataplane.tables import INDEX, Rows, held_server, held_service
from vipd.model.director import Endpoint
from vipd.model.state import HeldService

_NOBODY: Final = np.iinfo(np.uint32).max
"The index told where a slot names no server of the service."


class Holding:
    """The services of a book with their slots, by endpoint."""

    def __init__(self, slots: Rows, servers: int) -> None:
        self._slots = slots
        self._index = np.full(servers, _NOBODY, INDEX)
        self._known: dict[Endpoint, tuple[bytes, HeldService]] = {}

    def remember(self, book: Book, service: HeldService) -> None:
        """As it was applied: its maps' rows say the same."""
        number = book.ids[service.endpoint]
        self._known[service.endpoint] = (self._text(book, number, book.present(number)), service)

    def services(self, book: Book) -> dict[Endpoint, HeldService]:
        held = {endpoint: self._service(book, endpoint, number) for endpoint, number in book.ids.items()}
        self._known = {endpoint: known for endpoint, known in self._known.items() if endpoint in held}
        return held

    def _text(self, book: Book, number: int, ids: Rows) -> bytes:
        row: bytes = book.services[number].tobytes()
        servers: bytes = book.servers[ids].tobytes()
        return row + servers

    def _content(self, book: Book, number: int, what: str) -> Rows:
        region = book.region(number, what)
        return self._slots[region.start : region.start + region.count]

    def _service(self, book: Book, endpoint: Endpoint, number: int) -> HeldService:
        ids = book.present(number)
        text = self._text(book, number, ids)
        contents = [self._content(book, number, what) for what in ("slots", "fallback")]
        if endpoint in self._known:
            known, service = self._known[endpoint]
            if known == text and all(
                np.array_equal(content, ids[np.frombuffer(told, INDEX)])
                for content, told in zip(contents, (service.slots, service.fallback), strict=True)
            ):
                return service
        service = self._decode(book, endpoint, ids, contents)
        self._known[endpoint] = (text, service)
        return service

    def _decode(self, book: Book, endpoint: Endpoint, ids: Rows, contents: list[Rows]) -> HeldService:
        self._index[ids] = np.arange(len(ids), dtype=INDEX)
        slots, fallback = (self._index[content].tobytes() for content in contents)
        self._index[ids] = _NOBODY
        servers = tuple(held_server(row, endpoint) for row in book.servers[ids])
        return held_service(book.services[book.ids[endpoint]], servers, slots, fallback)
