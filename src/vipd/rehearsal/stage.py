"""The director's program on maps of its own, where no packet comes but those that it is given.

Its arrays lie in memory, with one value for all processors; its clock stands still until it is set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from vipd.dataplane import _abi
from vipd.dataplane.libbpf import check, lib
from vipd.dataplane.links import ETHERNET, PROGRAMS
from vipd.dataplane.maps import Map, Rows
from vipd.dataplane.pins import BUILT, Pins, require_memory
from vipd.dataplane.program import Object, Program, Run
from vipd.dataplane.tables import INDEX
from vipd.dataplane.xdp import XdpDataplane
from vipd.rehearsal.asking import REHEARSAL, KernelRoutes
from vipd.rehearsal.reading import Written

_BYTE: Final = np.dtype("u1")
_ARRAY, _MMAPABLE = 2, 1 << 10
"BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE"
_DUMMY: Final = bytes(64)


@dataclass(frozen=True, slots=True)
class Room:
    """Entries of the maps that need not be as large as a director's."""

    buckets: int
    slots: int = 65_536
    servers: int = 256
    services: int = 64
    interfaces: int = 256
    keys: int = 1024
    "Of the maps that lead to services, and to servers under NAT."

    def of_arrays(self) -> dict[str, int]:
        """Those that are laid open."""
        return {
            "loads": self.servers,
            "traffic": self.servers,
            "next_hops": self.servers,
            "real_servers": self.servers,
            "service_table": self.services,
            "cursors": self.services,
            "return_hops": int(_abi.Limits.RETURN_HOPS),
            "outcomes": int(_abi.Outcome.OUTCOME_COUNT),
            "events": int(_abi.Event.COUNT),
        }

    def of_others(self) -> dict[str, int]:
        return {
            "connections": self.buckets,
            "slots": self.slots,
            "interfaces": self.interfaces,
            "services": self.keys,
            "service_ranges": self.keys,
            "nat_sources": self.keys,
        }


class _Open(Object):
    def lay_open(self, name: str, entries: int) -> None:
        """One value for all processors, and readable without a call."""
        handle = self._maps[name]
        check(lib().bpf_map__set_type(handle, _ARRAY), f"make {name} an array")
        check(lib().bpf_map__set_map_flags(handle, _MMAPABLE), f"lay {name} open")
        self.resize(name, entries)


class Stage:
    """A loaded director. `BPF_PROG_TEST_RUN` runs it; whatever it decides to send is not sent."""

    def __init__(self, director: Object, rehearsal: Object, room: Room) -> None:
        self.maps: dict[str, Map] = director.maps
        self.programs: dict[str, Program] = director.programs | rehearsal.programs
        self.buckets = room.buckets
        self.table: Rows = self.maps["connections"].memory(_abi.BUCKET)
        self.slots: Rows = self.maps["slots"].memory(INDEX)
        self.memory: dict[str, Rows] = {name: self._bytes(name) for name in room.of_arrays()}
        self.routes = KernelRoutes(self.programs["ask_route"])
        self.now = 0

    def _bytes(self, name: str) -> Rows:
        table = self.maps[name]
        stride = (table.info.value_size + 7) // 8 * 8
        return table.memory(np.dtype(f"V{stride}")).view(_BYTE).reshape(table.max_entries, stride)

    def rows(self, name: str, layout: np.dtype[Any]) -> Rows:
        """An array that lies open."""
        return self.memory[name].view(layout).reshape(-1)

    def dataplane(self) -> XdpDataplane:
        """The control plane's own writer over these maps."""
        nowhere = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        programs = {name: self.programs[name] for name in PROGRAMS}
        return XdpDataplane(Pins(Path("/nonexistent"), nowhere, self.maps, programs, adopted=False))

    def written(self) -> Written:
        """What the control plane wrote."""
        listening: set[int] = set()
        for name, key in (("services", _abi.SERVICE_KEY), ("service_ranges", _abi.SERVICE_RANGE)):
            listening.update(self.maps[name].items(key, INDEX)[1].tolist())
        services, servers = self.rows("service_table", _abi.SERVICE), self.rows("real_servers", _abi.REAL_SERVER)
        return Written(services, servers, self.slots, listening)

    def set_clock(self, now: int) -> None:
        """Nanoseconds. 0 would be the kernel's own clock."""
        row = np.zeros(1, _abi.SWEEPER)
        row["clock"] = now
        self.maps["sweeper"].update(bytes(4), row.tobytes())
        self.now = now

    def run(self, frame: bytes, ifindex: int, program: str = ETHERNET) -> Run:
        return self.programs[program].run(frame, ifindex=ifindex)

    def sweep(self) -> None:
        """The sweeper passes the whole table, once."""
        self.programs["sweep_all"].run(_DUMMY)


@contextmanager
def loaded_stage(room: Room, config: Rows, director: Path = BUILT) -> Iterator[Stage]:
    """Unpinned, private, gone at the end. `config`: one row of struct config, whose sizes are the room's."""
    with _Open(director) as built, _Open(REHEARSAL) as rehearsal:
        for name, entries in room.of_arrays().items():
            built.lay_open(name, entries)
        for name, entries in room.of_others().items():
            built.resize(name, entries)
        for made in (built, rehearsal):
            constant = np.frombuffer(made.constant("config"), _abi.CONFIG)
            for field in ("hash_key", "flow_key", "next_hop_age"):
                constant[field] = config[field]
            constant["buckets"] = room.buckets
        require_memory(built)
        built.load()
        for name in rehearsal.map_names:
            rehearsal.reuse(name, built.maps[name].fd)
        rehearsal.load()
        for table in rehearsal.maps.values():
            table.close()
        stage = Stage(built, rehearsal, room)
    try:
        yield stage
    finally:
        for table in stage.maps.values():
            table.close()
        for program in stage.programs.values():
            program.close()
