"""The connection table of the program, watched: what changed since the last look, against the specification's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from tests.support.oracle.plane import Plane
from vipd.dataplane import _abi
from vipd.rehearsal.reading import entry, flow_of
from vipd.spec.state import BUCKET, Draft, Entry, Flow, ReplyEntry, State

_LINE: Final = 64
"Bytes of a cache line: a bucket's tags, or a slot."
_LINES: Final = _abi.BUCKET.itemsize // _LINE


class Held(NamedTuple):
    """What was seen of a table."""

    seen: bytes
    at: dict[int, Flow]
    living: dict[int, Flow]
    alive: dict[Flow, Entry | ReplyEntry]


class Entries:
    def __init__(self, plane: Plane) -> None:
        self._lines = plane.table.view("u1").reshape(-1, _LINE)
        self._seen = self._lines.tobytes()
        self.at: dict[int, Flow] = {}
        "Whose entry a slot of the table is, or last was."
        self._living: dict[int, Flow] = {}
        "Whose entry a slot is now."
        self.alive: dict[Flow, Entry | ReplyEntry] = {}

    def copy(self) -> Held:
        return Held(self._seen, dict(self.at), dict(self._living), dict(self.alive))

    def restore(self, held: Held) -> None:
        """What `copy` gave; the table's own bytes are the caller's."""
        self._seen = held.seen
        self.at, self._living, self.alive = dict(held.at), dict(held.living), dict(held.alive)

    def wrong(self, state: State, draft: Draft) -> Iterator[str]:
        """Where the entries that either changed differ, and the room that is left in their buckets."""
        flows, buckets = self._look()
        for flow in flows | draft.connections.changed.keys():
            ours, theirs = state.connections.get(flow), self.alive.get(flow)
            if ours != theirs:
                yield f"{flow}:\n  the program        {theirs}\n  the specification  {ours}"
        for bucket in buckets | draft.taken.changed.keys():
            taken = BUCKET - self._lines[bucket * _LINES, :BUCKET].tobytes().count(0)
            if taken != (state.taken.get(bucket) or 0):
                yield f"bucket {bucket}: the program has {taken} entries, the specification {state.taken.get(bucket)}"

    def _look(self) -> tuple[set[Flow], set[int]]:
        """Flows and buckets that changed since the last look."""
        now = self._lines.tobytes()
        if now == self._seen:
            return set(), set()
        before, after = (np.frombuffer(raw, "<u8").reshape(-1, _LINE // 8) for raw in (self._seen, now))
        changed = np.flatnonzero((before != after).any(axis=1)).tolist()
        self._seen = now
        slots = {line // _LINES * BUCKET + line % _LINES - 1: line for line in changed if line % _LINES}
        flows = {self._living.pop(position) for position in slots if position in self._living}
        for flow in flows:
            del self.alive[flow]
        raw = {position: now[line * _LINE : (line + 1) * _LINE] for position, line in slots.items()}
        self.at |= {position: flow_of(each) for position, each in raw.items()}
        for position, each in raw.items():
            found = entry(each, position // BUCKET, self.at.get)
            if found is not None:
                flow = self._living[position] = self.at[position]
                self.alive[flow] = found
                flows.add(flow)
        return flows, {line // _LINES for line in changed if not line % _LINES}
