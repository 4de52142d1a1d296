"""Where the simulation stops short of the director: a client's port that some director knows from before. Pure.

A flow moves to another director, and its former one keeps the entry until it times out. Should a later
flow of the same client and ports come to that director meanwhile, it would be taken for the old one.
Such flows are counted, and treated as if they were new.
"""

from __future__ import annotations

from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from vipd.simulation.flows import Flows
from vipd.simulation.standing import NOWHERE, Rows, Standing


class Stale:
    def __init__(self, flows: Flows, standing: Standing) -> None:
        self.count = 0
        self._flows, self._standing = flows, standing
        self._first = np.arange(flows.count if len(flows.follows) else 0)
        "Of each flow, the first of the same client and ports."
        for earlier, later in flows.follows.tolist():
            self._first[later] = self._first[earlier]
        self._again = np.unique(flows.follows)
        self._members = set(self._again.tolist())
        self._before = {later: earlier for earlier, later in flows.follows.tolist()}

    def look(self, rows: Rows, directors: NDArray[np.uint8], moments: NDArray[np.uint32]) -> None:
        """Flows that come to these directors at these moments."""
        mine = np.isin(rows, self._again)
        if not mine.any():
            return
        entries = self._entries()
        for row, director, moment in zip(
            rows[mine].tolist(), directors[mine].tolist(), moments[mine].tolist(), strict=True
        ):
            # That a SYN ends the closing connection before it, is no mistake.
            ended = self._before.get(row) if moment == self._flows.start[row] else None
            known = entries.get((int(self._first[row]), director), [])
            self.count += any(
                other < row and until > moment and not (other == ended and closing) for other, until, closing in known
            )

    def _entries(self) -> dict[tuple[int, int], list[tuple[int, int, bool]]]:
        """By first flow and director: whose entries there are, until when, and whether they are not left behind."""
        standing, left = self._standing, self._standing.left
        closing = self._again[standing.home[self._again] != NOWHERE]
        found: dict[tuple[int, int], list[tuple[int, int, bool]]] = {}
        for row, director, until, here in (
            *zip(closing.tolist(), standing.home[closing].tolist(), standing.gone[closing].tolist(), repeat(True)),
            *zip(left.flow.tolist(), left.director.tolist(), left.until.tolist(), repeat(False)),
        ):
            if row in self._members:
                found.setdefault((int(self._first[row]), director), []).append((row, until, here))
        return found
