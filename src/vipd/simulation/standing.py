"""What became of each flow so far, and which entries the directors hold: columns that a course fills. Values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vipd.simulation.flows import FOREVER
from vipd.simulation.hashing import Words
from vipd.simulation.lifetimes import Ticks, last_write, tick

Rows = NDArray[np.int64]

NOBODY: Final = (1 << 16) - 1
"No server."
NOWHERE: Final = 0
"No director has an entry of the flow."


class Fate(IntEnum):
    GOES_ON = 0
    REFUSED = 1
    "No server took new connections when it began."
    RESET = 2
    "Its server was removed, and the client told."
    BROKEN = 3
    "In the middle, its packets came to another server."
    UNKNOWN = 4
    "In the middle, its packets came to a director that knows nothing of it and, under NAT, must refuse it."


class Stays(NamedTuple):
    """Entries in directors' tables, one a row."""

    flow: NDArray[np.int64]
    director: NDArray[np.uint8]
    server: NDArray[np.uint16]
    begin: Words
    until: Words
    "The first ms in which it is over."
    written: Ticks
    "When its expiry was last written."

    def only(self, which: NDArray[Any]) -> Stays:
        return Stays(*(column[which] for column in self))

    @classmethod
    def none(cls) -> Stays:
        words, ticks = np.empty(0, np.uint32), np.empty(0, np.int64)
        return cls(ticks, np.empty(0, np.uint8), np.empty(0, np.uint16), words, words, ticks)

    @classmethod
    def all(cls, parts: list[Stays]) -> Stays:
        return cls(*(np.concatenate(columns) for columns in zip(cls.none(), *parts, strict=True)))


@dataclass(slots=True, eq=False)
class _Entry:
    """Of flows whose entry was not made when they began: when it was, and what is known of its expiry."""

    since: Words
    "When it was made."
    seen_from: Words
    "From when on it saw the flow's packets."
    written: Ticks


@dataclass(slots=True, eq=False)
class Standing:
    """A row for each flow of an endpoint."""

    start: Words
    server: NDArray[np.uint16]
    home: NDArray[np.uint8]
    "The director that has its entry."
    fate: NDArray[np.uint8]
    gone: Words
    "The first ms in which its entry is over, as far as is known; of whom has none, FOREVER."
    left: Stays = field(default_factory=Stays.none)
    "Entries that directors keep of flows which other directors get now."
    ended: list[Stays] = field(default_factory=list)
    "Entries that were over before their time."
    _entry: _Entry | None = None

    @classmethod
    def of(cls, start: Words) -> Standing:
        count = len(start)
        return cls(
            start,
            np.full(count, NOBODY, np.uint16),
            np.full(count, NOWHERE, np.uint8),
            np.zeros(count, np.uint8),
            np.full(count, FOREVER, np.uint32),
        )

    def written(self, rows: Rows, last: Words, moments: Sequence[int], ticks: int) -> Ticks:
        """When expiry was last written of entries that saw a packet at `last`, and at those moments before."""
        if self._entry is None:
            return last_write(tick(self.start[rows]), self.start[rows], last, moments, ticks)
        return last_write(self._entry.written[rows], self._entry.seen_from[rows], last, moments, ticks)

    def enter(self, rows: Rows, director: NDArray[np.uint8], moment: int) -> None:
        """New entries, of flows that began before."""
        self._note(rows, np.full(len(rows), moment, np.uint32), moment, tick(np.full(len(rows), moment)))
        self.home[rows] = director

    def find_again(self, rows: Rows, left: Stays, moment: int) -> None:
        """Entries that had been left behind know their flows' packets again."""
        self._note(rows, left.begin, moment, left.written)
        self.home[rows], self.server[rows] = left.director, left.server

    def _note(self, rows: Rows, since: Words, seen_from: int, written: Ticks) -> None:
        if not len(rows):
            return
        if self._entry is None:
            self._entry = _Entry(self.start.copy(), self.start.copy(), tick(self.start))
        self._entry.since[rows], self._entry.seen_from[rows], self._entry.written[rows] = since, seen_from, written

    def stays(self, rows: Rows, until: Words, written: Ticks) -> Stays:
        since = self.start if self._entry is None else self._entry.since
        return Stays(rows, self.home[rows], self.server[rows], since[rows], until, written)

    def end(self, rows: Rows, moment: int) -> None:
        """Their entries are no more, from this moment on."""
        if len(rows):
            full = np.full(len(rows), moment, np.uint32)
            self.ended.append(self.stays(rows, full, tick(full)))
        self.home[rows] = NOWHERE
        self.gone[rows] = FOREVER

    def stays_of(self, director: int) -> Stays:
        """Every entry that a director ever had, in the order of the flows."""
        rows = np.flatnonzero(self.home == director)
        until = self.gone[rows]
        found = self.stays(rows, until, np.zeros(len(rows), np.int64))
        others = [part.only(part.director == director) for part in (*self.ended, self.left)]
        if not sum(len(part.flow) for part in others):
            return found
        every = Stays.all([*others, found])
        return every.only(np.argsort(every.flow, kind="stable"))
