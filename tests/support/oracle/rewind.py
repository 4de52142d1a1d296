"""Back to a moment: all that a pair remembers, as it was, so that any number of packets come at the same one."""

from __future__ import annotations

from dataclasses import fields

from tests.support.oracle.pair import Pair
from vipd.rehearsal.reading import fragment_row
from vipd.rehearsal.rows import ports_row
from vipd.spec import State
from vipd.spec.state import Draft, FragmentKey, Ports

_COUNTERS = ("outcomes", "events")


class Moment:
    """Of this pair, now. Services, interfaces, neighbours and the clock must stay as they are."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._state = _copy(pair.state)
        self._table = pair.plane.table.copy()
        self._memory = {name: rows.copy() for name, rows in pair.plane.memory.items() if name not in _COUNTERS}
        self._images = pair.images.copy()
        self._entries = pair.entries.copy()

    def again(self, draft: Draft) -> None:
        """`draft`: all that happened since."""
        pair = self._pair
        if not any(getattr(draft, name).changed for name in Draft.__slots__):
            return
        pair.state = _copy(self._state)
        pair.plane.table[:] = self._table
        for name, rows in self._memory.items():
            pair.plane.memory[name][:] = rows
        pair.images.restore(self._images, _COUNTERS)
        pair.entries.restore(self._entries)
        for key in draft.fragments.changed:
            _restore_fragment(pair, key, self._state.fragments.get(key))


def _copy(state: State) -> State:
    return State(**{each.name: dict(getattr(state, each.name)) for each in fields(State)})


def _restore_fragment(pair: Pair, key: FragmentKey, kept: Ports | None) -> None:
    table = pair.plane.maps["fragments"]
    if kept is None:
        table.delete(fragment_row(key))
    else:
        table.update(fragment_row(key), ports_row(kept))
