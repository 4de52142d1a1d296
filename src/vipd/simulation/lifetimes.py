"""How long a connection is remembered: the data plane's timeouts, in its ticks, for many at once. Pure.

A client sends its first packet at the start and its last at the end of a flow, and one just before and
one just after every change; between them as many as keep the connection known. A connection is
gone with the tick in which it is over: the data plane's sweeper may take a second more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vipd.model.director import Timeouts
from vipd.simulation.flows import FOREVER
from vipd.simulation.hashing import Words
from vipd.spec.configuration import TICK, in_ticks
from vipd.spec.tcp import TOUCH

MS: Final = 1_000_000
Ticks: TypeAlias = NDArray[np.int64]


def tick(ms: Any) -> Ticks:
    """In which tick a moment is."""
    ticks: Ticks = np.asarray(ms).astype(np.int64) * MS // TICK
    return ticks


def gone(written: Ticks, ticks: Any) -> Words:
    """From which ms on an entry is over whose expiry was last written in that tick."""
    end = -(-(written + ticks + 1) * TICK // MS)
    first: Words = np.minimum(end, FOREVER).astype(np.uint32)
    return first


def last_write(written: Ticks, since: Words, last: Words, between: Sequence[int], ticks: int) -> Ticks:
    """The tick in which expiry was last written, for entries for which that was so far `written`.

    They see packets at each moment of `between` from `since` on, and at `last`. See `touch` in spec/tcp.py.
    """
    for moment in between:
        seen = (since <= moment) & (moment < last)
        written = np.where(seen & _writes(written, int(tick(moment)), ticks), int(tick(moment)), written)
    end = tick(last)
    return np.where(_writes(written, end, ticks), end, written)


def _writes(written: Ticks, now: Any, ticks: int) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (now - written >= TOUCH) | (written + ticks - now <= 2 * TOUCH)
    return found


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Timeouts in ticks."""

    established: int
    udp: int
    closed_both_ways: int
    "NAT: the director has seen both sides close."
    closed_one_way: int
    "DR, TUN: it has seen the client's side."

    @classmethod
    def of(cls, timeouts: Timeouts) -> Lifetimes:
        return cls(*map(in_ticks, (timeouts.established, timeouts.udp, timeouts.time_wait, timeouts.fin_wait)))

    @property
    def linger(self) -> int:
        """Ms after which a datagram finds the one before it surely forgotten."""
        return math.ceil((self.udp + 1) * TICK / MS) + 1
