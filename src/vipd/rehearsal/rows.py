"""The specification's values as rows of the maps that hold them: the way back from `reading`."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any, Final

from vipd.rehearsal.reading import hop_row
from vipd.spec.state import Load, Ports, Traffic

_LOAD, _TRAFFIC, _CURSOR, _HOP = Struct("<QQ"), Struct("<5Q"), Struct("<Q"), bytes(32)

ROWS: Final[dict[str, Callable[[Any], bytes]]] = {
    "loads": lambda load: _LOAD.pack(*(load or Load())),
    "traffic": lambda traffic: _TRAFFIC.pack(*(traffic or Traffic())),
    "cursors": lambda turn: _CURSOR.pack(turn or 0),
    "next_hops": lambda hop: hop_row(hop) if hop else _HOP,
    "return_hops": lambda hop: hop_row(hop) if hop else _HOP,
}
"Of each table that lies open on a stage."


def ports_row(kept: Ports) -> bytes:
    both = (kept.source << 16 | kept.destination).to_bytes(4, "big")
    return kept.seen_at.to_bytes(8, "little") + both + bytes(4)
