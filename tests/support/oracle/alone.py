"""The specification as a director of its own: what a pair does, without root and without a program to compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tests.support.oracle.network import PORTS, Routes, has_ethernet
from tests.support.oracle.wanted import KEYS, Wanted
from vipd.control import plan, policies
from vipd.dataplane import _abi
from vipd.dataplane.book import Book, Editor
from vipd.dataplane.port import Port
from vipd.dataplane.tables import INDEX
from vipd.model.director import Address, Director, Endpoint, Timeouts, VirtualService
from vipd.model.state import HeldService
from vipd.rehearsal.reading import Written
from vipd.spec import Configuration, Decision, Ingress, Interface, State, decide, sweep
from vipd.spec.configuration import Keys

_SERVERS, _SERVICES, _SLOTS = 512, 256, 65_536
_START = 1_000_000_000_000


class Alone:
    def __init__(
        self,
        buckets: int = 64,
        local: frozenset[Address] = frozenset(),
        slots: int = _SLOTS,
        keys: Keys = KEYS,
    ) -> None:
        self.buckets, self._room, self._keys = buckets, slots, keys
        self._wanted = Wanted(local)
        self.clear()

    def clear(self) -> None:
        servers, services = np.zeros(_SERVERS, _abi.REAL_SERVER), np.zeros(_SERVICES, _abi.SERVICE)
        self._book, self._slots = Book(servers, services, ()), np.zeros(self._room, INDEX)
        self._held: Mapping[Endpoint, HeldService] = {}
        self._forgotten: set[Address] = set()
        self.now = _START
        self.state, self.routes = State(), Routes()
        self.timeouts = Timeouts()
        self.set_ports(PORTS)

    def set_ports(self, ports: Mapping[str, Port]) -> None:
        self.interfaces = {port.ifindex: Interface(port.mac, port.redirect) for port in ports.values()}
        self._read()

    def configure(self, services: Sequence[VirtualService]) -> None:
        wanted = self._wanted(services)
        edition = Editor(self._book, self._slots).edit(
            plan(wanted, self._held, policies(Director(("out0",), tuple(services))))
        )
        for region, content in edition.contents:
            self._slots[region.start : region.start + region.size] = content
        self._book, self._held = edition.book, wanted
        self._read()

    def collect(self) -> None:
        named = {entry.server for entry in self.state.connections.values()}
        gone = [n for n, server in self.configuration.servers.items() if server.removed and n not in named]
        self._book.servers[gone] = np.zeros(1, _abi.REAL_SERVER)
        left = set(self._book.servers["service"][self._book.servers["status"] != 0].tolist())
        empty = [n for n, each in self.configuration.services.items() if not each.listening and n not in left]
        self._book.services[empty] = np.zeros(1, _abi.SERVICE)
        self._book = Book(self._book.servers, self._book.services, set(self._book.ids.values()))
        self._read()
        for table in (self.state.loads, self.state.traffic, self.state.next_hops):
            for number in gone:
                table.pop(number, None)
        for number in empty:
            self.state.cursors.pop(number, None)

    def _read(self) -> None:
        written = Written(self._book.services, self._book.servers, self._slots, set(self._book.ids.values()))
        services, servers = written.services_and_servers()
        self.configuration = Configuration(services, servers, self.interfaces, self.timeouts, self._keys, self.buckets)

    def set_timeouts(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self._read()

    def wait(self, nanoseconds: int) -> None:
        self.now += nanoseconds

    def neighbour(self, address: Address, known: bool) -> None:
        self._forgotten ^= {address}
        assert known == (address not in self._forgotten)
        self.routes = Routes(self._forgotten)

    def send(self, port: str, frame: bytes) -> Decision:
        ingress = Ingress(PORTS[port].ifindex, has_ethernet(port))
        decision = decide(self.configuration, self.state, frame, ingress, self.now, self.routes)
        self.state.apply(decision.draft)
        return decision

    def sweep(self) -> int:
        draft, over = sweep(self.configuration, self.state, list(self.state.connections), self.now)
        self.state.apply(draft)
        return over

    def finish(self) -> None:
        """Nothing is compared."""
