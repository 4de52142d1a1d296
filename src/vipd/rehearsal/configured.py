"""The BPF program as a director of a configuration alone: no daemon, no pins, a network of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from vipd.control import Drain, plan, policies
from vipd.dataplane import _abi
from vipd.dataplane.libbpf import require_kernel
from vipd.dataplane.pins import BUILT, Sizes, set_constants
from vipd.dataplane.port import Port
from vipd.dataplane.program import Object, Program
from vipd.dataplane.tables import INDEX
from vipd.drivers import privileges
from vipd.errors import DataplaneError, EnvironmentProblem
from vipd.explain.ends import refused
from vipd.explain.imagined import NO_SECRET, ImaginedNetwork, held_by, scene_in
from vipd.explain.scene import Scene
from vipd.model.director import Address, Director, Endpoint
from vipd.model.state import HeldService
from vipd.rehearsal.asking import way_to
from vipd.rehearsal.live import Live
from vipd.rehearsal.network import LARGEST_MTU, built, stood_up
from vipd.rehearsal.reading import interfaces_of
from vipd.rehearsal.stage import Room, Stage, loaded_stage
from vipd.spec import Configuration
from vipd.spec.routes import Way

NEEDED: Final = ("CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON", "CAP_SYS_ADMIN")
"CAP_SYS_ADMIN to make a network namespace."


def require_privileges() -> None:
    """`EnvironmentProblem` says what is missing, and what does without."""
    try:
        privileges.require("--live", NEEDED)
    except EnvironmentProblem as error:
        raise EnvironmentProblem(f"{error}; without --live the specification alone is asked, by anybody") from None


@contextmanager
def configured(
    director: Director,
    secret: bytes | None,
    mtu: int,
    drained: frozenset[Drain] = frozenset(),
    program: Path = BUILT,
) -> Iterator[tuple[Scene, Live]]:
    """The calling thread stands in the configuration's network meanwhile. `program`: another build of the same layout.

    Nothing of it has a name, neither namespace nor map nor program: whatever ends the process ends all of it.
    """
    require_kernel()
    require_privileges()
    if mtu > LARGEST_MTU:
        raise refused("--mtu", f"{mtu} is more than the kernel sends; with --live {LARGEST_MTU} is the largest")
    held = held_by(director, secret, drained)
    sizes = Sizes.fitting(director.connections, held.values())
    with Object(program) as candidate:
        config = np.frombuffer(set_constants(candidate, secret or NO_SECRET, sizes.buckets), _abi.CONFIG)
    with stood_up() as first:
        network = ImaginedNetwork.of(director, mtu, first)
        scene = scene_in(network, held, secret, drained)
        with built(network), loaded_stage(_room(sizes), config, program) as stage:
            _fill(stage, director, held, network)
            _require_same(stage, scene.configuration)
            stage.set_clock(scene.now)
            routes = _SameRoutes(network, stage.programs["ask_route"])
            yield replace(scene, routes=routes), Live(stage, scene.configuration.keys)


def _room(sizes: Sizes) -> Room:
    """A director's own."""
    most = _abi.Limits.REAL_SERVERS
    return Room(sizes.buckets, sizes.slots, most, _abi.Limits.SERVICES, _abi.Limits.INTERFACES, most)


def _fill(stage: Stage, director: Director, held: Mapping[Endpoint, HeldService], network: ImaginedNetwork) -> None:
    """As a daemon does at its start."""
    plane = stage.dataplane()
    plane.set_timeouts(director.timeouts)
    plane.apply(plan(held, plane.held(), policies(director)))
    plane.set_ports(
        [Port(name, number, network.mac(number), redirect=True) for number, name in network.interfaces.items()]
    )


def _require_same(stage: Stage, wanted: Configuration) -> None:
    """What the control plane wrote, read back, is what the specification goes by."""
    services, servers = stage.written().services_and_servers()
    plain = {
        number: replace(service, slots=service.slots[:], fallback=service.fallback[:])
        for number, service in services.items()
    }
    ticks = stage.maps["timeouts"].read(INDEX)
    same = {
        "services": plain == wanted.services,
        "real_servers": servers == wanted.servers,
        "interfaces": interfaces_of(stage.maps["interfaces"].read(_abi.INTERFACE)) == wanted.interfaces,
        "timeouts": all(
            int(ticks[_abi.ConnectionState[state.upper()]]) == n for state, n in wanted.derived.ticks.items()
        ),
    }
    if wrong := [name for name, right in same.items() if not right]:
        told = f"the control plane filled {', '.join(wrong)} otherwise than the specification reads the configuration"
        raise DataplaneError(f"{told}: that is a bug of vipd's, please report it with the configuration")


class _SameRoutes:
    """The imagined network's answers, each of which the kernel gives too: else no comparison would mean anything."""

    def __init__(self, network: ImaginedNetwork, ask_route: Program) -> None:
        self._network, self._ask_route = network, ask_route

    def ask(self, ingress: int, destination: Address) -> Way:
        mine, kernels = self._network.ask(ingress, destination), way_to(self._ask_route, ingress, destination)
        # The router's own address is on the link.
        if mine._replace(gateway=False) != kernels._replace(gateway=False):
            told = f"the way to {destination} should be {mine}, and the kernel says {kernels}"
            raise DataplaneError(f"the network that the file makes up is not what was built: {told}")
        return mine
