"""Flow for flow, the simulation says what the specification does packet by packet, through all changes."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support.directors import Directors, Talk, play
from tests.support.oracle.choices import Choices
from vipd.model.director import (
    Director,
    Endpoint,
    Method,
    OnServerRemoved,
    RealServer,
    Scheduler,
    Timeouts,
    Transport,
    VirtualService,
)
from vipd.simulation.casting import casts
from vipd.simulation.changes import Situation, change
from vipd.simulation.course import Course, Plan
from vipd.simulation.fleet import Ecmp, Fleet
from vipd.simulation.flows import Flows, arranged, packed
from vipd.simulation.hashing import Keys
from vipd.simulation.lifetimes import Lifetimes
from vipd.simulation.standing import NOBODY, Fate

VIPS: Final = {4: "203.0.113.10", 6: "2001:db8:f::10"}
TIMEOUTS: Final = Timeouts(established=30, fin_wait=3, time_wait=7, udp=9)
"So short that entries end and are missed; no flow is silent for longer while it is open."
SPAN: Final = 40_000
LONGEST: Final = 8_500
SLOTS: Final = 251


class World:
    """A configuration, changes to it and flows, made up of choices."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        names = ["one", "two"][: 1 + choices.one_in(3)]
        services = tuple(self._service(name, number) for number, name in enumerate(names))
        director = Director(("eth0",), services, timeouts=TIMEOUTS)
        fleet = Fleet.of(choices.of((1, 2, 2, 3)), choices.of(tuple(Ecmp)))
        self.situations = [Situation(director, frozenset(), fleet)]
        moments = sorted((choices.word() % SPAN) + 1 for _ in range(choices.of((1, 2, 3, 3, 0))))
        for _ in moments:
            self.situations.append(self._changed(self.situations[-1]))
        self.moments = (0, *moments)
        shared = choices.one_in(2)
        self.secrets = {n: bytes(15) + bytes((0 if shared else n,)) for n in range(1, 12)}
        self.flows = [self._flows(endpoint) for service in services for endpoint in service.listen]
        self.end = max([SPAN, *(int(flows.start[-1]) for flows in self.flows if flows.count)])

    def _service(self, name: str, number: int) -> VirtualService:
        choices = self._choices
        family, transport = choices.of((4, 6)), choices.of((Transport.TCP, Transport.TCP, Transport.UDP))
        method = choices.of(tuple(Method))
        endpoint = Endpoint(ip_address(VIPS[family]), 80 + number, 80 + number, transport)
        found = [self._server(family, method, number) for _ in range(choices.of((2, 3, 1, 4, 0)))]
        servers = tuple({server.address: server for server in found}.values())
        return VirtualService(
            name,
            (endpoint,),
            servers,
            choices.of(tuple(Scheduler)),
            choices.of(tuple(OnServerRemoved)),
            SLOTS,
            hash_port=choices.one_in(3),
        )

    def _server(self, family: int, method: Method, number: int) -> RealServer:
        choices = self._choices
        if choices.one_in(4):
            method = choices.of(tuple(Method))
        text = {4: "10.0.{}.{}", 6: "2001:db8:1:{}::{}"}[family]
        address = ip_address(text.format(number, 10 + choices.below(4)))
        return RealServer(address, None, choices.of((1, 1, 2, 3, 7, 0)), method)

    def _changed(self, before: Situation) -> Situation:
        choices = self._choices
        service = choices.of(before.director.services)
        family = service.listen[0].vip.version
        number = before.director.services.index(service)
        server = choices.of(service.servers).address if service.servers else None
        match choices.below(9):
            case 0 | 1 if server:
                text = f"remove {service.name} {server}"
            case 2 if server:
                text = f"weight {service.name} {server} {choices.of((0, 1, 2, 9))}"
            case 3 if server and not before.drained:
                text = f"drain {service.name} {server}"
            case 4:
                text = f"scheduler {service.name} {choices.of(tuple(Scheduler))}"
            case 5 if len(before.fleet.members) > 1:
                text = f"remove director {choices.of(before.fleet.members)}"
            case 6:
                text = f"directors {choices.of((1, 2, 3))}"
            case _:
                fresh = self._server(family, choices.of(tuple(Method)), number)
                if any(each.address == fresh.address for each in service.servers):
                    text = "add director"
                else:
                    text = f"add {service.name} {fresh.address} weight {fresh.weight} method {fresh.method}"
        return change(text, before).after

    def _flows(self, endpoint: Endpoint) -> Flows:
        choices = self._choices
        family = endpoint.vip.version
        clients = [ip_address({4: "198.51.100.{}", 6: "2001:db8:7::{}"}[family].format(n)) for n in range(1, 6)]
        rows = []
        for number in range(choices.below(26)):
            # Most of them go on while something changes.
            start = max(0, choices.of(self.moments[1:] or self.moments) - choices.word() % LONGEST)
            if choices.one_in(4):
                start = choices.word() % SPAN
            length = choices.of((LONGEST, LONGEST, LONGEST, 3000, 550, 67, 1, 0)) * choices.byte() // 255
            # Datagrams of one client and port would be one flow, of which only the ends are sent here.
            port = choices.below(2) if endpoint.transport is Transport.TCP else number
            rows.append((start, start + length, choices.below(5), 1000 + port))
        rows.sort()
        columns = np.array(rows, np.int64).reshape(-1, 4).T
        lifetimes = Lifetimes.of(TIMEOUTS)
        flows, _ = arranged(
            endpoint,
            packed(clients),
            columns[2].astype(np.uint32),
            columns[3].astype(np.uint16),
            np.full(len(rows), endpoint.first_port, np.uint16),
            columns[0].astype(np.uint32),
            columns[1].astype(np.uint32),
            np.arange(len(rows)),
            lifetimes.linger if endpoint.transport is Transport.UDP else 0,
        )
        return flows


def spread(flows: Flows) -> np.ndarray:
    mixed = flows.client.astype(np.uint64) * np.uint64(0x9E3779B1) + flows.port * np.uint64(0x85EBCA77)
    return (mixed & np.uint64(0xFFFFFFFF)).astype(np.uint32)


def talks(flows: Flows) -> list[Talk]:
    return [
        Talk(
            ip_address(flows.addresses[flows.client[row]].tobytes()),
            int(flows.port[row]),
            flows.endpoint.vip,
            int(flows.service_port[row]),
            flows.is_tcp,
            int(flows.start[row]),
            int(flows.end[row]),
            int(hashed),
        )
        for row, hashed in enumerate(spread(flows))
    ]


_OVER: Final = {
    Fate.GOES_ON: ("",),
    Fate.REFUSED: ("reply_reset_no_server", "reply_unreachable_no_server"),
    Fate.RESET: ("reply_reset_server_removed", "reply_unreachable_server_removed"),
    Fate.BROKEN: ("broken",),
    Fate.UNKNOWN: ("reply_reset_no_connection",),
}


@dataclass(frozen=True)
class Crowd:
    """Forty servers of all weights, and so many connections that turns come round and counts differ."""

    situations: list[Situation]
    flows: list[Flows]
    secrets: dict[int, bytes]
    moments: tuple[int, ...] = (0, SPAN // 2)
    end: int = SPAN

    @classmethod
    def of(cls, scheduler: Scheduler) -> Crowd:
        endpoint = Endpoint(ip_address(VIPS[4]), 80, 80, Transport.TCP)
        servers = tuple(
            RealServer(ip_address(f"10.0.0.{n}"), None, n % 9, (Method.DR, Method.NAT)[n % 2]) for n in range(1, 41)
        )
        service = VirtualService("one", (endpoint,), servers, scheduler, maglev_slots=1009)
        first = Situation(Director(("eth0",), (service,), timeouts=TIMEOUTS), frozenset(), Fleet.of(2, Ecmp.MODULO))
        chance = np.random.default_rng(1)
        start = np.sort(chance.integers(0, SPAN, 900)).astype(np.uint32)
        length = chance.integers(0, LONGEST, 900).astype(np.uint32)
        flows, _ = arranged(
            endpoint,
            packed(ip_address("198.51.100.1") + n for n in range(200)),
            chance.integers(0, 200, 900).astype(np.uint32),
            (1000 + np.arange(900)).astype(np.uint16),
            np.full(900, 80, np.uint16),
            start,
            start + length,
            np.arange(900),
            0,
        )
        return cls([first, change("remove one 10.0.0.17", first).after], [flows], {1: bytes(16), 2: bytes(15) + b"2"})


def compare(world: World | Crowd) -> bool:
    """False where a flow came to a director that knew its port from before: such are only counted."""
    found = casts(world.situations, world.secrets.__getitem__)
    plan = Plan(
        world.moments,
        world.end,
        tuple(each.fleet for each in world.situations),
        {number: Keys.of(secret) for number, secret in world.secrets.items()},
        Lifetimes.of(TIMEOUTS),
    )
    courses = [Course(flows, cast, plan, spread(flows)) for flows, cast in zip(world.flows, found, strict=True)]
    every = [talks(flows) for flows in world.flows]
    directors = Directors(world.situations[0], world.secrets)
    changes = list(zip(world.moments[1:], world.situations[1:], strict=True))
    runs = [course.run(lambda _: None) for course in courses]
    for number in play(directors, [talk for some in every for talk in some], changes, world.end):
        moment = [*world.moments[1:], world.end][number]
        for course, run, some in zip(courses, runs, every, strict=True):
            assert next(run)[0] == number
            if course.stale.count:
                return False
            agree(course, some, directors, moment)
    return True


def agree(course: Course, some: list[Talk], directors: Directors, moment: int) -> None:
    standing, members = course.standing, course.cast.members
    for row, talk in enumerate(some):
        if talk.start > moment or (talk.start == moment and not (talk.server or talk.over)):
            continue
        server = standing.server[row]
        assert talk.over in _OVER[Fate(standing.fate[row])], (row, talk, standing.fate[row])
        if not talk.over:
            assert server != NOBODY
            assert members[server] == talk.server, (row, talk, members[server])
    before = int(np.searchsorted(course.flows.start, moment, "right"))
    for number in directors.each:
        active, inactive = course.loads(number, moment, before)
        mine = {member: (int(a), int(i)) for member, a, i in zip(members, active, inactive, strict=True) if a or i}
        assert mine == directors.loads(number, course.flows.endpoint), number


@given(st.binary(min_size=400, max_size=700))
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_flow_gets_the_server_that_the_specification_gives_it(data: bytes) -> None:
    assume(compare(World(Choices(data))))


@pytest.mark.parametrize("scheduler", Scheduler)
def test_among_forty_servers_too(scheduler: Scheduler) -> None:
    assert compare(Crowd.of(scheduler))


def test_who_is_placed_anew_finds_closing_connections_that_began_after_it() -> None:
    endpoint = Endpoint(ip_address(VIPS[4]), 80, 80, Transport.TCP)
    servers = tuple(RealServer(ip_address(f"10.0.0.{n}"), None, 1, Method.DR) for n in (1, 2, 3))
    service = VirtualService("one", (endpoint,), servers, Scheduler.LC, OnServerRemoved.RESCHEDULE)
    first = Situation(Director(("eth0",), (service,), timeouts=TIMEOUTS), frozenset(), Fleet.of(1, Ecmp.MODULO))
    start, end = np.array([0, 1000], np.uint32), np.array([8000, 1001], np.uint32)
    flows, _ = arranged(
        endpoint,
        packed([ip_address("198.51.100.1")]),
        np.zeros(2, np.uint32),
        np.array([1000, 1001], np.uint16),
        np.full(2, 80, np.uint16),
        start,
        end,
        np.arange(2),
        0,
    )
    situations = [first, change("remove one 10.0.0.1", first).after]
    assert compare(Crowd(situations, [flows], {1: bytes(16)}, (0, 2000), 9000))
