"""The connection table, read where it lies. Effects: none but reading the map and the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from vipd.dataplane import _abi
from vipd.dataplane.port import ANY, Matching
from vipd.dataplane.tables import TRANSPORTS, Rows, pack_address, unpack_address
from vipd.model.director import Network
from vipd.model.state import Connection

_CHUNK: Final = 4096
"Buckets looked at together: some MiB, which a processor's cache holds."
_TICK: Final = 1 << _abi.Limits.TICK_SHIFT
_NS: Final = 1_000_000_000
_GENERATION: Final = np.uint64(0xFFFF << _abi.LifeShift.GENERATION_SHIFT)


class Table:
    """The map in memory. The data plane writes while we read: what changed meanwhile is left out."""

    def __init__(self, memory: Rows, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._memory, self._clock = memory, clock

    def _chunks(self) -> Iterator[Rows]:
        for start in range(0, len(self._memory), _CHUNK):
            yield self._memory["slot"][start : start + _CHUNK]

    def named_servers(self) -> set[int]:
        """Ids of real servers that some entry names, ended or not."""
        named: set[int] = set()
        for slots in self._chunks():
            named.update(np.unique(slots["real_server"][slots["life"] != 0]).tolist())
        return named

    def count(self) -> int:
        """Known connections."""
        return sum(int(self._alive(slots["life"].copy()).sum()) for slots in self._chunks())

    def _alive(self, life: Rows) -> Rows:
        """Whose entry is a client's, and not over."""
        flags = life >> np.uint64(_abi.LifeShift.FLAGS_SHIFT)
        alive: Rows = (flags & (_abi.ConnectionFlag.USED | _abi.ConnectionFlag.REPLY) == _abi.ConnectionFlag.USED) & (
            self._ticks_left(life) >= 0
        )
        return alive

    def _ticks_left(self, life: Rows) -> Rows:
        now = np.uint32(self._clock() // _TICK & 0xFFFFFFFF)
        left: Rows = (life.astype("u4") - now).view("i4")
        return left

    def select(self, servers: Rows, matching: Matching = ANY) -> Iterator[Rows]:
        """Entries that fit, many at a time; `servers` are the rows of real_servers."""
        for slots in self._chunks():
            life = slots["life"].copy()
            chosen = self._alive(life)
            if matching.state is not None:
                chosen &= _state(life) == _abi.ConnectionState[matching.state.upper()]
            place = np.nonzero(chosen)
            entries = slots[place]
            # Torn: another connection lives there now.
            same = (entries["life"] ^ life[place]) & _GENERATION == 0
            after = slots["life"][place]
            same &= (after ^ life[place]) & _GENERATION == 0
            entries = entries[same & (after != 0)]
            yield entries[_fitting(entries, servers, matching)]

    def connections(self, servers: Rows, matching: Matching = ANY) -> Iterator[Connection]:
        for entries in self.select(servers, matching):
            left = np.maximum(self._ticks_left(entries["life"]), 0) * (_TICK / _NS)
            for entry, seconds in zip(entries, left.tolist(), strict=True):
                yield _connection(entry, servers[entry["real_server"]], seconds)


def _state(life: Rows) -> Rows:
    return life >> np.uint64(_abi.LifeShift.STATE_SHIFT) & np.uint64(0xFF)


def _raw(column: Rows) -> Rows:
    return np.ascontiguousarray(column).view("u1").reshape(-1, 16)


def _fitting(entries: Rows, servers: Rows, matching: Matching) -> Rows:
    fits = np.ones(len(entries), bool)
    flow = entries["flow"]
    if matching.client is not None:
        fits &= _within(_raw(flow["source"]), matching.client)
    if matching.vip is not None:
        fits &= (_raw(flow["destination"]) == np.frombuffer(pack_address(matching.vip), "u1")).all(axis=1)
    if matching.vip_port is not None:
        fits &= flow["destination_port"] == matching.vip_port
    if matching.server is not None:
        wanted = np.frombuffer(pack_address(matching.server), "u1")
        fits &= (_raw(servers["address"][entries["real_server"]]) == wanted).all(axis=1)
    return fits


def _within(raw: Rows, network: Network) -> Rows:
    length = network.prefixlen + (96 if network.version == 4 else 0)
    mask = np.frombuffer(((1 << 128) - (1 << 128 - length)).to_bytes(16), "u1")
    inside: Rows = (raw & mask == np.frombuffer(pack_address(network.network_address), "u1")).all(axis=1)
    return inside


def _connection(entry: Any, server: Any, seconds: float) -> Connection:
    flow, life = entry["flow"], int(entry["life"])
    vip_port = int(flow["destination_port"])
    transport = TRANSPORTS[int(flow["protocol"])]
    active = bool(life >> _abi.LifeShift.FLAGS_SHIFT & _abi.ConnectionFlag.ACTIVE)
    return Connection(
        transport=transport,
        client=unpack_address(flow["source"].tobytes()),
        client_port=int(flow["source_port"]),
        vip=unpack_address(flow["destination"].tobytes()),
        vip_port=vip_port,
        server=unpack_address(server["address"].tobytes()),
        server_port=int(server["port"]) or vip_port,
        state=_abi.ConnectionState(life >> _abi.LifeShift.STATE_SHIFT & 0xFF).name.lower(),
        expires=seconds,
        active=active,
    )
