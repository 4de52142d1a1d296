"""Flows that somebody has listed or captured, one by one, until they stand in columns. Pure; chance is an argument."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vipd.errors import WireError
from vipd.model.director import Address, Endpoint, Transport
from vipd.simulation.flows import FOREVER, Flows, LeftOut, arranged, packed
from vipd.simulation.generate import FIRST_PORT, PORTS, Duration
from vipd.simulation.hashing import Words
from vipd.spec.admit import is_martian

NOT_SAID: Final = -1.0
ANY: Final = -1
_DAYS: Final = FOREVER // 2 // 86_400_000


@dataclass(frozen=True, slots=True)
class Missing:
    """What takes the place of what a list does not say."""

    rate: float
    "New connections a second."
    duration: Duration
    shares: Mapping[Endpoint, float]
    "Of endpoints, in the configuration's order; those that are not meant have 0."
    service_ports: Mapping[Endpoint, int]
    foreign: Sequence[Address]
    "Addresses that no client has."
    linger: int


class Gathering:
    """Columns that grow. `groups`: what a flow may be for, each some endpoints by their place."""

    def __init__(self, groups: Sequence[Sequence[int]]) -> None:
        self._groups = groups
        self._clients: dict[Address, int] = {}
        self._client, self._port, self._group = array("I"), array("i"), array("i")
        self._start, self._duration, self._service_port = array("d"), array("d"), array("i")

    def __len__(self) -> int:
        return len(self._client)

    def client(self, address: Address) -> int:
        return self._clients.setdefault(address, len(self._clients))

    def add(
        self,
        client: int,
        port: int = ANY,
        start: float = NOT_SAID,
        duration: float = NOT_SAID,
        group: int = ANY,
        service_port: int = ANY,
    ) -> int:
        """Its place. Seconds; NOT_SAID and ANY where nobody says."""
        self._client.append(client)
        self._port.append(port)
        self._start.append(start)
        self._duration.append(duration)
        self._group.append(group)
        self._service_port.append(service_port)
        return len(self._client) - 1

    def lasted(self, place: int, until: float) -> None:
        self._duration[place] = max(0.0, until - self._start[place])

    def flows(self, missing: Missing, chance: Generator) -> tuple[list[Flows], LeftOut]:
        """WireError where the times cannot be used."""
        count, endpoints = len(self), list(missing.shares)
        addresses = list(self._clients)
        start, end = self._times(missing, chance)
        order = np.argsort(start, kind="stable")
        client = _column(self._client)
        port = self._ports(client)
        family = np.array([address.version for address in addresses], np.int8)
        where = self._endpoints(missing, family[client] if count else family, chance)
        foreign = set(missing.foreign)
        strange = np.array([each in foreign or is_martian(each) for each in addresses], np.bool_)[client]
        left_out = LeftOut(own=int(strange.sum()), unserved=int(((where < 0) & ~strange).sum()))
        where[strange] = ANY
        found = []
        place_in_family = np.zeros(len(addresses), np.uint32)
        rows_of: dict[int, Any] = {}
        for version in (4, 6):
            mine = np.flatnonzero(family == version)
            place_in_family[mine] = np.arange(len(mine), dtype=np.uint32)
            some = [addresses[n] for n in mine.tolist()]
            rows_of[version] = packed(some) if some else np.empty((0, 4 if version == 4 else 16), np.uint8)
        service_port = _column(self._service_port)
        for number, endpoint in enumerate(endpoints):
            mine = order[where[order] == number]
            to = service_port[mine]
            flows, out = arranged(
                endpoint,
                rows_of[endpoint.vip.version],
                place_in_family[client[mine]],
                port[mine].astype(np.uint16),
                np.where(to == ANY, missing.service_ports[endpoint], to).astype(np.uint16),
                start[mine],
                end[mine],
                np.arange(len(mine)),
                missing.linger if endpoint.transport is Transport.UDP else 0,
            )
            found.append(flows)
            left_out += out
        return found, left_out

    def _times(self, missing: Missing, chance: Generator) -> tuple[Words, Words]:
        """In ms. The first begins at 0; where none says when, they begin by the rate, in their order."""
        said, lasted = _column(self._start), _column(self._duration)
        if not len(said):
            return said.astype(np.uint32), said.astype(np.uint32)
        if (said == NOT_SAID).any():
            said = np.sort(chance.random(len(said))) * (len(said) / missing.rate)
        else:
            said = said - said.min()
        if said.max() > FOREVER / 2000:
            raise WireError(f"the flows begin over {said.max() / 86400:.0f} days; at most {_DAYS}")
        start = (said * 1000).astype(np.uint32)
        drawn = missing.duration.draw(len(said), chance)
        length = np.where(lasted == NOT_SAID, drawn, np.minimum(lasted * 1000, FOREVER // 2)).astype(np.uint32)
        return start, start + length

    def _ports(self, client: NDArray[Any]) -> NDArray[Any]:
        """Where none is said: a client's ports one after the other."""
        port = _column(self._port)
        unsaid = np.flatnonzero(port == ANY)
        by_client = unsaid[np.argsort(client[unsaid], kind="stable")]
        sizes = np.unique(client[by_client], return_counts=True)[1]
        rank = np.arange(len(by_client)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        port[by_client] = FIRST_PORT + rank % PORTS
        return port

    def _endpoints(self, missing: Missing, family: NDArray[Any], chance: Generator) -> NDArray[np.int64]:
        """The place of each flow's endpoint: the one that is said, else one of those that fit, by lot."""
        shares, endpoints = list(missing.shares.values()), list(missing.shares)
        group, lot = _column(self._group), chance.random(len(self))
        where = np.full(len(self), ANY, np.int64)
        for number in np.unique(group).tolist():
            for version in (4, 6):
                among = range(len(endpoints)) if number == ANY else self._groups[number]
                fitting = [n for n in among if endpoints[n].vip.version == version]
                weights = np.array([shares[n] if number == ANY else 1.0 for n in fitting])
                rows = np.flatnonzero((group == number) & (family == version))
                if len(rows) and weights.sum() > 0:
                    border = np.cumsum(weights) / weights.sum()
                    border[-1] = 1.0
                    where[rows] = np.array(fitting)[np.searchsorted(border, lot[rows], "right")]
        return where


def _column(values: array[Any]) -> NDArray[Any]:
    """A copy that may be changed."""
    return np.array(values)
