"""lc and wlc for millions of connections: exact, one event after the other, the least found in two looks. Pure.

Overheads and quotients are those of `spec/schedule.py`. Two quotients of overheads below 2**36 and weights
below 2**16 that differ do so by more than a double's last place, and equal ones make the same
double: so comparing doubles compares the fractions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Events: TypeAlias = NDArray[np.int64]

_INDEX_BITS: Final = 28
_KIND_BITS: Final = 3
_INDEX: Final = np.int64((1 << _INDEX_BITS) - 1)
_CHUNK: Final = 1 << 18
_NOT_CHOSEN: Final = 1 << 60
"On top of the overhead of servers that are not in the table: more than anybody has."


class Kind(IntEnum):
    """What happens to a connection; of one moment, in this order."""

    GONE = 0
    GONE_IF_ONE_WAY = 1
    "If its server's replies do not pass the director; GONE_IF_BOTH_WAYS: if they do."
    GONE_IF_BOTH_WAYS = 2
    CLOSED = 3
    LEFT_GONE = 4
    "An entry that a director kept of a flow which goes to another one now."
    BEGINS = 5


def events(times: NDArray[Any], kind: Kind, indices: NDArray[Any]) -> Events:
    """Numbers that sort in the order in which things happen."""
    made: Events = times.astype(np.int64) << (_INDEX_BITS + _KIND_BITS)
    made |= np.int64(kind << _INDEX_BITS)
    made |= indices.astype(np.int64)
    return made


def indices(found: Events) -> NDArray[np.int64]:
    index: NDArray[np.int64] = found & _INDEX
    return index


def kinds(found: Events) -> NDArray[np.uint8]:
    return (found >> _INDEX_BITS & (1 << _KIND_BITS) - 1).astype(np.uint8)


class Counts:
    """The counts of one director's servers of one service, in the order of its table."""

    def __init__(self, table: Sequence[int], weights: Sequence[int], overheads: Sequence[int], heavy: int) -> None:
        """`weights` and `overheads` of every server, by its index. `heavy`: what an open connection counts."""
        self._heavy = float(heavy)
        self._table = list(table)
        self._weights = [float(weight) for weight in weights]
        chosen = set(table)
        self._overheads = [float(each + (0 if n in chosen else _NOT_CHOSEN)) for n, each in enumerate(overheads)]
        self._width = max(1, math.isqrt(len(table)))
        keys = [self._overheads[server] / self._weights[server] for server in table]
        self._blocks = [keys[start : start + self._width] for start in range(0, len(keys), self._width)]
        self._least = [min(block) for block in self._blocks]
        # Who is not in the table has a place behind it, where the least is never looked for in vain.
        self._blocks.append([math.inf])
        self._least.append(math.inf)
        self._places = [(self._blocks[-1], 0, len(self._blocks) - 1)] * len(overheads)
        for place, server in enumerate(table):
            number, within = divmod(place, self._width)
            self._places[server] = self._blocks[number], within, number

    def run(self, found: Events, servers: Any, left: Sequence[int], both_ways: Sequence[bool]) -> None:
        """Carry out events that are sorted. `servers`: of each flow, written for those that begin, read for the others.

        `left`: the server of each entry that was left behind. `both_ways`: of each server, whether its replies
        pass the director.
        """
        overheads, weights, blocks, least = self._overheads, self._weights, self._blocks, self._least
        table, width, places, heavy = self._table, self._width, self._places, self._heavy
        closing = heavy - 1.0
        # Plain numbers: an enum's members would be looked up once for each event.
        gone, gone_if_both_ways, closed = int(Kind.GONE), int(Kind.GONE_IF_BOTH_WAYS), int(Kind.CLOSED)
        left_gone, begins = int(Kind.LEFT_GONE), int(Kind.BEGINS)
        for start in range(0, len(found), _CHUNK):
            part = found[start : start + _CHUNK]
            for index, kind in zip(indices(part).tolist(), kinds(part).tobytes(), strict=True):
                if kind == begins:
                    smallest = min(least)
                    number = least.index(smallest)
                    block = blocks[number]
                    place = block.index(smallest)
                    servers[index] = server = table[number * width + place]
                    overheads[server] = overhead = overheads[server] + heavy
                    block[place] = overhead / weights[server]
                    least[number] = min(block)
                    continue
                if kind == closed:
                    server = servers[index]
                    overhead = overheads[server] - closing
                elif kind == gone:
                    server = servers[index]
                    overhead = overheads[server] - 1.0
                elif kind == left_gone:
                    server = left[index]
                    overhead = overheads[server] - heavy
                else:
                    server = servers[index]
                    if (kind == gone_if_both_ways) != both_ways[server]:
                        continue
                    overhead = overheads[server] - 1.0
                overheads[server] = overhead
                block, place, number = places[server]
                block[place] = key = overhead / weights[server]
                if key < least[number]:
                    least[number] = key
