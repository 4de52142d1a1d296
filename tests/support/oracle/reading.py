"""What the maps of a plane say, in the specification's words."""

from __future__ import annotations

from tests.support.oracle.plane import Plane
from vipd.dataplane import _abi
from vipd.dataplane.tables import INDEX
from vipd.rehearsal.reading import Written


def written_by(plane: Plane) -> Written:
    """What the control plane wrote."""
    listening: set[int] = set()
    for name, key in (("services", _abi.SERVICE_KEY), ("service_ranges", _abi.SERVICE_RANGE)):
        listening.update(plane.maps[name].items(key, INDEX)[1].tolist())
    services, servers = plane.rows("service_table", _abi.SERVICE), plane.rows("real_servers", _abi.REAL_SERVER)
    return Written(services, servers, plane.slots, listening)
