"""The order in which changes reach the maps: a stop after any write harms no packet.

What a packet finds must be complete before anything leads to it, so a server comes before the
table that names it, and a table before the service that reads it; what goes, goes the other way
round. A bit of interest too many only costs time, one too few loses replies: they come early.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from vipd.dataplane import _abi
from vipd.dataplane.book import Book, Edition
from vipd.dataplane.maps import Map
from vipd.dataplane.tables import INDEX, Rows, interest_of, nat_sources, range_keys, service_keys
from vipd.dataplane.writer import Writer, restore
from vipd.errors import DataplaneError

_FREE: Final = int(_abi.ServerStatus.FREE)
_PRESENT: Final = int(_abi.ServerStatus.PRESENT)
_RESET: Final = int(_abi.ServerStatus.REMOVED_RESET)
_SERVICE_KEY_BYTES: Final = _abi.SERVICE_KEY.itemsize


def read_book(maps: Mapping[str, Map]) -> Book:
    """What the maps say now."""
    servers, services = maps["real_servers"].read(_abi.REAL_SERVER), maps["service_table"].read(_abi.SERVICE)
    return Book(servers, services, _live(maps))


def says(maps: Mapping[str, Map], book: Book) -> bool:
    """Whether the maps say now what the book does; much quicker than to make another of them.

    Rows behind the last that is taken are not looked at: nothing leads there.
    """
    services = 1 + int(np.flatnonzero(book.services["protocol"])[-1:].sum())
    servers = 1 + int(np.flatnonzero(book.servers["status"] != _FREE)[-1:].sum())
    return (
        _live(maps) == set(book.ids.values())
        and _equal(maps["service_table"].read(_abi.SERVICE, 0, services), book.services[:services])
        and _equal(maps["real_servers"].read(_abi.REAL_SERVER, 0, servers), book.servers[:servers])
    )


def _equal(one: Rows, other: Rows) -> bool:
    """By eight bytes at a time, of which rows of both maps are made."""
    return np.array_equal(one.view(np.uint64), other.view(np.uint64))


def _live(maps: Mapping[str, Map]) -> set[int]:
    """The numbers of the services that packets are led to."""
    live: set[int] = set()
    for name, key in (("services", _abi.SERVICE_KEY), ("service_ranges", _abi.SERVICE_RANGE)):
        live.update(maps[name].items(key, INDEX)[1].tolist())
    return live


@dataclass(slots=True)
class Derived:
    """The two maps that follow from the others."""

    nat: dict[bytes, int]
    interest: Rows

    @classmethod
    def read(cls, maps: Mapping[str, Map]) -> Derived:
        keys, values = maps["nat_sources"].items(_abi.SERVICE_KEY, INDEX)
        nat = dict(zip(_raw_keys(keys), values.tolist(), strict=True))
        return cls(nat, maps["interest"].read(_abi.INTEREST))

    @classmethod
    def of(cls, book: Book) -> Derived:
        """Servers that are removed count until nothing is left of them: their packets are still ours."""
        taken = book.servers[book.servers["status"] != _FREE]
        vips = book.services["vip"][book.services["protocol"] != 0]
        nat = taken["address"][taken["method"] == _abi.Method.NAT]
        return cls(nat_sources(book.servers, book.services), interest_of((vips, nat)))

    def write(self, maps: Mapping[str, Map], now: Derived) -> None:
        """Outside of a transaction: make the maps so, given what they say now."""
        if self.interest.tobytes() != now.interest.tobytes():
            maps["interest"].update(bytes(4), self.interest.tobytes())
        for key in now.nat.keys() - self.nat.keys():
            restore(maps["nat_sources"], key, None)
        keys, values = self.changed_nat(now)
        maps["nat_sources"].write(keys, values)

    def changed_nat(self, now: Derived) -> tuple[Rows, Rows]:
        changed = [(key, value) for key, value in self.nat.items() if now.nat.get(key) != value]
        keys = np.frombuffer(b"".join(key for key, _ in changed), _abi.SERVICE_KEY)
        return keys, np.array([value for _, value in changed], INDEX)


def _raw_keys(keys: Rows) -> list[bytes]:
    raw: list[bytes] = np.ascontiguousarray(keys).view(f"V{_SERVICE_KEY_BYTES}").tolist()
    return raw


@dataclass(slots=True)
class Application:
    """One edition on its way into the maps."""

    maps: Mapping[str, Map]
    slots: Rows
    old: Book
    edition: Edition
    derived_now: Derived
    derived: Derived

    def require_room(self) -> None:
        """The hashes and tries; ids and slots are the editor's concern."""
        book = self.edition.book
        single = sum(endpoint.single_port for endpoint in book.ids)
        ranges = sum(len(range_keys(endpoint)) for endpoint in book.ids if not endpoint.single_port)
        for name, needed in (("services", single), ("service_ranges", ranges), ("nat_sources", len(self.derived.nat))):
            room = self.maps[name].max_entries
            if needed > room:
                raise DataplaneError(f"{needed} entries are needed in the table {name}, which has room for {room}")

    def write(self, writer: Writer) -> None:
        self._write_servers(writer, self.edition.servers)
        self._write_derived(writer)
        for region, content in self.edition.contents:
            writer.fill("write slots", self.slots, region.start, content)
        self._write_services(writer, self.edition.services)
        self._open(writer)
        self._close(writer)
        self._write_services(writer, self.edition.late_services)
        self._write_servers(writer, self.edition.late_servers)

    def _write_servers(self, writer: Writer, ids: list[int]) -> None:
        new, old = self.edition.book.servers[ids], self.old.servers[ids]
        # Taken back, a new server may have connections already: its id stays taken until they end.
        fresh = old["status"] == _FREE
        old[fresh] = new[fresh]
        old["status"][fresh] = _RESET
        writer.rows("real_servers", ids, new, old)

    def _write_services(self, writer: Writer, ids: list[int]) -> None:
        new, old = self.edition.book.services[ids], self.old.services[ids]
        fresh = old["protocol"] == 0
        old[fresh] = new[fresh]
        for count in ("slot_count", "fallback_count"):
            old[count][fresh] = 0
        writer.rows("service_table", ids, new, old)

    def _write_derived(self, writer: Writer) -> None:
        if self.derived is self.derived_now:
            return
        if self.derived.interest.tobytes() != self.derived_now.interest.tobytes():
            writer.rows("interest", [0], self.derived.interest, self.derived_now.interest)
        keys, values = self.derived.changed_nat(self.derived_now)
        known = self.derived_now.nat
        before = {key: np.uint32(known[key]).tobytes() for key in _raw_keys(keys) if key in known}
        writer.put("nat_sources", keys, values, before)

    def _open(self, writer: Writer) -> None:
        single = [(endpoint, number) for endpoint, number in self.edition.opened if endpoint.single_port]
        numbers = np.array([number for _, number in single], INDEX)
        writer.put("services", service_keys([endpoint for endpoint, _ in single]), numbers)
        for endpoint, number in self.edition.opened:
            if not endpoint.single_port:
                keys = range_keys(endpoint)
                writer.put("service_ranges", keys, np.full(len(keys), number, INDEX))

    def _close(self, writer: Writer) -> None:
        for endpoint, number in self.edition.closed:
            name = "services" if endpoint.single_port else "service_ranges"
            keys = service_keys([endpoint]) if endpoint.single_port else range_keys(endpoint)
            writer.delete(name, keys, np.full(len(keys), number, INDEX))


def settle(maps: Mapping[str, Map], book: Book) -> Book:
    """Finish what a director that was killed midway began: what no service leads to is removed."""
    live = np.array(sorted(book.ids.values()), INDEX)
    lost = np.flatnonzero((book.servers["status"] == _PRESENT) & ~np.isin(book.servers["service"], live))
    if len(lost):
        rows = book.servers[lost]
        rows["status"] = _RESET
        maps["real_servers"].write(lost.astype(INDEX), rows)
    open_ends = [number for number in book.retired.values() if book.services["slot_count"][number]]
    if open_ends:
        rows = book.services[open_ends]
        for field in ("slots", "slot_count", "fallback", "fallback_count"):
            rows[field] = 0
        maps["service_table"].write(np.array(open_ends, INDEX), rows)
    return read_book(maps)
