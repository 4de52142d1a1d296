"""What rows of the maps say, in the specification's words. Knows no file descriptor."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Any, Final, overload

import numpy as np

from vipd.dataplane import _abi
from vipd.dataplane.tables import Rows, pack_address, packed_endpoint, unpack_address
from vipd.model.director import STATES, Address, Method, OnServerRemoved, Scheduler, Timeouts
from vipd.spec import Interface
from vipd.spec.configuration import TICK, Keys, Server, Service
from vipd.spec.state import Entry, Flow, FragmentKey, Hop, Load, Ports, ReplyEntry, Traffic

SLOT: Final = Struct("<16s16sHHBxxxQIIIHH")
"struct connection; its ports are big-endian."
LIFE: Final = Struct("<Q")
LIFE_AT: Final = 40
_FLOW: Final = Struct(">16s16sHHBxxx")
_LOAD, _CURSOR = Struct("<QQ"), Struct("<Q")
_HOP: Final = Struct("<QIHBB6s6s4x")
_FRAGMENT: Final = Struct(">HH")
_STATES: Final = [state.name.lower() for state in _abi.ConnectionState]
_METHODS: Final = {int(_abi.Method[method.name]): method for method in Method}
_SCHEDULERS: Final = {int(_abi.Scheduler[scheduler.name]): scheduler for scheduler in Scheduler}
_REMOVED: Final = {
    int(_abi.ServerStatus.PRESENT): None,
    int(_abi.ServerStatus.REMOVED_RESET): OnServerRemoved.RESET,
    int(_abi.ServerStatus.REMOVED_RESCHEDULE): OnServerRemoved.RESCHEDULE,
    int(_abi.ServerStatus.REMOVED_KEEP): OnServerRemoved.KEEP,
}
_DIGITS: Final = 3
"After the point, of a timeout that is read back."


@lru_cache(1 << 16)
def address_of(raw: bytes) -> Address:
    return unpack_address(raw)


class Region(Sequence[int]):
    """A part of the slots map, where it lies."""

    def __init__(self, slots: Rows, start: int, count: int) -> None:
        self._slots, self._start, self._count = slots, start, count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> list[int]: ...
    def __getitem__(self, index: int | slice) -> int | list[int]:
        if isinstance(index, slice):
            found: list[int] = self._slots[self._start : self._start + self._count][index].tolist()
            return found
        if not -self._count <= index < self._count:
            raise IndexError(index)
        return int(self._slots[self._start + index % self._count])


@dataclass(frozen=True, slots=True)
class Written:
    """What the control plane wrote, as rows of the maps."""

    services: Rows
    servers: Rows
    slots: Rows
    listening: AbstractSet[int]
    "Numbers of services that packets are led to."

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
            Region(self.slots, int(row["slots"]), int(row["slot_count"])),
            Region(self.slots, int(row["fallback"]), int(row["fallback_count"])),
            int(number) in self.listening,
        )


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


def interfaces_of(rows: Rows) -> dict[int, Interface]:
    """By ifindex."""
    return {
        int(row["ifindex"]): Interface(row["mac"].tobytes(), bool(row["flags"] & _abi.InterfaceFlag.REDIRECT))
        for row in rows[rows["ifindex"] != 0]
    }


def keys_of(config: Any) -> Keys:
    client, flow = config["hash_key"].tolist(), config["flow_key"].tolist()
    return Keys((client[0], client[1]), tuple(flow))


def timeouts_of(ticks: Rows) -> Timeouts:
    """Whoever wrote 900 s wants to read 900 s: the roundest time that gives as many ticks."""
    return Timeouts(**{state: _seconds(int(ticks[_STATES.index(state)])) for state in STATES})


def _seconds(ticks: int) -> float:
    most = ticks * TICK / 1e9
    for digits in range(_DIGITS + 1):
        rounded: float = math.floor(most * 10**digits) / 10**digits
        if math.ceil(rounded * 1e9 / TICK) == ticks:
            return rounded
    return (ticks - 0.5) * TICK / 1e9


def flow_row(flow: Flow) -> bytes:
    """The key of an entry of the connection table."""
    source, destination, protocol = pack_address(flow.source), pack_address(flow.destination), flow.protocol
    return _FLOW.pack(source, destination, flow.source_port, flow.destination_port, protocol)


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
        # It ended just now: the client's entry goes first.
        return None if other is None else ReplyEntry(server, service, other, _swapped(port), expires, hop, bucket)
    state = _STATES[life >> _abi.LifeShift.STATE_SHIFT & 0xFF]
    return Entry(server, service, state, expires, other, bool(flags & _abi.ConnectionFlag.TWO_WAY), bucket)


def _swapped(port: int) -> int:
    return port >> 8 | (port & 0xFF) << 8


def load_of(raw: bytes) -> Load:
    return Load(*_LOAD.unpack(raw))


def cursor_of(raw: bytes) -> int:
    turn: int = _CURSOR.unpack(raw)[0]
    return turn


def traffic_of(raw: bytes) -> Traffic:
    """The sum of all processors' parts."""
    rows = np.frombuffer(raw, _abi.TRAFFIC)
    return Traffic(*(int(rows[name].sum()) for name in Traffic._fields))


def hop_of(raw: bytes) -> Hop | None:
    """None where the kernel was never asked."""
    resolved_at, ifindex, mtu, kind, gateway, destination, source = _HOP.unpack(raw)
    if kind == _abi.NextHopKind.UNKNOWN:
        return None
    return Hop(_abi.NextHopKind(kind).name.lower(), ifindex, mtu, destination, source, bool(gateway), resolved_at)


def hop_row(hop: Hop) -> bytes:
    kind = _abi.NextHopKind[hop.kind.upper()]
    return _HOP.pack(hop.resolved_at, hop.ifindex, hop.mtu, kind, hop.gateway, hop.destination, hop.source)


def fragment_row(key: FragmentKey) -> bytes:
    """The key of a datagram's ports; IPv4's identification has 16 bits, and stands first."""
    number = key.identification.to_bytes(4, "big")
    number = number[2:] + bytes(2) if key.source.version == 4 else number
    return pack_address(key.source) + pack_address(key.destination) + number + bytes((key.protocol, 0, 0, 0))


def ports_of(raw: bytes) -> Ports:
    source, destination = _FRAGMENT.unpack_from(raw, 8)
    return Ports(source, destination, int.from_bytes(raw[:8], "little"))
