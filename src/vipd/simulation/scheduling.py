"""New connections of one endpoint get their servers: each scheduler's way, director by director. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vipd.model.director import Scheduler
from vipd.simulation.casting import Act, Cast
from vipd.simulation.flows import FOREVER, Flows
from vipd.simulation.hashing import Keys, Words
from vipd.simulation.least import Counts, Events, Kind, events
from vipd.simulation.lifetimes import Lifetimes, gone, tick
from vipd.simulation.placing import by_hash, turns
from vipd.simulation.standing import NOBODY, NOWHERE, Fate, Rows, Standing

BLOCK: Final = 1 << 21
"Flows whose events are in memory at once."
_ACTIVE: Final = 256
"What lc and wlc count an active connection for (spec/schedule.py)."


class Scheduling:
    def __init__(
        self, flows: Flows, cast: Cast, lifetimes: Lifetimes, changes: Sequence[int], standing: Standing
    ) -> None:
        self._flows, self._cast, self._changes, self._standing = flows, cast, changes, standing
        self._lifetimes = lifetimes
        self._cursors: dict[int, int] = {}
        "How often each director's round robin chose."
        self._both_ways = np.array(cast.both_ways, np.bool_)
        self._mixed = (
            flows.is_tcp
            and lifetimes.closed_one_way != lifetimes.closed_both_ways
            and len(np.unique(self._both_ways)) > 1
        )
        "How long a connection is remembered depends on the server that it gets."
        self._cut = np.full(flows.count if len(flows.follows) else 0, FOREVER, np.uint32)
        "When another connection takes a closing one's place; empty where that never happens."

    def run(self, number: int, moment: int, rows: Rows, keys: Mapping[int, Keys], told: Callable[[int], None]) -> None:
        """`rows`: those of the act that get a server, in this order, with their director in `standing.home`."""
        act, standing = self._cast.acts[number], self._standing
        self._cut_short(moment, rows)
        home = standing.home[rows]
        for director, tables in act.tables.items():
            mine = rows[home == director]
            if not len(mine):
                continue
            table = tables.slots
            if not len(table):
                standing.fate[mine], standing.home[mine] = Fate.REFUSED, NOWHERE
            elif act.scheduler in (Scheduler.LC, Scheduler.WLC):
                self._least(act, director, table.tolist(), mine, moment, told)
                continue
            elif act.by_client:
                key = keys[director].client
                standing.server[mine] = by_hash(table, key, self._flows, mine, act.hash_port)
                self.settle(mine)
            else:
                cursor = self._cursors.get(director, 0)
                standing.server[mine] = turns(table, cursor, len(mine))
                self._cursors[director] = cursor + len(mine)
                self.settle(mine)
            told(len(mine))

    def settle(self, rows: Rows) -> None:
        """When the entries of these are over, now that they have servers."""
        self._standing.gone[rows] = self._gone(rows, self._both_ways[self._standing.server[rows]])

    def _gone(self, rows: Rows, both_ways: NDArray[np.bool_]) -> Words:
        end, lifetimes = self._flows.end[rows], self._lifetimes
        if self._flows.is_tcp:
            found = gone(tick(end), np.where(both_ways, lifetimes.closed_both_ways, lifetimes.closed_one_way))
        else:
            found = gone(self._standing.written(rows, end, self._changes, lifetimes.udp), lifetimes.udp)
        return np.minimum(found, self._cut[rows]) if len(self._cut) else found

    def _cut_short(self, moment: int, rows: Rows) -> None:
        """A SYN on a closing connection ends that; the pairs of which the later one is among `rows`."""
        if not len(self._cut) or not len(rows):
            return
        earlier, later = self._flows.follows.T
        standing, first = self._standing, np.searchsorted(self._flows.start, moment)
        now = (later >= first) & (later <= rows[-1]) & (standing.home[earlier] == standing.home[later])
        now &= standing.home[earlier] != NOWHERE
        earlier, later = earlier[now], later[now]
        self._cut[earlier] = self._flows.start[later]
        standing.gone[earlier] = np.minimum(standing.gone[earlier], self._cut[earlier])

    def overheads(self, director: int, moment: int, before: int) -> list[int]:
        """Of each member, from the entries of rows before one that are not over at that moment."""
        active, inactive = self.loads(director, moment, before)
        overheads: list[int] = (_ACTIVE * active + inactive).tolist()
        return overheads

    def loads(self, director: int, moment: int, before: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Active and inactive connections of each member, as the director counts them."""
        standing, count = self._standing, len(self._cast.members)
        there = (standing.home[:before] == director) & (standing.gone[:before] > moment)
        there &= standing.server[:before] != NOBODY
        open_now = there & (self._flows.end[:before] > moment) if self._flows.is_tcp else np.zeros(before, np.bool_)
        left = standing.left.only((standing.left.director == director) & (standing.left.until > moment))
        active = np.bincount(standing.server[:before][open_now], minlength=count)
        inactive = np.bincount(standing.server[:before][there & ~open_now], minlength=count)
        (active if self._flows.is_tcp else inactive)[:] += np.bincount(left.server, minlength=count)
        return active, inactive

    def _least(
        self, act: Act, director: int, table: list[int], rows: Rows, moment: int, told: Callable[[int], None]
    ) -> None:
        weighted = act.scheduler is Scheduler.WLC
        weights = [weight or 1 for weight in act.weights] if weighted else [1] * len(act.weights)
        # Of flows that began before, not only those before the last that is placed anew.
        before = max(int(rows[-1]) + 1, int(np.searchsorted(self._flows.start, moment)))
        overheads = self.overheads(director, moment, before)
        counts = Counts(table, weights, overheads, _ACTIVE if self._flows.is_tcp else 1)
        left, servers = self._standing.left.server.tolist(), self._standing.server.data
        if not self._mixed:
            self._standing.gone[rows] = self._gone(rows, np.full(len(rows), self._both_ways[0]))
        since = moment
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            times = np.maximum(self._flows.start[block], moment)
            found = self._events(director, block, since, int(times[-1]))
            found.append(events(times, Kind.BEGINS, block))
            ordered = np.concatenate(found)
            ordered.sort()
            counts.run(ordered, servers, left, self._cast.both_ways)
            if self._mixed:
                self.settle(block)
            since = int(times[-1])
            told(len(block))

    def _events(self, director: int, block: Rows, since: int, until: int) -> list[Events]:
        """What ends at this director after one moment, up to another."""
        standing, flows = self._standing, self._flows
        before = int(block[-1]) + 1
        here = standing.home[:before] == director
        found: list[Events] = []

        def add(times: Words, kind: Kind, which: NDArray[np.bool_], index: Rows | None = None) -> None:
            rows = np.flatnonzero(which & (times > since) & (times <= until))
            found.append(events(times[rows], kind, rows if index is None else index[rows]))

        if flows.is_tcp:
            add(flows.end[:before], Kind.CLOSED, here)
        if self._mixed:
            here[block] = False
            every = np.ones(len(block), np.bool_)
            for kind in (Kind.GONE_IF_ONE_WAY, Kind.GONE_IF_BOTH_WAYS):
                both_ways = np.full(len(block), kind is Kind.GONE_IF_BOTH_WAYS)
                add(self._gone(block, both_ways), kind, every, block)
        add(standing.gone[:before], Kind.GONE, here)
        left = standing.left
        add(left.until, Kind.LEFT_GONE, left.director == director)
        return found
