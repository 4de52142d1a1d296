"""Carries steps out, by both or by the specification alone, and keeps account of what they met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from tests.support.oracle.network import PORTS, has_ethernet
from tests.support.oracle.script import (
    Attach,
    Collect,
    Configure,
    Neighbour,
    Script,
    Send,
    SetTimeouts,
    Step,
    Sweep,
    Wait,
)
from tests.support.oracle.transitions import Transition, passed
from vipd.dataplane.port import Port
from vipd.model.director import Address, Timeouts, VirtualService
from vipd.spec import Configuration, Decision


class Director(Protocol):
    """A director that packets are sent through: pair.Pair, alone.Alone."""

    @property
    def configuration(self) -> Configuration: ...
    def clear(self) -> None: ...
    def configure(self, services: Sequence[VirtualService]) -> None: ...
    def collect(self) -> None: ...
    def sweep(self) -> int: ...
    def wait(self, nanoseconds: int) -> None: ...
    def send(self, port: str, frame: bytes) -> Decision: ...
    def neighbour(self, address: Address, known: bool) -> None: ...
    def set_timeouts(self, timeouts: Timeouts) -> None: ...
    def set_ports(self, ports: Mapping[str, Port]) -> None:
        """`ports` as in network.PORTS, but for their numbers."""

    def finish(self) -> None: ...


class Cell(NamedTuple):
    """What coverage counts: an outcome, the server's method where one was chosen, the packet's family."""

    outcome: str
    method: str
    family: int

    def __str__(self) -> str:
        family = f"IPv{self.family}" if self.family else "-"
        return f"{self.outcome} {self.method} {family}"


class Runner:
    """Use `clear` before each script."""

    def __init__(self, director: Director) -> None:
        self.director = director
        self.forgotten: set[Address] = set()
        self.steps: list[Step] = []
        self.met: Counter[Cell] = Counter()
        self.passed: Counter[Transition] = Counter()
        self.events: Counter[str] = Counter()
        self.packets = 0

    def clear(self) -> None:
        for address in list(self.forgotten):
            self._neighbour(address, True)
        self.steps = []
        self.director.clear()

    def run(self, step: Step) -> Decision | None:
        self.steps.append(step)
        match step:
            case Send(port, frame):
                return self._send(port, frame)
            case Wait(nanoseconds):
                self.director.wait(nanoseconds)
            case Configure(services):
                self.director.configure(services)
            case Collect():
                self.director.collect()
            case Sweep():
                self.director.sweep()
            case Neighbour(address, known):
                self._neighbour(address, known)
            case Attach(attached, redirect):
                ports = {name: replace(PORTS[name], redirect=name in redirect) for name in attached}
                self.director.set_ports(ports)
            case SetTimeouts(timeouts):
                self.director.set_timeouts(timeouts)
        return None

    def _send(self, port: str, frame: bytes) -> Decision:
        decision = self.director.send(port, frame)
        self.packets += 1
        cell = self._cell(decision, port, frame)
        self.met[cell] += 1
        self.passed.update(passed(decision, cell.method, cell.family))
        self.events.update(decision.events)
        return decision

    def _cell(self, decision: Decision, port: str, frame: bytes) -> Cell:
        family = {b"\x08\0": 4, b"\x86\xdd": 6}.get(frame[12:14], 0)
        if not has_ethernet(port):
            family = frame[0] >> 4 if frame[0] >> 4 in (4, 6) else 0
        if not decision.server:
            return Cell(decision.outcome, "-", family)
        method = self.director.configuration.servers[decision.server].method
        return Cell(decision.outcome, str(method or "local"), family)

    def _neighbour(self, address: Address, known: bool) -> None:
        if known == (address in self.forgotten):
            self.director.neighbour(address, known)
            self.forgotten ^= {address}

    def finish(self) -> None:
        self.director.finish()


def replay(runner: Runner, script: Script) -> list[Decision]:
    """All of a script; the packets' decisions, in order."""
    runner.clear()
    decisions = [decision for step in script.steps if (decision := runner.run(step)) is not None]
    runner.finish()
    return decisions
