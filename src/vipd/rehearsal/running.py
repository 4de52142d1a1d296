"""A running director, looked at: whether its daemon lives or not, whatever it is doing. Reads only."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from vipd.dataplane import _abi
from vipd.dataplane.maps import Map, Rows
from vipd.dataplane.pins import BUILT, constants, layout_differences
from vipd.dataplane.program import Object, Program, unpinned
from vipd.dataplane.tables import INDEX
from vipd.drivers import privileges
from vipd.drivers.network import Network
from vipd.errors import DataplaneError, DirectorError, EnvironmentProblem
from vipd.explain.scene import Names, Scene
from vipd.model.director import Endpoint
from vipd.model.instance import Instance
from vipd.rehearsal import reading
from vipd.rehearsal.asking import KernelRoutes, kernel_routes
from vipd.rehearsal.reading import Written
from vipd.rehearsal.tables import Connections, MapTables, Snapshot
from vipd.spec import Configuration

NEEDED: Final = ("CAP_BPF", "CAP_NET_ADMIN", "CAP_SYS_ADMIN")
"CAP_SYS_ADMIN to open a program's constants, which have no name, by their id."
_PROGRAM: Final = "prog_director"
_TRIES: Final = 5
_MAPPED: Final = {"connections", "slots"}
"Laid into memory, for reading too; the kernel refuses that (EINVAL) of a map that was opened for reading."


@dataclass(frozen=True, slots=True)
class Running:
    """Its maps, open for reading; its constants; and what follows from both."""

    maps: Mapping[str, Map]
    config: Rows
    "struct config, one row."
    written: Written
    connections: Connections
    scene: Scene
    snapshot: Snapshot
    "What the scene's tables are, with all that was looked up in them."


def require_privileges() -> None:
    """`EnvironmentProblem` says what is missing, and what does without."""
    try:
        privileges.require("looking into a running director", NEEDED)
    except EnvironmentProblem as error:
        raise EnvironmentProblem(f"{error}; `-c FILE` asks a configuration alone, without") from None


@contextmanager
def running(instance: Instance, names: Mapping[Endpoint, str]) -> Iterator[Running]:
    """`names` of its services, which the maps do not tell."""
    if not (instance.pins / _PROGRAM).exists():
        told = f"instance {instance.name!r} forwards nothing: nothing is pinned at {instance.pins}"
        raise DirectorError(f"{told}; `vipd run` starts it, `-c FILE` asks a configuration alone")
    maps: dict[str, Map] = {}
    try:
        _open(instance, maps)
        with kernel_routes() as routes:
            yield _running(instance, maps, names, routes)
    finally:
        for table in maps.values():
            table.close()


def _open(instance: Instance, maps: dict[str, Map]) -> None:
    """Of this build's layout, or none: never misread what another build wrote."""
    with Object(BUILT) as built:
        for name in built.map_names:
            if (instance.pins / name).exists():
                maps[name] = Map(unpinned(instance.pins / name, read_only=name not in _MAPPED), name)
        if different := layout_differences(built, maps):
            told = f"{instance.pins} was made by another build of vipd, whose tables differ ({', '.join(different)})"
            raise DataplaneError(f"{told}; ask that one")


def _running(
    instance: Instance, maps: Mapping[str, Map], names: Mapping[Endpoint, str], routes: KernelRoutes
) -> Running:
    program = Program(unpinned(instance.pins / _PROGRAM), owned=True)
    try:
        config = np.frombuffer(constants(program), _abi.CONFIG)
    finally:
        program.close()
    written = _written(maps)
    services, servers = written.services_and_servers()
    keys = reading.keys_of(config[0])
    configuration = Configuration(
        services,
        servers,
        reading.interfaces_of(maps["interfaces"].read(_abi.INTERFACE)),
        reading.timeouts_of(maps["timeouts"].read(INDEX)),
        keys,
        int(config["buckets"][0]),
        int(config["next_hop_age"][0]),
    )
    connections = Connections(maps["connections"].memory(_abi.BUCKET, writable=False), keys)
    snapshot = Snapshot(MapTables(maps, connections, servers.keys()))
    scene = Scene(configuration, snapshot, routes, _now(maps), Names(_interface_names(), names), {})
    return Running(maps, config, written, connections, scene, snapshot)


def _written(maps: Mapping[str, Map]) -> Written:
    """All of one moment: a daemon may be at work."""
    slots = maps["slots"].memory(INDEX, writable=False)
    before = _rows(maps)
    for _ in range(_TRIES):
        now = _rows(maps)
        if all(np.array_equal(now[name], before[name]) for name in now):
            listening = set(now["services"].tolist()) | set(now["service_ranges"].tolist())
            return Written(now["service_table"], now["real_servers"], slots, listening)
        before = now
    raise DataplaneError("the configuration changed each time that it was read; try again")


def _rows(maps: Mapping[str, Map]) -> dict[str, Any]:
    return {
        "service_table": maps["service_table"].read(_abi.SERVICE),
        "real_servers": maps["real_servers"].read(_abi.REAL_SERVER),
        "services": np.sort(maps["services"].items(_abi.SERVICE_KEY, INDEX)[1]),
        "service_ranges": np.sort(maps["service_ranges"].items(_abi.SERVICE_RANGE, INDEX)[1]),
    }


def _now(maps: Mapping[str, Map]) -> int:
    """The sweeper's last beat, as the program has it; before the first, the kernel's own clock."""
    beat = np.frombuffer(maps["sweeper"].lookup(bytes(4)), _abi.SWEEPER)
    return int(beat["clock"][0]) or time.monotonic_ns()


def _interface_names() -> dict[int, str]:
    network = Network()
    try:
        return {link.ifindex: link.name for link in network.links().values()}
    finally:
        network.close()
