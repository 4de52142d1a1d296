"""The BPF program for hundreds of thousands of packets: all its maps lie in memory, its clock is the test's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from struct import Struct
from typing import Final

import numpy as np

from tests.support.tables import FLOW_KEY, HASH_KEY
from vipd.dataplane import _abi
from vipd.dataplane.libbpf import check, lib
from vipd.dataplane.links import ETHERNET
from vipd.dataplane.maps import Map, Rows
from vipd.dataplane.pins import Pins
from vipd.dataplane.program import Object, Program, Run
from vipd.dataplane.tables import INDEX
from vipd.dataplane.xdp import XdpDataplane
from vipd.model.director import Address
from vipd.spec.configuration import NEXT_HOP_AGE
from vipd.spec.routes import Answer, Way

ROOT: Final = Path(__file__).parents[3]
DIRECTOR: Final = ROOT / "src" / "vipd" / "bpf" / "vipd.bpf.o"
HARNESS: Final = ROOT / "build" / "bpf" / "harness.bpf.o"
START: Final = 1_000_000_000_000
"Where a plane's clock begins: ns."
SERVERS: Final = 256
SERVICES: Final = 64
SLOTS: Final = 65_536

_BYTE: Final = np.dtype("u1")
_ARRAY, _MMAPABLE = 2, 1 << 10
"BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE"
_OPEN: Final = {
    "loads": SERVERS,
    "traffic": SERVERS,
    "next_hops": SERVERS,
    "real_servers": SERVERS,
    "service_table": SERVICES,
    "cursors": SERVICES,
    "return_hops": int(_abi.Limits.RETURN_HOPS),
    "outcomes": int(_abi.Outcome.OUTCOME_COUNT),
    "events": int(_abi.Event.COUNT),
}
"Maps that are laid open, and how many entries they have here."
_SMALLER: Final = {"interfaces": 256, "services": 1024, "service_ranges": 1024, "nat_sources": 1024}
_FIB: Final = Struct("=BBHHHII16s16sI6s6s")
"struct bpf_fib_lookup: family, protocol, ports, mtu_result, ifindex, …, source, destination, VLAN, MACs."
_FAMILIES: Final = {4: 2, 6: 10}
_ANSWERS: Final = {0: Answer.NEIGHBOUR, 6: Answer.ENCAPSULATED, 7: Answer.NO_NEIGHBOUR}
"BPF_FIB_LKUP_RET_SUCCESS, _UNSUPP_LWT, _NO_NEIGH."


class _Open(Object):
    def lay_open(self, name: str, entries: int) -> None:
        """One value for all processors, and readable without a call."""
        check(lib().bpf_map__set_type(self._handle_of(name), _ARRAY), f"make {name} an array")
        check(lib().bpf_map__set_map_flags(self._handle_of(name), _MMAPABLE), f"lay {name} open")
        self.resize(name, entries)

    def _handle_of(self, name: str) -> object:
        import ctypes

        return ctypes.c_void_p(self._maps[name])


class Plane:
    """A loaded director between wires, and the control plane's own writer over its maps."""

    def __init__(self, director: Object, harness: Object, buckets: int, next_hop_age: int) -> None:
        self.maps: dict[str, Map] = director.maps
        self.programs: dict[str, Program] = director.programs | harness.programs
        self.buckets, self.next_hop_age = buckets, next_hop_age
        self.table: Rows = self.maps["connections"].memory(_abi.BUCKET)
        self.slots: Rows = self.maps["slots"].memory(INDEX)
        self.memory: dict[str, Rows] = {name: self._bytes(name) for name in _OPEN}
        self.dataplane = self._dataplane()
        self.now = 0
        self.set_clock(START)
        self._ways: dict[tuple[int, Address], Way] = {}

    def _bytes(self, name: str) -> Rows:
        table = self.maps[name]
        stride = (table.info.value_size + 7) // 8 * 8
        return table.memory(np.dtype(f"V{stride}")).view(_BYTE).reshape(table.max_entries, stride)

    def _dataplane(self) -> XdpDataplane:
        nowhere = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        return XdpDataplane(
            Pins(Path("/nonexistent"), nowhere, self.maps, {ETHERNET: self.programs[ETHERNET]}, adopted=False)
        )

    def rows(self, name: str, layout: np.dtype[np.void]) -> Rows:
        return self.memory[name].view(layout).reshape(-1)

    def set_clock(self, now: int) -> None:
        """Nanoseconds. 0 would be the kernel's own clock."""
        row = np.zeros(1, _abi.SWEEPER)
        row["clock"] = now
        self.maps["sweeper"].update(bytes(4), row.tobytes())
        self.now = now

    def run(self, frame: bytes, ifindex: int, program: str = ETHERNET) -> Run:
        return self.programs[program].run(frame, ifindex=ifindex)

    def sweep(self) -> None:
        self.programs["sweep_all"].run(bytes(64))

    def network_changed(self) -> None:
        self._ways.clear()

    def ask(self, ingress: int, destination: Address) -> Way:
        """As `spec.routes.Routes`: the kernel's own answer."""
        key = ingress, destination
        way = self._ways.get(key)
        if way is None:
            way = self._ways[key] = self._ask(ingress, destination)
        return way

    def _ask(self, ingress: int, destination: Address) -> Way:
        to = destination.packed.ljust(16, b"\0")
        question = _FIB.pack(_FAMILIES[destination.version], 0, 0, 0, 0, ingress, 0, bytes(16), to, 0, b"", b"")
        run = self.programs["ask_route"].run(question, ifindex=ingress)
        family, _, _, _, mtu, ifindex, _, _, found, _, source, mac = _FIB.unpack(run.frame)
        answer = _ANSWERS.get(run.action, Answer.NO_ROUTE)
        if answer is not Answer.NEIGHBOUR:
            return Way(answer, ifindex, mtu)
        size = 4 if isinstance(destination, IPv4Address) else 16
        direct = family == _FAMILIES[destination.version] and found[:size] == destination.packed
        return Way(answer, ifindex, mtu, mac, source, not direct)


@contextmanager
def loaded_plane(buckets: int, program: Path = DIRECTOR, next_hop_age: int = NEXT_HOP_AGE) -> Iterator[Plane]:
    """Unpinned, private, gone at the end. `program`: another object, such as a mutant."""
    with _Open(program) as director, _Open(HARNESS) as harness:
        for name, entries in _OPEN.items():
            director.lay_open(name, entries)
        for name, entries in _SMALLER.items():
            director.resize(name, entries)
        director.resize("connections", buckets)
        director.resize("slots", SLOTS)
        for made in (director, harness):
            constant = np.frombuffer(made.constant("config"), _abi.CONFIG)
            constant["buckets"], constant["next_hop_age"] = buckets, next_hop_age
            constant["hash_key"], constant["flow_key"] = HASH_KEY, FLOW_KEY
        director.load()
        for name in harness.map_names:
            harness.reuse(name, director.maps[name].fd)
        harness.load()
        for table in harness.maps.values():
            table.close()
        plane = Plane(director, harness, buckets, next_hop_age)
    try:
        yield plane
    finally:
        for table in plane.maps.values():
            table.close()
        for loaded in plane.programs.values():
            loaded.close()
