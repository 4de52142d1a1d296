"""Slots for rr and wrr: each server as often as its weight says, evenly interleaved. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

LONGEST: Final = 16_384
"Slots of a cycle; weights with a longer one are rounded, each share to within 1 %."


def round_robin(weights: Sequence[int]) -> NDArray[np.uint32]:
    """Indices of the servers that have any weight, once each."""
    return np.flatnonzero(np.asarray(weights, np.int64)).astype(np.uint32)


def weighted_round_robin(weights: Sequence[int]) -> NDArray[np.uint32]:
    """One cycle of indices. A server of weight w of W in all comes every W/w slots."""
    exact = np.asarray(weights, np.int64)
    if not exact.any():
        return np.empty(0, np.uint32)
    counts = exact // math.gcd(*exact.tolist())
    if counts.sum() > LONGEST:
        counts = np.where(exact > 0, np.maximum(1, np.rint(exact * (LONGEST / exact.sum())).astype(np.int64)), 0)
    servers = np.repeat(np.arange(len(counts)), counts)
    turn = np.arange(len(servers)) - np.repeat(np.cumsum(counts) - counts, counts)
    due = (turn + 0.5) / counts[servers]
    return servers[np.lexsort((servers, due))].astype(np.uint32)
