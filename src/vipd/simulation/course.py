"""One endpoint's flows, from the first to the last, through all changes. Pure.

At a change every open flow's client sends a packet just before it and one just after it, in the order of
the flows. What a packet in the middle of a connection does, `spec/lookup.py` and `spec/schedule.py` say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vipd.model.director import OnServerRemoved
from vipd.simulation.casting import Act, Cast
from vipd.simulation.fleet import Fleet
from vipd.simulation.flows import Flows
from vipd.simulation.hashing import Keys, Words
from vipd.simulation.lifetimes import Lifetimes, gone
from vipd.simulation.placing import by_hash
from vipd.simulation.scheduling import Scheduling
from vipd.simulation.stale import Stale
from vipd.simulation.standing import NOBODY, NOWHERE, Fate, Rows, Standing, Stays


@dataclass(frozen=True, slots=True)
class Plan:
    """When what is in force. Times in ms."""

    moments: tuple[int, ...]
    "Of the changes; before them 0, where the first situation begins."
    end: int
    "After the last flow has begun."
    fleets: tuple[Fleet, ...]
    keys: Mapping[int, Keys]
    "Of each director there ever is."
    lifetimes: Lifetimes

    @property
    def changes(self) -> tuple[int, ...]:
        return self.moments[1:]


@dataclass(slots=True)
class Tally:
    """What a change did to the connections that were open."""

    open: int = 0
    undisturbed: int = 0
    "Known to their director, and their server is there."
    gone: int = 0
    "Known to their director, and their server is not there: kept, rescheduled, reset, or refused."
    kept: int = 0
    "Go on at a server that was removed."
    rescheduled: int = 0
    "Go on at another server, since theirs was removed."
    reset: int = 0
    "Their server was removed, and the client told."
    found: int = 0
    "A director that does not know them sends them to the same server, by hash."
    broken: int = 0
    "A director that does not know them sends them to another server."
    refused: int = 0
    "A director that does not know them refuses them: none takes them, or replies under NAT could not be told."
    anew: int = 0
    "Datagrams: a director that does not know them begins anew."
    anew_elsewhere: int = 0
    "Of those, at another server."

    @property
    def stayed(self) -> int:
        """Go on at the server that they had; with `moved` and `ended` they are all that were open."""
        return self.undisturbed + self.kept + self.found + self.anew - self.anew_elsewhere

    @property
    def ended(self) -> int:
        return self.reset + self.refused

    @property
    def moved(self) -> int:
        return self.rescheduled + self.broken + self.anew_elsewhere


class Course:
    """Carries the flows through; `standing` is what became of them."""

    def __init__(self, flows: Flows, cast: Cast, plan: Plan, spread: Words | None) -> None:
        """`spread`: the router's hash of each flow; None where there is one director only."""
        self.flows, self.cast, self.plan = flows, cast, plan
        self.standing = Standing.of(flows.start)
        self._spread = spread
        self.stale = Stale(flows, self.standing)
        self._scheduling = Scheduling(flows, cast, plan.lifetimes, plan.changes, self.standing)
        self.first = [int(np.searchsorted(flows.start, moment)) for moment in plan.moments] + [flows.count]
        "Of each act, the first row that begins in it."

    def run(self, told: Callable[[int], None]) -> Iterator[tuple[int, Tally | None, Rows]]:
        """Act by act: its number, what the change to it did, and the rows that got a server in it.

        `told` hears how many more flows have got theirs.
        """
        for number in range(len(self.cast.acts)):
            moment, tally = self.plan.moments[number], Tally()
            again = anew = np.empty(0, np.int64)
            if number:
                again, anew = self._change(number, moment, tally)
            late = np.sort(np.concatenate([again, anew]))
            former = self.standing.server[anew]
            self.standing.server[late] = NOBODY
            arrivals = np.arange(self.first[number], self.first[number + 1])
            self.standing.home[arrivals] = self.route(number, arrivals)
            if self.plan.fleets[number] != self.plan.fleets[0]:
                self.stale.look(arrivals, self.standing.home[arrivals], self.flows.start[arrivals])
            rows = np.concatenate([late, arrivals])
            self._scheduling.run(number, moment, rows, self.plan.keys, told)
            self._count_again(tally, again, anew, former)
            yield number, tally if number else None, rows

    def loads(self, director: int, moment: int, before: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Active and inactive connections of each member at a moment of the act last run, of rows before one."""
        return self._scheduling.loads(director, moment, before)

    def route(self, number: int, rows: Rows) -> NDArray[np.uint8]:
        """The director to which the router sends each flow."""
        fleet = self.plan.fleets[number]
        if self._spread is None or len(fleet.members) == 1:
            return np.full(len(rows), fleet.members[0], np.uint8)
        return fleet.route(self._spread[rows])

    def open(self, moment: int, before: int) -> Rows:
        """Rows, of those before one, whose connections go on at that moment."""
        rows: Rows = np.flatnonzero((self.flows.end[:before] > moment) & (self.standing.fate[:before] == Fate.GOES_ON))
        return rows

    def _change(self, number: int, moment: int, tally: Tally) -> tuple[Rows, Rows]:
        """What the change before this act does to open flows.

        Which of them are to get another server, and which begin anew at a director that does not know them.
        """
        standing, act = self.standing, self.cast.acts[number]
        rows = self.open(moment, self.first[number])
        route = self.route(number, rows)
        if self.plan.fleets[number] != self.plan.fleets[number - 1]:
            self._leave(number, moment, rows[(standing.home[rows] != NOWHERE) & (standing.home[rows] != route)])
            self._find_again(moment, rows, route)
            self.stale.look(rows, route, np.full(len(rows), moment, np.uint32))
        known = standing.home[rows] == route
        tally.open = len(rows)
        again = self._removed_servers(act, moment, rows[known], tally)
        strangers, directors = rows[~known], route[~known]
        if self.flows.is_tcp:
            self._without_memory(act, strangers, directors, tally)
            return again, strangers[:0]
        standing.enter(strangers, directors, moment)
        tally.anew = len(strangers)
        return again, strangers

    def _leave(self, number: int, moment: int, rows: Rows) -> None:
        """The router sends these elsewhere now; who knows them keeps their entries, unless it is lost."""
        standing, lifetimes = self.standing, self.plan.lifetimes
        here = np.isin(standing.home[rows], np.array(self.plan.fleets[number].members, np.uint8))
        standing.end(rows[~here], moment)
        rows = rows[here]
        ticks = lifetimes.established if self.flows.is_tcp else lifetimes.udp
        last = np.full(len(rows), moment, np.uint32)
        written = standing.written(rows, last, [each for each in self.plan.changes if each < moment], ticks)
        standing.left = Stays.all([standing.left, standing.stays(rows, gone(written, ticks), written)])
        standing.home[rows] = NOWHERE

    def _find_again(self, moment: int, rows: Rows, route: NDArray[np.uint8]) -> None:
        """Some come back to a director that still knows them."""
        left = self.standing.left
        strange = self.standing.home[rows] == NOWHERE
        names = rows[strange] << 8 | route[strange]
        known = np.isin(left.flow << 8 | left.director, names) & (left.until > moment)
        self.standing.find_again(left.flow[known], left.only(known), moment)
        self.standing.left = left.only(~known)
        self._scheduling.settle(left.flow[known])

    def _removed_servers(self, act: Act, moment: int, rows: Rows, tally: Tally) -> Rows:
        """As the operator chose; the rows that another server is to get."""
        standing = self.standing
        policies = [_POLICIES[each] if each else 0 for each in act.removed]
        policy = np.array(policies, np.uint8)[standing.server[rows]]
        reset: Rows = rows[policy == _RESET]
        again: Rows = rows[policy == _RESCHEDULE]
        tally.kept = int((policy == _KEEP).sum())
        tally.undisturbed = int((policy == 0).sum())
        tally.gone = len(rows) - tally.undisturbed
        tally.reset, tally.rescheduled = len(reset), len(again)
        standing.end(reset, moment)
        standing.fate[reset] = Fate.RESET
        home = standing.home[again]
        standing.end(again, moment)
        standing.enter(again, home, moment)
        return again

    def _without_memory(self, act: Act, rows: Rows, directors: NDArray[np.uint8], tally: Tally) -> None:
        """In the middle of connections that their directors do not know."""
        standing = self.standing
        for director in np.unique(directors).tolist():
            mine = rows[directors == director]
            key = self.plan.keys[director].client
            found = by_hash(act.tables[director].fallback, key, self.flows, mine, act.fallback_by_port)
            told = np.append(act.told, [False])[np.minimum(found, len(act.told))]
            same = found == standing.server[mine]
            fate = np.select([found == NOBODY, ~told, ~same], [Fate.REFUSED, Fate.UNKNOWN, Fate.BROKEN], Fate.GOES_ON)
            standing.fate[mine] = fate
            tally.found += int((fate == Fate.GOES_ON).sum())
            tally.broken += int((fate == Fate.BROKEN).sum())
            tally.refused += int(((fate == Fate.REFUSED) | (fate == Fate.UNKNOWN)).sum())

    def _count_again(self, tally: Tally, again: Rows, anew: Rows, former: NDArray[np.uint16]) -> None:
        """Where no server takes new connections, they are refused instead."""
        nobody, server = int((self.standing.server[again] == NOBODY).sum()), self.standing.server[anew]
        tally.rescheduled -= nobody
        refused = int((server == NOBODY).sum())
        tally.anew -= refused
        tally.anew_elsewhere = int((server != former).sum()) - refused
        tally.refused += nobody + refused


_KEEP, _RESET, _RESCHEDULE = 1, 2, 3
_POLICIES = {OnServerRemoved.KEEP: _KEEP, OnServerRemoved.RESET: _RESET, OnServerRemoved.RESCHEDULE: _RESCHEDULE}
