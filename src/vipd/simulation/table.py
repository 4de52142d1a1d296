"""The connection table of each director: how full it gets, and whether everybody finds room. Pure.

A connection has two buckets of choice, of 16 places each, and under NAT so has its reply; who finds both full is
forwarded by hash and not remembered (`spec/table.py`, `spec/remember.py`).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vipd.simulation.course import Course
from vipd.simulation.hashing import Words, buckets, chunks, flow_hashes
from vipd.simulation.least import Events, Kind, events, indices, kinds
from vipd.spec.state import BUCKET

BUCKET_BYTES: Final = 1088
"ARCHITECTURE.md, the connection table: a cache line of tags, and one for each of 16 slots."
SAFE: Final = 0.2
"Share of places below which not one connection in 10**13 finds both its buckets full."
_CHUNK: Final = 1 << 18
_NO_BUCKET: Final = -1


@dataclass(frozen=True, slots=True)
class TableUse:
    """Of one director."""

    director: int
    connections: int
    "That it ever remembered."
    peak: int
    "Connections at once."
    entries: int
    "Entries at once: under NAT two a connection."
    places: int
    "That the table has for entries."
    without_room: int
    "Connections that would find none: `table_full`."
    walked: bool
    "Whether each entry's place was looked for; else the table is so empty that all find one."

    @property
    def memory(self) -> int:
        """Bytes of the table."""
        return self.places // BUCKET * BUCKET_BYTES


@dataclass(frozen=True, slots=True, eq=False)
class _Entries:
    """All connections that a director ever remembers, with their course, in the order of courses and flows."""

    course: Words
    flow: Words
    server: NDArray[np.uint16]
    nat: NDArray[np.bool_]
    begin: Words
    until: Words

    @classmethod
    def of(cls, courses: Sequence[Course], director: int) -> _Entries:
        parts: list[list[NDArray[Any]]] = []
        for number, course in enumerate(courses):
            stays = course.standing.stays_of(director)
            nat = np.append(np.array(course.cast.both_ways, np.bool_), [False])[stays.server]
            parts.append(
                [
                    np.full(len(nat), number, np.uint32),
                    stays.flow.astype(np.uint32),
                    stays.server,
                    nat,
                    stays.begin,
                    stays.until,
                ]
            )
        return cls(*map(np.concatenate, zip(*parts, strict=True)))

    def happenings(self, end: int) -> Events:
        rows = np.arange(len(self.flow), dtype=np.int64)
        over = self.until <= end
        found = [events(self.begin, Kind.BEGINS, rows), events(self.until[over], Kind.GONE, rows[over])]
        ordered: Events = np.concatenate(found)
        ordered.sort()
        return ordered


def table_uses(courses: Sequence[Course], bucket_count: int) -> list[TableUse]:
    return [_use(courses, number, bucket_count) for number in sorted(courses[0].plan.keys)]


def _use(courses: Sequence[Course], director: int, bucket_count: int) -> TableUse:
    """After a director is lost nothing begins there: what it forgot then makes no difference."""
    entries = _Entries.of(courses, director)
    happenings = entries.happenings(courses[0].plan.end)
    peak, most = _peaks(happenings, entries.nat)
    places = bucket_count * BUCKET
    walked = most > SAFE * places
    without_room = _walk(courses, director, entries, happenings, bucket_count) if walked else 0
    return TableUse(director, len(entries.flow), peak, most, places, without_room, walked)


def _peaks(happenings: Events, nat: NDArray[np.bool_]) -> tuple[int, int]:
    """The most connections, and the most entries, at once."""
    now, most = np.zeros(2, np.int64), np.zeros(2, np.int64)
    for part in chunks(len(happenings), _CHUNK):
        found = happenings[part]
        step = np.where(kinds(found) == Kind.BEGINS, 1, -1)
        running = np.cumsum(np.stack([step, step * (1 + nat[indices(found)])]), axis=1) + now[:, None]
        most = np.maximum(most, running.max(axis=1))
        now = running[:, -1]
    return int(most[0]), int(most[1])


def _walk(courses: Sequence[Course], director: int, entries: _Entries, happenings: Events, bucket_count: int) -> int:
    """Give every entry its place, one after the other; how many connections find none."""
    own, reply = _buckets(courses, director, entries, bucket_count)
    taken = bytearray(bucket_count)
    mine = array("i", [_NO_BUCKET]) * len(entries.flow)
    replies = array("i", [_NO_BUCKET]) * len(entries.flow)
    without_room = 0

    def reserve(first: int, second: int) -> int:
        for bucket in (first, second):
            if taken[bucket] < BUCKET:
                taken[bucket] += 1
                return bucket
        return _NO_BUCKET

    for part in chunks(len(happenings), _CHUNK):
        found = happenings[part]
        index = indices(found)
        for row, kind, nat, first, second, back, other in zip(
            index.tolist(),
            kinds(found).tobytes(),
            entries.nat[index].tolist(),
            *(column[index].tolist() for column in (*own, *reply)),
            strict=True,
        ):
            if kind:
                bucket = mine[row] = reserve(first, second)
                if nat and bucket >= 0:
                    replies[row] = reserve(back, other)
                    if replies[row] < 0:
                        taken[bucket] -= 1
                        bucket = mine[row] = _NO_BUCKET
                without_room += bucket < 0
                continue
            for bucket in (mine[row], replies[row]):
                if bucket >= 0:
                    taken[bucket] -= 1
    return without_room


def _buckets(
    courses: Sequence[Course], director: int, entries: _Entries, bucket_count: int
) -> tuple[tuple[NDArray[np.int32], NDArray[np.int32]], tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """Of each entry and, under NAT, of its reply: the two buckets of choice."""
    columns = [np.zeros(len(entries.flow), np.int32) for _ in range(4)]
    for number, course in enumerate(courses):
        key = course.plan.keys[director].flow
        rows = np.flatnonzero(entries.course == number)
        for part in chunks(len(rows)):
            some = rows[part]
            columns[0][some], columns[1][some] = buckets(_own(course, key, entries.flow[some]), bucket_count)
            under_nat = some[entries.nat[some]]
            if len(under_nat):
                hashed = _replies(course, key, entries.flow[under_nat], entries.server[under_nat])
                columns[2][under_nat], columns[3][under_nat] = buckets(hashed, bucket_count)
    return (columns[0], columns[1]), (columns[2], columns[3])


def _own(course: Course, key: Sequence[int], rows: Words) -> Words:
    flows = course.flows
    return flow_hashes(key, flows.sources(rows), flows.port[rows], flows.vip, flows.service_port[rows], flows.protocol)


def _replies(course: Course, key: Sequence[int], rows: Words, servers: NDArray[np.uint16]) -> Words:
    """What the servers' packets back to the clients look like."""
    flows, members = course.flows, course.cast.members
    width = flows.addresses.shape[1]
    # A tunnel may lead to the other family; its replies do not come back.
    packed = [member.address.packed if len(member.address.packed) == width else bytes(width) for member in members]
    addresses = np.frombuffer(b"".join(packed), np.uint8).reshape(-1, width)[servers]
    own = np.array([member.port or 0 for member in members], np.uint16)[servers]
    ports = np.where(own > 0, own, flows.service_port[rows])
    return flow_hashes(key, addresses, ports, flows.sources(rows), flows.port[rows], flows.protocol)
