"""RFC 1661's table as pytest takes it: cell by cell."""

from __future__ import annotations

import pytest

from vipd.ppp.automaton import TRANSITIONS, State

CELLS = sorted(TRANSITIONS.items())
BELOW_IS_DOWN = {State.INITIAL, State.STARTING}

each_cell = pytest.mark.parametrize(
    ("state", "event", "cell"), [(*key, cell) for key, cell in CELLS], ids=[f"{s.name}-{e}" for (s, e), _ in CELLS]
)
