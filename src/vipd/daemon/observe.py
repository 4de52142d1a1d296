"""The data plane seen without a daemon: forwarding goes on without one, so looking must too."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from itertools import islice
from typing import Final

from vipd.api.schema import InterfaceStatus, Status, Usage
from vipd.daemon import report
from vipd.daemon.report import Sample
from vipd.dataplane.links import ETHERNET
from vipd.dataplane.maps import Map
from vipd.dataplane.pins import BUILT, Pins
from vipd.dataplane.port import Matching
from vipd.dataplane.program import Object, Program, unpinned
from vipd.dataplane.xdp import XdpDataplane
from vipd.drivers import privileges
from vipd.drivers.network import Network
from vipd.errors import DataplaneError
from vipd.model.instance import Instance
from vipd.model.state import Connection

NEEDED: Final = ("CAP_BPF", "CAP_NET_ADMIN")
_PROGRAM: Final = f"prog_{ETHERNET}"
_SIZED: Final = ("connections", "slots")
_FILL: Final = 5
"Connections that a bucket of the table is made for (see `Sizes`)."


def observe(instance: Instance) -> Status | None:
    """None where the instance forwards nothing."""
    with _opened(instance) as plane:
        if plane is None:
            return None
        network = Network()
        try:
            names = {link.ifindex: link.name for link in network.links().values()}
        finally:
            network.close()
        now = Sample(time.monotonic(), plane.counters())
        totals = plane.totals()
        return Status(
            instance=instance.name,
            pid=None,
            version=version("vipd"),
            config=None,
            services=report.held_services(plane.held().values(), now),
            vips=[],
            interfaces=[
                InterfaceStatus(name=names.get(each.ifindex, f"index {each.ifindex}"), mode=each.mode)
                for each in plane.interfaces.attached()
            ],
            connections=Usage(used=report.used(now), limit=plane.pins.maps["connections"].max_entries * _FILL),
            outcomes=dict(totals.outcomes),
            events=dict(totals.events),
        )


def observe_connections(instance: Instance, matching: Matching, limit: int) -> list[Connection] | None:
    """`limit` 0: all. None where the instance forwards nothing."""
    with _opened(instance) as plane:
        return None if plane is None else list(islice(plane.connections(matching), limit or None))


@contextmanager
def _opened(instance: Instance) -> Iterator[XdpDataplane | None]:
    """The pinned state as it is, locked against a daemon that starts meanwhile."""
    privileges.require("looking at the data plane without a daemon", NEEDED)
    if not (instance.pins / _PROGRAM).exists():
        yield None
        return
    lock = os.open(instance.pins, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise DataplaneError(f"{instance.pins} is in use by a vipd that does not answer") from None
    director = Program(unpinned(instance.pins / _PROGRAM), owned=True)
    plane = XdpDataplane(Pins(instance.pins, lock, _maps(instance), {ETHERNET: director}, adopted=True))
    try:
        yield plane
    finally:
        plane.close()


def _maps(instance: Instance) -> dict[str, Map]:
    """Of this build's layout, or none: never misread what another build wrote."""
    with Object(BUILT) as built:
        maps = {name: Map(unpinned(instance.pins / name), name) for name in built.map_names}
        for name, table in maps.items():
            if name not in _SIZED and table.shape() != built.shape(name):
                raise DataplaneError(f"{instance.pins} was made by another build of vipd; look at it with that one")
    return maps
