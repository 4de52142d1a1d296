"""Which servers an endpoint ever has, and what its directors' tables say of them, from change to change. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vipd.control import Desired
from vipd.model.director import Address, Endpoint, Method, OnServerRemoved, Scheduler, VirtualService
from vipd.model.state import Egress, HeldServer, HeldService
from vipd.simulation.changes import Situation
from vipd.spec.configuration import PROTOCOLS, Configuration, Service, server_of

Index = NDArray[np.uint16]


class Member(NamedTuple):
    """What makes a server of an endpoint the same one, from change to change."""

    address: Address
    port: int | None
    method: Method


Sources: TypeAlias = Mapping[tuple[Address, int, int], Member]
"Address, protocol and port that a server under NAT answers from."


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """What one director's control plane writes for the endpoint, as indices of members."""

    slots: Index
    fallback: Index


@dataclass(frozen=True, slots=True, eq=False)
class Act:
    """An endpoint between two changes."""

    scheduler: Scheduler
    hash_port: bool
    weights: tuple[int, ...]
    "Of each member; 0: it gets no new connections, or is not there."
    present: tuple[bool, ...]
    removed: tuple[OnServerRemoved | None, ...]
    "Of each member that is not there: what becomes of its connections. None also for one that was never there yet."
    tables: Mapping[int, Tables]
    "By director."
    told: NDArray[np.bool_]
    "Of each member, whether its replies can be told without memory of the connection."

    @property
    def by_client(self) -> bool:
        """Whether a client has a server that it always gets."""
        return self.scheduler in (Scheduler.SH, Scheduler.MH)

    @property
    def fallback_by_port(self) -> bool:
        return self.hash_port or not self.by_client

    @property
    def shares(self) -> NDArray[np.float64]:
        """What each member should get, by weight."""
        weights: NDArray[np.float64] = np.array(self.weights, float)
        weights /= max(weights.sum(), 1.0)
        return weights


@dataclass(frozen=True, slots=True)
class Cast:
    service: str
    endpoint: Endpoint
    members: tuple[Member, ...]
    "In the order in which every table has them."
    acts: tuple[Act, ...]

    @property
    def both_ways(self) -> tuple[bool, ...]:
        """Of each member, whether its replies pass the director."""
        return tuple(member.method is Method.NAT for member in self.members)


def casts(situations: Sequence[Situation], secret_of: Callable[[int], bytes]) -> list[Cast]:
    """One for each endpoint. `secret_of`: a director's, by its number."""
    desires: dict[bytes, Desired] = {}
    held: list[dict[int, Mapping[Endpoint, HeldService]]] = []
    for situation in situations:
        by_secret: dict[bytes, Mapping[Endpoint, HeldService]] = {}
        for number in situation.fleet.members:
            secret = secret_of(number)
            if secret not in by_secret:
                desire = desires.setdefault(secret, Desired())
                by_secret[secret] = desire(situation.director, _neighbours, secret, situation.drained)
        held.append({number: by_secret[secret_of(number)] for number in situation.fleet.members})
    sources = [_nat_sources(next(iter(of.values()))) for of in held]
    return [
        _cast(service.name, endpoint, situations, [{n: of[n][endpoint] for n in of} for of in held], sources)
        for service in situations[0].director.services
        for endpoint in service.listen
    ]


def _neighbours(service: VirtualService) -> tuple[Egress, ...]:
    return (Egress.ON_LINK,) * len(service.servers)


def _cast(
    name: str,
    endpoint: Endpoint,
    situations: Sequence[Situation],
    held: Sequence[Mapping[int, HeldService]],
    sources: Sequence[Sources],
) -> Cast:
    one = [next(iter(of.values())) for of in held]
    members = tuple(sorted({_member(server) for service in one for server in service.servers}, key=_canonical))
    places = {member: place for place, member in enumerate(members)}
    acts: list[Act] = []
    removed: list[OnServerRemoved | None] = [None] * len(members)
    for before, after in pairwise([None, *range(len(held))]):
        assert after is not None
        service, present = one[after], {_member(server) for server in one[after].servers}
        policy = situations[after].service(name)
        if before is not None and policy is not None:
            former = {_member(server) for server in one[before].servers}
            removed = list(_removed(members, former, present, removed, policy.on_server_removed))
        weights = {_member(server): server.weight for server in service.servers}
        acts.append(
            Act(
                service.scheduler,
                service.hash_port,
                tuple(weights.get(member, 0) for member in members),
                tuple(member in present for member in members),
                tuple(removed),
                {number: _tables(of, places) for number, of in held[after].items()},
                _told(endpoint, members, sources[after]),
            )
        )
    return Cast(name, endpoint, members, tuple(acts))


def _member(server: HeldServer) -> Member:
    return Member(server.key.address, server.key.port, server.method)


def _canonical(member: Member) -> tuple[int, int, int, str]:
    return member.address.version, int(member.address), member.port or 0, member.method


def _removed(
    members: Iterable[Member],
    former: set[Member],
    present: set[Member],
    removed: Iterable[OnServerRemoved | None],
    policy: OnServerRemoved,
) -> Iterable[OnServerRemoved | None]:
    """As the data plane marks them: one that only changed its method goes on for those it has."""
    places = {member[:2] for member in present}
    for member, was in zip(members, removed, strict=True):
        if member in present:
            yield None
        elif member in former:
            yield OnServerRemoved.KEEP if member[:2] in places else policy
        else:
            yield was


def _tables(held: HeldService, places: Mapping[Member, int]) -> Tables:
    members = np.array([places[_member(server)] for server in held.servers], np.uint16)
    slots, fallback = (members[np.frombuffer(table, "<u4")] for table in (held.slots, held.fallback))
    return Tables(slots, fallback)


def _nat_sources(held: Mapping[Endpoint, HeldService]) -> Sources:
    """Whose replies under NAT can be told without memory: those from where no other service answers."""
    services = {number: Service(endpoint, Scheduler.RR) for number, endpoint in enumerate(held, start=1)}
    servers = [server_of(each, number) for number, service in enumerate(held.values(), 1) for each in service.servers]
    configuration = Configuration(services, dict(enumerate(servers, start=1)))
    return {
        key: Member(servers[number - 1].address, servers[number - 1].port, Method.NAT)
        for key, number in configuration.derived.nat_sources.items()
        if number
    }


def _told(endpoint: Endpoint, members: Sequence[Member], sources: Sources) -> NDArray[np.bool_]:
    protocol = PROTOCOLS[endpoint.transport]
    keys = [(member.address, protocol, member.port or endpoint.first_port) for member in members]
    told = [
        member.method is not Method.NAT or sources.get(key) == member for member, key in zip(members, keys, strict=True)
    ]
    return np.array(told, np.bool_)
