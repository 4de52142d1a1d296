"""From what a person asks for to all that is simulated. Pure; chance comes of a seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import shake_256
from struct import Struct
from typing import Final

import numpy as np

from vipd.errors import ConfigError, Problem
from vipd.model.director import Address, Director, Endpoint, Scheduler
from vipd.model.keys import FLOW_WORDS, SECRET_BYTES
from vipd.simulation.changes import Change, Situation, change
from vipd.simulation.fleet import MOST, Ecmp, Fleet
from vipd.simulation.flows import Flows, LeftOut
from vipd.simulation.gathering import Gathering, Missing
from vipd.simulation.generate import Duration, Recipe, generated
from vipd.simulation.lifetimes import Lifetimes
from vipd.simulation.simulate import Scene

_WORDS: Final = Struct(f"<{FLOW_WORDS}Q")
_ANY_PORT: Final = 443
"What is asked for where a service has every port."


@dataclass(frozen=True)
class Asked:
    """A fleet, and what is to happen to it."""

    director: Director
    changes: tuple[str, ...] = ()
    directors: int = 1
    ecmp: Ecmp = Ecmp.RESILIENT
    seed: int = 1
    looks: int = 0
    "How often it is looked how many connections are open, from the beginning to the end."

    def __post_init__(self) -> None:
        if not self.endpoints:
            raise ConfigError([Problem("services", "there is none; nothing can be simulated without a service")])
        if not 1 <= self.directors <= MOST:
            raise ConfigError([Problem("--directors", f"{self.directors} directors; 1 to {MOST}")])

    @cached_property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return tuple(endpoint for service in self.director.services for endpoint in service.listen)

    @cached_property
    def situations(self) -> tuple[Situation, ...]:
        """The first, and one after each change. ConfigError where a change cannot be understood or done."""
        return (self._first, *(each.after for each in self.made))

    @property
    def _first(self) -> Situation:
        return Situation(self.director, frozenset(), Fleet.of(self.directors, self.ecmp))

    @cached_property
    def made(self) -> tuple[Change, ...]:
        found: list[Change] = []
        for text in self.changes:
            found.append(change(text, found[-1].after if found else self._first))
        return tuple(found)

    @property
    def foreign(self) -> list[Address]:
        """Addresses that are nobody's who asks: VIPs and real servers, of all situations."""
        found = {endpoint.vip for endpoint in self.endpoints}
        for situation in self.situations:
            found |= {server.address for service in situation.director.services for server in service.servers}
        return sorted(found, key=lambda address: (address.version, int(address)))

    @property
    def shared_secret(self) -> bool:
        """Whether all directors hash alike."""
        return self.director.secret_file is not None

    def secret_of(self, number: int) -> bytes:
        """A director's. Not the one that it has on its machine: other choices, the same shares."""
        return _drawn(self.seed, f"secret {0 if self.shared_secret else number}", SECRET_BYTES)

    @property
    def router(self) -> tuple[int, ...]:
        return _WORDS.unpack(_drawn(self.seed, "router", _WORDS.size))


def made_up(asked: Asked, recipe: Recipe) -> tuple[Scene, LeftOut]:
    chance = np.random.default_rng(asked.seed)
    linger = Lifetimes.of(asked.director.timeouts).linger
    flows, left_out = generated(recipe, _shares(asked), _service_ports(asked), asked.foreign, linger, chance)
    return _scene(asked, flows), left_out


def read(asked: Asked, gathering: Gathering, rate: float, duration: Duration) -> tuple[Scene, LeftOut]:
    """Of flows from a file, which need not tell everything. WireError where their times cannot be used."""
    chance = np.random.default_rng(asked.seed)
    linger = Lifetimes.of(asked.director.timeouts).linger
    missing = Missing(rate, duration, _shares(asked), _service_ports(asked), asked.foreign, linger)
    flows, left_out = gathering.flows(missing, chance)
    return _scene(asked, flows), left_out


def _shares(asked: Asked) -> dict[Endpoint, float]:
    return dict.fromkeys(asked.endpoints, 1 / len(asked.endpoints))


def _service_ports(asked: Asked) -> dict[Endpoint, int]:
    return {each: _ANY_PORT if each.all_ports else each.first_port for each in asked.endpoints}


def _scene(asked: Asked, flows: Sequence[Flows]) -> Scene:
    end = max((int(each.start[-1]) for each in flows if each.count), default=0)
    return Scene(
        asked.situations,
        tuple(each.text for each in asked.made),
        (0, *_moments(asked, end)),
        tuple(flows),
        asked.secret_of,
        asked.router,
        asked.looks,
    )


def _moments(asked: Asked, end: int) -> list[int]:
    """Of the changes, in ms. Those that name none are spread evenly between their neighbours that do."""
    known = [(0, 0.0)]
    for place, each in enumerate(asked.made, start=1):
        if each.at is not None:
            if each.at * 1000 < known[-1][1]:
                what = f"@{each.at:g}s comes before the change above it; changes are made in the order they are given"
                raise ConfigError([Problem("", what, f"--change {asked.changes[place - 1]!r}", 1, 1)])
            known.append((place, each.at * 1000))
    last = len(asked.made) + 1
    known.append((last, max(float(end), known[-1][1])))
    places, times = zip(*known, strict=True)
    return [int(moment) for moment in np.interp(range(1, last), places, times)]


def _drawn(seed: int, what: str, size: int) -> bytes:
    return shake_256(f"vipd simulate: {seed}: {what}".encode()).digest(size)


def alike(scheduler: Scheduler, situations: Sequence[Situation]) -> Scheduler:
    """A scheduler that chooses the same servers, the same for all that do: what need not be simulated twice.

    sh and mh read one table alike (spec/schedule.py); weights that are all the same weigh nothing.
    """
    if scheduler is Scheduler.SH:
        return Scheduler.MH
    even = all(len(set(weights)) <= 1 for situation in situations for weights in _weights(situation))
    if even and scheduler in (Scheduler.WRR, Scheduler.WLC):
        return Scheduler.RR if scheduler is Scheduler.WRR else Scheduler.LC
    return scheduler


def _weights(situation: Situation) -> Iterator[list[int]]:
    """Of each service, weights of servers that take new connections."""
    drained = situation.drained
    for service in situation.director.services:
        yield [
            server.weight
            for server in service.servers
            if server.weight and (service.name, server.address, server.port) not in drained
        ]


def schedulers(scene: Scene) -> set[Scheduler]:
    """That are in force at any time."""
    return {service.scheduler for situation in scene.situations for service in situation.director.services}


def named(endpoints: Sequence[Endpoint], director: Director) -> tuple[list[list[int]], dict[str, int]]:
    """Groups of endpoints by their places, and what each is called: services by name, endpoints as they are written."""
    groups = [[number] for number in range(len(endpoints))]
    names = {str(endpoint): number for number, endpoint in enumerate(endpoints)}
    for service in director.services:
        names[service.name] = len(groups)
        groups.append([number for number, endpoint in enumerate(endpoints) if endpoint in set(service.listen)])
    return groups, names


class Listeners:
    """Which endpoint a packet is for: the one with the fewest ports that has its own."""

    def __init__(self, endpoints: Sequence[Endpoint], protocols: Sequence[int]) -> None:
        self._of: dict[tuple[Address, int], list[tuple[int, int, int]]] = {}
        for number, (endpoint, protocol) in enumerate(zip(endpoints, protocols, strict=True)):
            of = self._of.setdefault((endpoint.vip, protocol), [])
            of.append((endpoint.first_port, endpoint.last_port, number))
            of.sort(key=lambda each: each[1] - each[0])

    def __call__(self, address: Address, protocol: int, port: int) -> int:
        for first, last, number in self._of.get((address, protocol), ()):
            if first <= port <= last:
                return number
        return -1
