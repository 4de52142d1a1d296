"""The data plane of the kernel: the Protocol of port.py over an instance's pinned maps.

For one thread at a time; that no second process opens it, the lock on its directory sees to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from vipd.dataplane import _abi
from vipd.dataplane.applying import Application, Derived, read_book, says, settle
from vipd.dataplane.attaching import Interfaces
from vipd.dataplane.book import Book, Editor
from vipd.dataplane.collecting import clear, empty_services, idle_servers
from vipd.dataplane.connections import Table
from vipd.dataplane.counting import Counting, Counts, Usage
from vipd.dataplane.holding import Holding
from vipd.dataplane.pins import BUILT, Pins, Sizes, open_pins, remove
from vipd.dataplane.port import ANY, Change, Matching, Port
from vipd.dataplane.ports import Ports
from vipd.dataplane.tables import INDEX, timeout_ticks
from vipd.dataplane.writer import After, Writer, nothing
from vipd.model.director import Endpoint, Timeouts
from vipd.model.state import Connection, HeldService, Totals

_FREE: Final = int(_abi.ServerStatus.FREE)


class XdpDataplane:
    """Opened, it is in force; closed, it stays so. `interfaces` says on which."""

    def __init__(self, pins: Pins, after: After = nothing) -> None:
        self.pins, self._after = pins, after
        self.interfaces = Interfaces(pins)
        self._maps = pins.maps
        self._slots = self._maps["slots"].memory(INDEX)
        self._table = Table(self._maps["connections"].memory(_abi.BUCKET))
        self._holding = Holding(self._slots, _abi.Limits.REAL_SERVERS)
        self._counting = Counting(self._maps)
        self._ports = Ports(self._maps["interfaces"])
        self.usage = Usage(self._maps["loads"], lambda: self._book)
        self._book = settle(self._maps, read_book(self._maps))
        self._derived = Derived.of(self._book)
        self._derived.write(self._maps, Derived.read(self._maps))

    def close(self) -> None:
        self.pins.close()

    def down(self) -> None:
        """Off the interfaces, and everything of it removed."""
        self.close()
        remove(self.pins.directory)

    def held(self) -> Mapping[Endpoint, HeldService]:
        if not says(self._maps, self._book):
            self._take(read_book(self._maps))
        return self._holding.services(self._book)

    def _take(self, found: Book) -> None:
        found.order_like(self._book)
        self._book, self._derived = found, Derived.read(self._maps)

    def apply(self, changes: Sequence[Change]) -> None:
        edition = Editor(self._book, self._slots).edit(changes)
        newcomers = edition.opened or (self._book.servers["status"][edition.servers] == _FREE).any()
        derived = Derived.of(edition.book) if newcomers else self._derived
        application = Application(self._maps, self._slots, self._book, edition, self._derived, derived)
        application.require_room()
        try:
            with Writer(self._maps, self._after) as writer:
                application.write(writer)
        except BaseException:
            self._take(read_book(self._maps))
            raise
        self._holding.follow(self._book, edition.book, changes)
        self._book, self._derived = edition.book, derived

    def set_timeouts(self, timeouts: Timeouts) -> None:
        ticks = timeout_ticks(timeouts)
        self._maps["timeouts"].write(np.arange(len(ticks), dtype=INDEX), ticks)

    def set_ports(self, ports: Sequence[Port]) -> None:
        self._ports.write(ports)

    def counters(self) -> Counts:
        return self._counting.counters(self._book)

    def totals(self) -> Totals:
        return self._counting.totals()

    def connections(self, matching: Matching = ANY) -> Iterator[Connection]:
        return self._table.connections(self._book.servers, matching)

    def collect(self) -> int:
        idle = idle_servers(self._maps, self._book, self._table)
        # The id is free last: whoever gets it next finds nothing of the one before.
        for name in ("next_hops", "loads", "traffic", "real_servers"):
            clear(self._maps[name], idle)
        if len(idle):
            self._take(read_book(self._maps))
        gone = empty_services(self._book)
        for name in ("cursors", "service_table"):
            clear(self._maps[name], gone)
        if len(idle) or len(gone):
            self._take(read_book(self._maps))
            wanted = Derived.of(self._book)
            wanted.write(self._maps, self._derived)
            self._derived = wanted
        return len(idle)


def open_xdp(
    directory: Path, secret: bytes, sizes: Sizes | None = None, built: Path = BUILT, after: After = nothing
) -> XdpDataplane:
    """The data plane pinned there, adopted; else made. `after` is for tests of partial failure."""
    return XdpDataplane(open_pins(directory, secret, sizes or Sizes(), built), after)
