"""What a director remembers, looked up where it lies: its maps as the specification's `Tables`. Reads only."""

from __future__ import annotations

import struct
from collections.abc import Callable, Container, Mapping
from typing import Final, Generic, TypeVar

from vipd.dataplane import _abi
from vipd.dataplane.maps import Map, Rows
from vipd.errors import BusyError
from vipd.rehearsal import reading
from vipd.rehearsal.reading import LIFE, LIFE_AT, SLOT
from vipd.spec.configuration import Keys
from vipd.spec.hashes import flow_hash
from vipd.spec.state import BUCKET, Entry, Flow, FragmentKey, Hop, Load, Ports, ReplyEntry, Table, Traffic
from vipd.spec.table import buckets

K = TypeVar("K")
V = TypeVar("V")

_NUMBER: Final = struct.Struct("<I")
_HEAD: Final = 64
"Bytes of a bucket before its slots: the tags."
_TRIES: Final = 8
_GENERATION: Final = 0xFFFF << _abi.LifeShift.GENERATION_SHIFT


class Connections:
    """The connection table by flow. The data plane writes meanwhile: what changed under our eyes is read again."""

    def __init__(self, memory: Rows, keys: Keys) -> None:
        """`memory`: the map, a row for each bucket."""
        self._memory, self._keys = memory, keys

    def __len__(self) -> int:
        """Buckets."""
        return len(self._memory)

    def get(self, flow: Flow, /) -> Entry | ReplyEntry | None:
        wanted = reading.flow_row(flow)
        for bucket in dict.fromkeys(buckets(flow_hash(self._keys, flow), len(self._memory))):
            for number in range(BUCKET):
                slot = self._slot(bucket, number)
                if slot[: len(wanted)] == wanted and any(slot[LIFE_AT : LIFE_AT + LIFE.size]):
                    found = reading.entry(slot, bucket, self._flow_at)
                    if found is not None:
                        return found
        return None

    def _slot(self, bucket: int, number: int) -> bytes:
        """One moment's: a slot that is given to another flow meanwhile gets another generation."""
        at = _HEAD + number * SLOT.size
        for _ in range(_TRIES):
            raw = self.raw(bucket)[at : at + SLOT.size]
            before, now = (LIFE.unpack_from(each, LIFE_AT)[0] for each in (raw, self.raw(bucket)[at : at + SLOT.size]))
            if not (before ^ now) & _GENERATION and bool(before) == bool(now):
                return raw
        return bytes(SLOT.size)

    def raw(self, bucket: int) -> bytes:
        row: bytes = self._memory[bucket].tobytes()
        return row

    def taken(self, bucket: int) -> int:
        """Places."""
        return BUCKET - self.raw(bucket)[:BUCKET].count(0)

    def _flow_at(self, position: int) -> Flow | None:
        bucket, number = divmod(position, BUCKET)
        if bucket >= len(self._memory):
            return None
        return reading.flow_of(self._slot(bucket, number))


class _Taken:
    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def get(self, bucket: int, /) -> int | None:
        return self._connections.taken(bucket)


class OfServers:
    """Connections of servers that were read: the daemon may have added one since."""

    def __init__(self, connections: Table[Flow, Entry | ReplyEntry], servers: Container[int]) -> None:
        self._connections, self._servers = connections, servers

    def get(self, flow: Flow, /) -> Entry | ReplyEntry | None:
        found = self._connections.get(flow)
        if found is not None and found.server not in self._servers:
            raise BusyError("a server came while the director was looked at; try again")
        return found


class _Array(Generic[V]):
    """A map by number."""

    def __init__(self, table: Map, read: Callable[[bytes], V]) -> None:
        self._table, self._read = table, read

    def get(self, number: int, /) -> V | None:
        try:
            return self._read(self._table.lookup(_NUMBER.pack(number)))
        except KeyError:
            return None


class _Fragments:
    def __init__(self, table: Map) -> None:
        self._table = table

    def get(self, key: FragmentKey, /) -> Ports | None:
        try:
            return reading.ports_of(self._table.lookup(reading.fragment_row(key)))
        except KeyError:
            return None


class _HopTable:
    def __init__(self, table: Map) -> None:
        self._array: _Array[Hop | None] = _Array(table, reading.hop_of)

    def get(self, number: int, /) -> Hop | None:
        return self._array.get(number)


class MapTables:
    """`spec.state.Tables` over maps."""

    def __init__(self, maps: Mapping[str, Map], connections: Connections, servers: Container[int]) -> None:
        """`servers`: numbers of those that are known."""
        self.connections: Table[Flow, Entry | ReplyEntry] = OfServers(connections, servers)
        self.taken: Table[int, int] = _Taken(connections)
        self.loads: Table[int, Load] = _Array(maps["loads"], reading.load_of)
        self.traffic: Table[int, Traffic] = _Array(maps["traffic"], reading.traffic_of)
        self.cursors: Table[int, int] = _Array(maps["cursors"], reading.cursor_of)
        self.next_hops: Table[int, Hop] = _HopTable(maps["next_hops"])
        self.return_hops: Table[int, Hop] = _HopTable(maps["return_hops"])
        self.fragments: Table[FragmentKey, Ports] = _Fragments(maps["fragments"])


class Once(Generic[K, V]):
    """A table each of whose keys is looked up once; what was asked for stays known."""

    def __init__(self, base: Table[K, V]) -> None:
        self._base = base
        self.seen: dict[K, V | None] = {}

    def get(self, key: K, /) -> V | None:
        if key not in self.seen:
            self.seen[key] = self._base.get(key)
        return self.seen[key]


class Snapshot:
    """Tables of one moment, as far as anybody asked: what changes later is not seen."""

    def __init__(self, base: MapTables) -> None:
        self.connections: Once[Flow, Entry | ReplyEntry] = Once(base.connections)
        self.taken: Once[int, int] = Once(base.taken)
        self.loads: Once[int, Load] = Once(base.loads)
        self.traffic: Once[int, Traffic] = Once(base.traffic)
        self.cursors: Once[int, int] = Once(base.cursors)
        self.next_hops: Once[int, Hop] = Once(base.next_hops)
        self.return_hops: Once[int, Hop] = Once(base.return_hops)
        self.fragments: Once[FragmentKey, Ports] = Once(base.fragments)
