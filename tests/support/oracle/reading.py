"""What the maps say, in the specification's words: its configuration, its entries, and rows as bytes."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Any, Final

import numpy as np

from tests.support.oracle.plane import Plane
from vipd.dataplane import _abi
from vipd.dataplane.tables import INDEX, Rows, packed_endpoint, unpack_address
from vipd.model.director import Address, Method, OnServerRemoved, Scheduler
from vipd.spec.configuration import Server, Service
from vipd.spec.state import Entry, Flow, Hop, Load, ReplyEntry, Traffic

SLOT: Final = Struct("<16s16sHHBxxxQIIIHH")
_LOAD, _TRAFFIC, _CURSOR = Struct("<QQ"), Struct("<5Q"), Struct("<Q")
_HOP: Final = Struct("<QIHBB6s6s4x")
_STATES: Final = [state.name.lower() for state in _abi.ConnectionState]
_METHODS: Final = {int(_abi.Method[method.name]): method for method in Method}
_SCHEDULERS: Final = {int(_abi.Scheduler[scheduler.name]): scheduler for scheduler in Scheduler}
_REMOVED: Final = {
    int(_abi.ServerStatus.PRESENT): None,
    int(_abi.ServerStatus.REMOVED_RESET): OnServerRemoved.RESET,
    int(_abi.ServerStatus.REMOVED_RESCHEDULE): OnServerRemoved.RESCHEDULE,
    int(_abi.ServerStatus.REMOVED_KEEP): OnServerRemoved.KEEP,
}


@lru_cache(1 << 16)
def address_of(raw: bytes) -> Address:
    return unpack_address(raw)


@dataclass(frozen=True, slots=True)
class Written:
    """What the control plane wrote, as rows of the maps."""

    services: Rows
    servers: Rows
    slots: Rows
    listening: AbstractSet[int]
    "Numbers of services that packets are led to."

    @classmethod
    def of(cls, plane: Plane) -> Written:
        listening: set[int] = set()
        for name, key in (("services", _abi.SERVICE_KEY), ("service_ranges", _abi.SERVICE_RANGE)):
            listening.update(plane.maps[name].items(key, INDEX)[1].tolist())
        services, servers = plane.rows("service_table", _abi.SERVICE), plane.rows("real_servers", _abi.REAL_SERVER)
        return cls(services, servers, plane.slots, listening)

    def services_and_servers(self) -> tuple[dict[int, Service], dict[int, Server]]:
        return (
            {int(number): self._service(number) for number in np.flatnonzero(self.services["protocol"])},
            {int(number): _server(self.servers[number]) for number in np.flatnonzero(self.servers["status"])},
        )

    def _service(self, number: Any) -> Service:
        row = self.services[number]
        return Service(
            packed_endpoint(row),
            _SCHEDULERS[int(row["scheduler"])],
            bool(row["flags"] & _abi.ServiceFlag.CLAMP_MSS),
            bool(row["flags"] & _abi.ServiceFlag.MH_PORT),
            self._region(row["slots"], row["slot_count"]),
            self._region(row["fallback"], row["fallback_count"]),
            int(number) in self.listening,
        )

    def _region(self, start: Any, count: Any) -> list[int]:
        numbers: list[int] = self.slots[int(start) : int(start) + int(count)].tolist()
        return numbers


def _server(row: Any) -> Server:
    source = row["tunnel_source"].tobytes()
    return Server(
        int(row["service"]),
        unpack_address(row["address"].tobytes()),
        _METHODS.get(int(row["method"])),
        int(row["port"]) or None,
        int(row["weight"]),
        unpack_address(source) if any(source) else None,
        int(row["tunnel_source_bits"]),
        _REMOVED[int(row["status"])],
    )


def flow_of(raw: bytes) -> Flow:
    """Whose entry a slot of the connection table is, or last was."""
    source, destination, source_port, destination_port, protocol, *_ = SLOT.unpack(raw)
    return Flow(
        address_of(source), _swapped(source_port), address_of(destination), _swapped(destination_port), protocol
    )


def entry(raw: bytes, bucket: int, flow_at: Callable[[int], Flow | None]) -> Entry | ReplyEntry | None:
    """A slot as a value; None where nobody lives there. `flow_at`: whose entry another slot is."""
    *_, life, server, service, twin, port, hop = SLOT.unpack(raw)
    if not life:
        return None
    flags = life >> _abi.LifeShift.FLAGS_SHIFT
    other, expires = flow_at(twin - 1) if twin else None, life & 0xFFFFFFFF
    if flags & _abi.ConnectionFlag.REPLY:
        assert other is not None
        return ReplyEntry(server, service, other, _swapped(port), expires, hop, bucket)
    state = _STATES[life >> _abi.LifeShift.STATE_SHIFT & 0xFF]
    return Entry(server, service, state, expires, other, bool(flags & _abi.ConnectionFlag.TWO_WAY), bucket)


def _swapped(port: int) -> int:
    return port >> 8 | (port & 0xFF) << 8


def hop_row(hop: Hop) -> bytes:
    kind = _abi.NextHopKind[hop.kind.upper()]
    return _HOP.pack(hop.resolved_at, hop.ifindex, hop.mtu, kind, hop.gateway, hop.destination, hop.source)


ROWS: Final[dict[str, Callable[[Any], bytes]]] = {
    "loads": lambda load: _LOAD.pack(*(load or Load())),
    "traffic": lambda traffic: _TRAFFIC.pack(*(traffic or Traffic())),
    "cursors": lambda turn: _CURSOR.pack(turn or 0),
    "next_hops": lambda hop: hop_row(hop) if hop else bytes(_HOP.size),
    "return_hops": lambda hop: hop_row(hop) if hop else bytes(_HOP.size),
}
"Of each table that lies open, a value of the specification as the row that says it."
