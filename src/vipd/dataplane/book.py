"""What the control plane wrote into the maps, indexed; and what it would look like after changes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from vipd.dataplane import _abi
from vipd.dataplane.port import Change, PutService
from vipd.dataplane.regions import Region, Regions
from vipd.dataplane.tables import INDEX, STATUS, Rows, fill_service, identities, packed_endpoint, server_rows
from vipd.errors import DataplaneError
from vipd.model.director import Endpoint, OnServerRemoved
from vipd.model.state import HeldService

_PRESENT: Final = int(_abi.ServerStatus.PRESENT)
_FREE: Final = int(_abi.ServerStatus.FREE)
_COUNT: Final = {"slots": "slot_count", "fallback": "fallback_count"}
"Of a row of service_table: where a region begins, and how long it is."


class Book:
    """Rows by id, and ids by endpoint and by server."""

    def __init__(self, servers: Rows, services: Rows, live: Iterable[int]) -> None:
        self.servers, self.services = servers, services
        self.ids: dict[Endpoint, int] = {}
        "Services in force."
        self.retired: dict[Endpoint, int] = {}
        "Services that are gone, but whose removed servers still have connections."
        self.members: dict[int, dict[bytes, int]] = {}
        "Service id to the server id of each identity (see `identities`), removed ones among them."
        in_force = set(live)
        for number in np.flatnonzero(services["protocol"]).tolist():
            self._index_service(number, number in in_force)
        taken = np.flatnonzero(servers["status"] != _FREE)
        named = zip(identities(servers[taken]), taken.tolist(), servers["service"][taken].tolist(), strict=True)
        for identity, number, service in sorted(named):
            self.members.setdefault(service, {})[identity] = number

    def _index_service(self, number: int, in_force: bool) -> None:
        (self.ids if in_force else self.retired)[packed_endpoint(self.services[number])] = number

    def copy(self) -> Book:
        """Arrays and the upper dicts are new; `members` of a service is replaced, never changed."""
        other = Book.__new__(Book)
        other.servers, other.services = self.servers.copy(), self.services.copy()
        other.ids, other.retired, other.members = dict(self.ids), dict(self.retired), dict(self.members)
        return other

    def order_like(self, other: Book) -> None:
        """Servers in the order that the other book has; the maps do not keep it."""
        for number, members in self.members.items():
            known = [identity for identity in other.members.get(number, ()) if identity in members]
            self.members[number] = {identity: members[identity] for identity in dict.fromkeys([*known, *members])}

    def present(self, service_id: int) -> Rows:
        """Ids of a service's servers that are there, in the order they were given, else by address."""
        ids = np.array(list(self.members.get(service_id, {}).values()), INDEX)
        present: Rows = ids[self.servers["status"][ids] == _PRESENT] if len(ids) else ids
        return present

    def regions(self) -> list[Region]:
        """Every region that some service reads."""
        found: set[Region] = set()
        for what, length in _COUNT.items():
            rows = self.services[self.services[length] != 0]
            found.update(map(Region, rows[what].tolist(), rows[length].tolist()))
        return list(found)

    def region(self, service_id: int, what: str) -> Region:
        row = self.services[service_id]
        return Region(int(row[what]), int(row[_COUNT[what]]))


@dataclass(slots=True)
class Edition:
    """A book after changes, and which rows, keys and regions to write to get there."""

    book: Book
    servers: list[int] = field(default_factory=list)
    "Rows that must be right before any packet may be sent by them."
    late_servers: list[int] = field(default_factory=list)
    "Rows of servers that take less from now on: written when no table names them any more."
    services: list[int] = field(default_factory=list)
    late_services: list[int] = field(default_factory=list)
    contents: list[tuple[Region, Rows]] = field(default_factory=list)
    opened: list[tuple[Endpoint, int]] = field(default_factory=list)
    closed: list[tuple[Endpoint, int]] = field(default_factory=list)


class Editor:
    """Carries changes out on paper. Nothing is written; a lack of room is found here."""

    def __init__(self, book: Book, slots: Rows) -> None:
        self._old, self._slots = book, slots
        self._edition = Edition(book.copy())
        self._book = self._edition.book
        self._room = Regions(len(slots), book.regions())
        self._free_servers = iter(np.flatnonzero(book.servers["status"][1:] == _FREE) + 1)
        self._free_services = iter(np.flatnonzero(book.services["protocol"][1:] == 0) + 1)

    def edit(self, changes: Sequence[Change]) -> Edition:
        last = {(c.service.endpoint if isinstance(c, PutService) else c.endpoint): c for c in changes}
        for endpoint, change in last.items():
            if isinstance(change, PutService):
                self._put(change.service, change.on_server_removed)
            elif endpoint in self._book.ids:
                self._remove(endpoint, change.on_server_removed)
        return self._edition

    def _put(self, service: HeldService, policy: OnServerRemoved) -> None:
        number = self._service_id(service.endpoint)
        ids = self._put_servers(service, number, policy)
        row = self._book.services[number : number + 1].copy()[0]
        fill_service(row, service)
        for what, length in _COUNT.items():
            indices = np.frombuffer(getattr(service, what), INDEX)
            if what == "fallback" and service.fallback == service.slots:
                region = Region(int(row["slots"]), int(row["slot_count"]))
            else:
                region = self._region(self._book.region(number, what), ids[indices])
            row[what], row[length] = region.start, region.size
        if row.tobytes() != self._book.services[number].tobytes():
            self._book.services[number] = row
            self._edition.services.append(number)

    def _service_id(self, endpoint: Endpoint) -> int:
        book = self._book
        if endpoint in book.ids:
            return book.ids[endpoint]
        number = book.retired.pop(endpoint, 0) or int(next(self._free_services, 0))
        if not number:
            raise DataplaneError(f"{endpoint}: the data plane holds at most {len(book.services) - 1} services")
        book.ids[endpoint] = number
        self._edition.opened.append((endpoint, number))
        return number

    def _put_servers(self, service: HeldService, number: int, policy: OnServerRemoved) -> Rows:
        """Ids of the service's servers in their order; a server keeps its id as long as it is the same."""
        book, rows = self._book, server_rows(service.servers, number)
        known = book.members.get(number, {})
        members = dict(known)
        ids = np.zeros(len(rows), INDEX)
        names = identities(rows)
        named = set(names)
        for place, identity in enumerate(names):
            if identity not in members:
                members[identity] = int(next(self._free_servers, 0))
                if not members[identity]:
                    raise DataplaneError(
                        f"{service.endpoint}: the data plane holds at most {len(book.servers) - 1} real servers, "
                        "removed ones with connections left among them"
                    )
            ids[place] = members[identity]
        old = book.servers[ids]
        changed = np.flatnonzero(rows.view(f"V{rows.itemsize}") != old.view(f"V{rows.itemsize}"))
        less = (old["status"] == _PRESENT) & (rows["weight"] == 0)
        self._edition.servers += ids[changed[~less[changed]]].tolist()
        self._edition.late_servers += ids[changed[less[changed]]].tolist()
        book.servers[ids] = rows
        gone = {identity: server_id for identity, server_id in members.items() if identity not in named}
        book.members[number] = {name: members[name] for name in names} | gone
        self._retire(gone, named, policy)
        return ids

    def _retire(self, gone: dict[bytes, int], staying: set[bytes], policy: OnServerRemoved) -> None:
        """Servers that are no longer named. One that only changed its method goes on for those it has."""
        places = {identity[:-1] for identity in staying}
        for identity, server_id in gone.items():
            row = self._book.servers[server_id]
            if row["status"] == _PRESENT:
                moved = identity[:-1] in places
                row["status"] = STATUS[OnServerRemoved.KEEP if moved else policy]
                self._edition.late_servers.append(server_id)

    def _region(self, now: Region, wanted: Rows) -> Region:
        """The region in force where it says the same, else a new one."""
        if now.size == len(wanted) and np.array_equal(self._slots[now.start : now.start + now.size], wanted):
            return now
        fresh = self._room.take(len(wanted))
        if fresh.size:
            self._edition.contents.append((fresh, wanted))
        return fresh

    def _remove(self, endpoint: Endpoint, policy: OnServerRemoved) -> None:
        book = self._book
        number = book.ids.pop(endpoint)
        book.retired[endpoint] = number
        self._edition.closed.append((endpoint, number))
        for field_name in (*_COUNT, *_COUNT.values()):
            book.services[field_name][number] = 0
        self._edition.late_services.append(number)
        self._retire(book.members.get(number, {}), set(), policy)
