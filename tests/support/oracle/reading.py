"""What the maps of a plane say, in the specification's words, and its values as rows."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any, Final

from tests.support.oracle.plane import Plane
from vipd.dataplane import _abi
from vipd.dataplane.tables import INDEX
from vipd.rehearsal.reading import Written, hop_row
from vipd.spec.state import Load, Ports, Traffic

_LOAD, _TRAFFIC, _CURSOR, _HOP = Struct("<QQ"), Struct("<5Q"), Struct("<Q"), bytes(32)


def written_by(plane: Plane) -> Written:
    """What the control plane wrote."""
    listening: set[int] = set()
    for name, key in (("services", _abi.SERVICE_KEY), ("service_ranges", _abi.SERVICE_RANGE)):
        listening.update(plane.maps[name].items(key, INDEX)[1].tolist())
    services, servers = plane.rows("service_table", _abi.SERVICE), plane.rows("real_servers", _abi.REAL_SERVER)
    return Written(services, servers, plane.slots, listening)


def ports_row(kept: Ports) -> bytes:
    both = (kept.source << 16 | kept.destination).to_bytes(4, "big")
    return kept.seen_at.to_bytes(8, "little") + both + bytes(4)


ROWS: Final[dict[str, Callable[[Any], bytes]]] = {
    "loads": lambda load: _LOAD.pack(*(load or Load())),
    "traffic": lambda traffic: _TRAFFIC.pack(*(traffic or Traffic())),
    "cursors": lambda turn: _CURSOR.pack(turn or 0),
    "next_hops": lambda hop: hop_row(hop) if hop else _HOP,
    "return_hops": lambda hop: hop_row(hop) if hop else _HOP,
}
"Of each table that lies open, a value of the specification as the row that says it."
