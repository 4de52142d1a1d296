"""The BPF program and the specification, side by side: each step is done by both, and all that they did compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from pyroute2 import IPRoute

from tests.support.oracle.entries import Entries
from tests.support.oracle.images import Images
from tests.support.oracle.network import PORTS, has_ethernet, machines, ports
from tests.support.oracle.plane import DIRECTOR, START, Plane, loaded_plane
from tests.support.oracle.wanted import KEYS, Wanted
from tests.support.oracle.worlds import LOCAL
from tests.support.wires import Wires
from vipd.control import plan, policies
from vipd.dataplane import _abi
from vipd.dataplane.links import ETHERNET, POINT_TO_POINT
from vipd.dataplane.port import Port, RemoveService
from vipd.dataplane.program import Run
from vipd.model.director import Address, Director, OnServerRemoved, Timeouts, VirtualService
from vipd.model.outcome import Action
from vipd.spec import Configuration, Decision, Ingress, Interface, State, decide, sweep
from vipd.spec.state import Draft

_ACTIONS: Final = {Action.PASS: 2, Action.ROUTE: 2, Action.DROP: 1}
"XDP_PASS, XDP_DROP."
_TX, _REDIRECT = 3, 4
_PERMANENT: Final = 0x80


class Disagreement(AssertionError):
    """What the two did differently, and the specification's reasons; `about` in a line."""

    def __init__(self, when: str, wrong: Sequence[str], told: Iterable[str] = ()) -> None:
        self.about = f"{when}: {', '.join(each.split(':')[0] for each in wrong)}"
        super().__init__("\n".join([self.about, *wrong, *told]))


class Pair:
    """Inside of the wires' namespace only."""

    def __init__(self, plane: Plane, wires: Wires, netlink: Any) -> None:
        self.plane, self._netlink = plane, netlink
        self.ports, self._machines = ports(wires), machines()
        "With the numbers that the kernel gave them."
        self._wanted = Wanted(frozenset(LOCAL.values()))
        self.clear()

    def clear(self) -> None:
        """As if nothing had ever been."""
        plane, dataplane = self.plane, self.plane.dataplane
        plane.table[:] = np.zeros(1, _abi.BUCKET)
        for memory in (plane.memory[name] for name in plane.memory if name not in ("real_servers", "service_table")):
            memory[:] = 0
        dataplane.apply([RemoveService(endpoint, OnServerRemoved.RESET) for endpoint in dataplane.held()])
        dataplane.collect()
        for key in list(plane.maps["fragments"].keys()):
            plane.maps["fragments"].delete(key)
        plane.set_clock(START)
        plane.network_changed()
        self.state = State()
        self.entries = Entries(plane)
        self.images = Images(plane)
        self.timeouts = Timeouts()
        dataplane.set_timeouts(self.timeouts)
        self.set_ports(PORTS)

    # Both change what they were told.

    def set_ports(self, ports: Mapping[str, Port]) -> None:
        """The interfaces that the director looks at; packets may come in by any."""
        here = [replace(port, ifindex=self.ports[name].ifindex) for name, port in ports.items()]
        self.plane.dataplane.set_ports(here)
        self.interfaces = {port.ifindex: Interface(port.mac, port.redirect) for port in here}
        self._read()

    def set_timeouts(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self.plane.dataplane.set_timeouts(timeouts)
        self._read()

    def neighbour(self, address: Address, known: bool) -> None:
        """The kernel forgets a machine's MAC address, or knows it again."""
        machine = self._machines[address]
        ifindex = self.ports[machine.port].ifindex
        if known:
            self._netlink.neigh("replace", ifindex=ifindex, dst=str(address), lladdr=machine.mac, state=_PERMANENT)
        else:
            self._netlink.neigh("del", ifindex=ifindex, dst=str(address), lladdr=machine.mac)
        self.plane.network_changed()

    def configure(self, services: Sequence[VirtualService]) -> None:
        """By the control plane's own way: desired state, plan, apply."""
        dataplane, director = self.plane.dataplane, Director(("out0",), tuple(services))
        dataplane.apply(plan(self._wanted(services), dataplane.held(), policies(director)))
        self._read()

    def collect(self) -> None:
        """Removed servers that no connection names any more are forgotten, and all that was counted of them."""
        self.plane.dataplane.collect()
        self._read()
        for name, numbers in (
            ("loads", self.configuration.servers),
            ("traffic", self.configuration.servers),
            ("next_hops", self.configuration.servers),
            ("cursors", self.configuration.services),
        ):
            table: dict[int, Any] = getattr(self.state, name)
            for number in [number for number in table if number not in numbers]:
                del table[number]
                self.images.draw(name, number, None)

    def _read(self) -> None:
        services, servers = self.plane.stage.written().services_and_servers()
        self.configuration = Configuration(
            services,
            servers,
            self.interfaces,
            self.timeouts,
            KEYS,
            self.plane.buckets,
            self.plane.next_hop_age,
        )

    def wait(self, nanoseconds: int) -> None:
        self.plane.set_clock(self.plane.now + nanoseconds)

    # Both do the same.

    def send(self, port: str, frame: bytes) -> Decision:
        """One frame that comes in by a port."""
        decision, ingress = decided(self, port, frame), self.ports[port].ifindex
        run = self.plane.run(frame, ingress, ETHERNET if has_ethernet(port) else POINT_TO_POINT)
        wrong = differences(self, decision, ingress, run)
        if wrong:
            raise Disagreement(decision.outcome, wrong, told(decision, frame))
        return decision

    def sweep(self) -> int:
        """The sweeper passes the whole table; how many connections were over."""
        draft, over = sweep(self.configuration, self.state, list(self.state.connections), self.plane.now)
        self.plane.sweep()
        self.images.count("events", "connection_expired", over)
        wrong = _remembered(self, draft)
        if wrong:
            raise Disagreement("a sweep", wrong)
        return over

    def finish(self) -> None:
        """All that is too long to be compared after each packet."""
        wrong = list(self.images.wrong_at_the_end(self.state))
        if wrong:
            raise Disagreement("at the end", wrong)


def _remembered(pair: Pair, draft: Draft) -> list[str]:
    """What both remember from now on, and where that differs."""
    pair.state.apply(draft)
    return [*pair.images.wrong(draft), *pair.entries.wrong(pair.state, draft)]


def decided(pair: Pair, port: str, frame: bytes) -> Decision:
    """What the specification says of a frame; nothing is done yet."""
    ingress = Ingress(pair.ports[port].ifindex, has_ethernet(port))
    return decide(pair.configuration, pair.state, frame, ingress, pair.plane.now, pair.plane)


def differences(pair: Pair, decision: Decision, ingress: int, run: Run) -> list[str]:
    """What a run of the program did otherwise; the specification's state goes on."""
    wrong = list(wrong_end(decision, ingress, run))
    pair.images.count("outcomes", decision.outcome)
    for event in decision.events:
        pair.images.count("events", event)
    return wrong + _remembered(pair, decision.draft)


def action(decision: Decision, ingress: int) -> int:
    """What XDP must return."""
    return _ACTIONS.get(decision.action) or (_TX if decision.egress == ingress else _REDIRECT)


def wrong_end(decision: Decision, ingress: int, run: Run) -> Iterator[str]:
    """What left, and how, otherwise than it should."""
    expected = action(decision, ingress)
    if run.action != expected:
        yield f"action: the program {run.action}, the specification {expected}"
    if decision.action is not Action.DROP and run.frame != decision.frame:
        yield f"frame: the program        {run.frame.hex()}\n       the specification  {decision.frame.hex()}"


def told(decision: Decision, frame: bytes) -> Iterator[str]:
    yield f"the specification: {decision.outcome}, events {', '.join(decision.events) or 'none'}, because"
    yield from (f"  {reason.rule}: {reason}" for reason in decision.reasons)
    yield f"frame: {frame.hex()}"


@contextmanager
def pairs(wires: Wires, buckets: int, program: Path = DIRECTOR) -> Iterator[Pair]:
    """A director with a table of so many buckets, loaded between the wires."""
    with wires.entered(), IPRoute() as netlink, loaded_plane(buckets, program) as plane:
        yield Pair(plane, wires, netlink)
