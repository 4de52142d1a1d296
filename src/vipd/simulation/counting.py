"""How connections lie on the servers in each act: made, open at its end, and the most at once. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vipd.simulation.course import Course
from vipd.simulation.least import Events, Kind, events, indices, kinds
from vipd.simulation.placing import by_hash
from vipd.simulation.standing import NOBODY, Fate, Rows

BLOCK: Final = 1 << 21

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Load:
    """Of each member, over all directors."""

    made: Counts
    "Connections that it got."
    open: Counts
    "At the end of the act."
    peak: Counts
    "The most at once."


def load(course: Course, number: int, rows: Rows) -> Load:
    """`rows`: those that got a server in the act that has just been run."""
    plan, size = course.plan, len(course.cast.members)
    begin = plan.moments[number]
    end = plan.moments[number + 1] if number + 1 < len(plan.moments) else plan.end
    servers = course.standing.server
    made = np.bincount(servers[rows], minlength=NOBODY + 1)[:size]
    open_now = servers[course.open(end, course.first[number + 1])]
    at_begin = servers[course.open(begin, course.first[number])]
    return Load(
        made,
        np.bincount(open_now, minlength=size),
        _peak(course, number, begin, end, np.bincount(at_begin, minlength=size)),
    )


def _peak(course: Course, number: int, begin: int, end: int, current: Counts) -> Counts:
    peak, flows, servers = current.copy(), course.flows, course.standing.server
    first, last = course.first[number], course.first[number + 1]
    since = begin
    for start in range(first, max(last, first + 1), BLOCK):
        stop = min(start + BLOCK, last)
        until = end if stop == last else int(flows.start[stop - 1])
        goes_on = course.standing.fate[:stop] == Fate.GOES_ON
        lasting = flows.end[start:stop] > flows.start[start:stop]
        began = start + np.flatnonzero(goes_on[start:stop] & lasting)
        ended = np.flatnonzero(goes_on & (flows.end[:stop] > since) & (flows.end[:stop] <= until))
        ended = ended[flows.end[ended] > flows.start[ended]]
        found = np.concatenate(
            [events(flows.start[began], Kind.BEGINS, began), events(flows.end[ended], Kind.CLOSED, ended)]
        )
        found.sort()
        _follow(found, servers, current, peak)
        since = until
    return peak


def _follow(found: Events, servers: NDArray[np.uint16], current: Counts, peak: Counts) -> None:
    """Let what happens happen, each server by itself."""
    server = servers[indices(found)]
    order = np.argsort(server, kind="stable")
    server = server[order]
    if not len(server):
        return
    step = np.where(kinds(found)[order] == Kind.BEGINS, 1, -1)
    first = np.flatnonzero(np.append(True, server[1:] != server[:-1]))
    who = server[first]
    running = np.cumsum(step)
    before = np.append(0, running[first[1:] - 1])
    most = np.maximum.reduceat(running, first) - before
    peak[who] = np.maximum(peak[who], current[who] + most)
    current[who] += np.append(running[first[1:] - 1], running[-1]) - before


def open_at(course: Course, number: int, times: Counts) -> Counts:
    """Of each member, the connections that are open at each of these times, which are the act's and in order."""
    flows, standing, size = course.flows, course.standing, len(course.cast.members)
    rows = course.open(course.plan.moments[number], course.first[number + 1])
    server = standing.server[rows].astype(np.int64) * (len(times) + 1)
    begin, end = (np.searchsorted(times, moment[rows]) for moment in (flows.start, flows.end))
    steps = np.bincount(server + begin, minlength=size * (len(times) + 1))
    steps = steps - np.bincount(server + end, minlength=size * (len(times) + 1))
    found: Counts = np.cumsum(steps.reshape(size, -1), axis=1)[:, : len(times)]
    return found


def elsewhere(course: Course, number: int) -> tuple[int, int] | None:
    """Of the flows that begin in an act, how many clients get another server than the act before had for them.

    And of how many; None where a client has no server that it always gets.
    """
    before, after = course.cast.acts[number - 1], course.cast.acts[number]
    if not (before.by_client and after.by_client):
        return None
    rows = np.arange(course.first[number], course.first[number + 1])
    route, moved = course.route(number - 1, rows), 0
    for director in np.unique(route).tolist():
        mine, key = rows[route == director], course.plan.keys[director].client
        former = by_hash(before.tables[director].slots, key, course.flows, mine, before.hash_port)
        moved += int((former != course.standing.server[mine]).sum())
    return moved, len(rows)
