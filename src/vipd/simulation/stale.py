"""Where the simulation stops short of the director: a client's port that some director knows from before. Pure.

A flow moves to another director, and its former one keeps the entry until it times out. Should a later
flow of the same client and ports come to that director meanwhile, it would be taken for the old one.
Such flows are counted, and treated as if they were new.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vipd.simulation.flows import Flows
from vipd.simulation.hashing import Words
from vipd.simulation.standing import NOWHERE, Rows, Standing

PAIRS: Final = 1 << 20
"Of a flow and an entry that are looked at together."
_NONE: Final = -1


class _Entries(NamedTuple):
    """What directors remember, ordered by name: chain of flows and director."""

    name: NDArray[np.int64]
    row: Rows
    until: Words
    in_place: NDArray[np.bool_]
    "Not left behind."


class Stale:
    def __init__(self, flows: Flows, standing: Standing) -> None:
        self.count = 0
        self._flows, self._standing = flows, standing
        pairs = flows.follows
        self._again = np.unique(pairs)
        "Rows whose client and ports come more than once; columns here have a place for each of them."
        self._is_again = np.zeros(flows.count, np.bool_)
        self._is_again[self._again] = True
        place = np.searchsorted(self._again, pairs)
        begins = np.append(True, pairs[1:, 0] != pairs[:-1, 1])[: len(pairs)]
        self._chain = np.zeros(len(self._again), np.int64)
        self._chain[place] = (np.cumsum(begins) - 1)[:, None]
        self._before = np.full(len(self._again), _NONE, np.int64)
        self._before[place[:, 1]] = pairs[:, 0]

    def look(self, rows: Rows, directors: NDArray[np.uint8], moments: Words) -> None:
        """Flows that come to these directors at these moments."""
        mine = self._is_again[rows]
        if not mine.any():
            return
        rows, moments = rows[mine], moments[mine]
        place = np.searchsorted(self._again, rows)
        # That a SYN ends the closing connection before it, is no mistake.
        ended = np.where(moments == self._flows.start[rows], self._before[place], _NONE)
        known = self._entries()
        name = self._chain[place] << 8 | directors[mine]
        low = np.searchsorted(known.name, name, "left")
        count = np.searchsorted(known.name, name, "right") - low
        for part in _pieces(count):
            who = np.repeat(np.arange(part.start, part.stop), count[part])
            first = np.cumsum(count[part]) - count[part]
            entry = np.arange(len(who)) - np.repeat(first - low[part], count[part])
            met = (known.row[entry] < rows[who]) & (known.until[entry] > moments[who])
            met &= (known.row[entry] != ended[who]) | ~known.in_place[entry]
            self.count += len(np.unique(who[met]))

    def _entries(self) -> _Entries:
        standing, left = self._standing, self._standing.left
        here = self._again[standing.home[self._again] != NOWHERE]
        there = np.flatnonzero(self._is_again[left.flow])
        row = np.concatenate([here, left.flow[there]])
        director = np.concatenate([standing.home[here], left.director[there]])
        until = np.concatenate([standing.gone[here], left.until[there]])
        name = self._chain[np.searchsorted(self._again, row)] << 8 | director
        order = np.argsort(name, kind="stable")
        return _Entries(name[order], row[order], until[order], order < len(here))


def _pieces(count: NDArray[np.int64]) -> Iterator[slice]:
    """Parts whose counts make `PAIRS` in sum, or little more."""
    total = np.cumsum(count)
    start = 0
    while start < len(count):
        before = int(total[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(total, before + PAIRS, "right")))
        yield slice(start, stop)
        start = stop
