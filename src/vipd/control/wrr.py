"""Weighted round robin as a sequence of turns, evenly interleaved. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

SHORT: Final = 4096
"A cycle up to this length is exact; a longer one is rounded to it, or to `EACH` turns a server."
EACH: Final = 128
"So many that the one turn which the lightest get at least costs nobody 1 % of the cycle."


def sequence(weights: Sequence[int]) -> NDArray[np.uint32]:
    """One cycle: indices of `weights`, each as often as its weight over the common divisor.

    The k-th of a server's t turns stands at (2k + 1) / 2t of the cycle, so that turns of one
    server are as far apart as can be. Every weight above 0 has a turn at least.
    """
    weight = np.asarray(weights, np.int64)
    who = np.flatnonzero(weight)
    if not len(who):
        return np.empty(0, np.uint32)
    turns = weight[who] // np.gcd.reduce(weight[who])
    longest = max(SHORT, EACH * len(who))
    if turns.sum() > longest:
        turns = _rounded(turns, longest)
    row = np.repeat(np.arange(len(who)), turns)
    turn = np.arange(len(row)) - np.repeat(np.cumsum(turns) - turns, turns)
    where = (2 * turn + 1) / (2 * turns[row])
    return who[row[np.argsort(where, kind="stable")]].astype(np.uint32)


def _rounded(turns: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """In proportion, at least one each; what rounding leaves goes to the largest remainders."""
    given = turns.sum()
    whole: NDArray[np.int64] = np.maximum(turns * total // given, 1)
    missing = total - int(whole.sum())
    if missing > 0:
        whole[np.argsort(whole * given - turns * total, kind="stable")[:missing]] += 1
    return whole
