"""What is counted of a course is what one finds who goes through its flows one by one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from itertools import pairwise

import numpy as np
import pytest

from tests.support.fleets import asked
from vipd.model.director import Scheduler, table_buckets
from vipd.simulation import counting, scheduling, table
from vipd.simulation.casting import casts
from vipd.simulation.collisions import collisions
from vipd.simulation.course import Course, Plan, Tally
from vipd.simulation.generate import Duration, Popularity, Recipe
from vipd.simulation.hashing import Keys, flow_hashes
from vipd.simulation.lifetimes import Lifetimes
from vipd.simulation.simulate import Scene
from vipd.simulation.staging import Asked, made_up
from vipd.simulation.standing import NOBODY, Fate, Rows
from vipd.spec import hashes
from vipd.spec.configuration import Keys as SpecKeys
from vipd.spec.state import BUCKET, Flow
from vipd.spec.table import buckets

TEXT = """
interfaces: [eth0]
services:
  web:
    listen: 192.0.2.10:80/tcp
    method: nat
    scheduler: wlc
    on_server_removed: reschedule
    servers: ["10.0.0.11:8080", {address: 10.0.0.12, port: 8080, weight: 2}, "10.0.0.13:8080"]
  api:
    listen: 192.0.2.10:81/tcp
    method: nat
    scheduler: mh
    servers: ["10.0.0.11:8080", "10.0.0.14:8080"]
  dns:
    listen: 192.0.2.53:53/udp
    method: tun
    scheduler: rr
    servers: [10.0.1.11, 10.0.1.12]
timeouts: {time_wait: 5s, fin_wait: 3s, udp: 20s}
"""
CHANGES = ("remove web 10.0.0.12", "remove director 2", "add api 10.0.0.15:8080 weight 3", "add director")


def given() -> Asked:
    return asked(*CHANGES, text=TEXT, directors=3)


def scene(of: Asked, clients: int = 40, count: int = 3000) -> Scene:
    return made_up(of, Recipe(count, clients, 30.0, Duration(8.0), Popularity.ZIPF, 0.7))[0]


def courses(of: Asked, found: Scene) -> list[Course]:
    keys = {number: Keys.of(of.secret_of(number)) for each in found.situations for number in each.fleet.members}
    fleets = tuple(each.fleet for each in found.situations)
    plan = Plan(found.moments, found.end, fleets, keys, Lifetimes.of(of.director.timeouts))
    router = found.router
    return [
        Course(
            flows,
            cast,
            plan,
            flow_hashes(
                router, flows.sources(np.arange(flows.count)), flows.port, flows.vip, flows.service_port, flows.protocol
            ),
        )
        for flows, cast in zip(found.flows, casts(found.situations, of.secret_of), strict=True)
    ]


def acts(course: Course) -> Iterator[tuple[int, Tally | None, Rows]]:
    return course.run(lambda _: None)


def by_hand(course: Course, number: int, rows: Rows) -> dict[int, tuple[int, int, int]]:
    """Of each member: connections that it got in this act, open at its end, and the most at once."""
    moments, standing = [*course.plan.moments, course.plan.end], course.standing
    begin, end = moments[number], moments[number + 1]
    made = Counter(int(standing.server[row]) for row in rows.tolist())
    steps: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for row in range(course.first[number + 1]):
        start, stop = int(course.flows.start[row]), int(course.flows.end[row])
        if standing.fate[row] == Fate.GOES_ON and stop > begin and stop > start:
            steps[int(standing.server[row])] += [(max(start, begin), 1), (stop, -1)]
    found = {}
    for server in range(len(course.cast.members)):
        now = most = at_end = 0
        for moment, step in sorted(steps[server]):
            if moment <= end:
                now += step
                most = max(most, now)
        at_end = now
        found[server] = made[server], at_end, most
    return found


@pytest.mark.parametrize("block", [counting.BLOCK, 7])
def test_loads_are_those_of_a_count_by_hand(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "BLOCK", block)
    of = given()
    for course in courses(of, scene(of)):
        for number, _, rows in acts(course):
            load = counting.load(course, number, rows)
            wanted = by_hand(course, number, rows)
            found = zip(load.made.tolist(), load.open.tolist(), load.peak.tolist(), strict=True)
            assert dict(enumerate(found)) == wanted, number
            assert sum(made for made, _, _ in wanted.values()) > 0


def test_open_connections_at_a_time_are_those_of_a_count_by_hand() -> None:
    of = given()
    found = replace(scene(of), looks=50)
    seen = 0
    for course in courses(of, found):
        for number, _, _ in acts(course):
            times = found.times(number)
            seen += len(times)
            open_then = counting.open_at(course, number, times)
            for place, time in enumerate(times.tolist()):
                rows = [
                    row
                    for row in range(course.first[number + 1])
                    if course.flows.start[row] <= time < course.flows.end[row]
                    and course.standing.fate[row] == Fate.GOES_ON
                ]
                by_server = Counter(course.standing.server[rows].tolist())
                assert open_then[:, place].tolist() == [by_server[n] for n in range(len(course.cast.members))]
    assert seen == 50 * 3


@pytest.mark.parametrize("scheduler", Scheduler)
def test_pieces_make_no_difference(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    of = given()
    whole = courses(of, scene(of).with_scheduler(scheduler))
    ends = [[tally for _, tally, _ in acts(course)] for course in whole]
    monkeypatch.setattr(scheduling, "BLOCK", 50)
    parts = courses(of, scene(of).with_scheduler(scheduler))
    assert [[tally for _, tally, _ in acts(course)] for course in parts] == ends
    for one, other in zip(whole, parts, strict=True):
        assert one.standing.server.tolist() == other.standing.server.tolist()


def test_every_open_connection_has_one_end() -> None:
    of = given()
    for course in courses(of, scene(of)):
        tallies = [tally for _, tally, _ in acts(course)]
        assert tallies[0] is None
        for tally in tallies[1:]:
            assert tally is not None
            assert tally.open == tally.stayed + tally.moved + tally.ended > 0


def test_clients_that_get_another_server_are_counted_with_the_hash_of_the_specification() -> None:
    of = given()
    _, api, _ = courses(of, scene(of))
    changed = []
    for number, _, _ in acts(api):
        if not number:
            continue
        moved = 0
        before, now = api.cast.acts[number - 1], api.cast.acts[number]
        rows = np.arange(api.first[number], api.first[number + 1])
        for row, director in zip(rows.tolist(), api.route(number - 1, rows).tolist(), strict=True):
            client = api.flows.addresses[api.flows.client[row]].tobytes()
            low, high = np.frombuffer(api.plan.keys[director].client, "<u8").tolist()
            hashed = hashes.siphash((low, high), client + bytes(2))
            slots = before.tables[director].slots
            moved += int(slots[hashes.share(hashed, len(slots))]) != int(api.standing.server[row])
        assert counting.elsewhere(api, number) == (moved, len(rows))
        assert now.by_client
        changed.append(moved)
    assert changed[0] == 0 < changed[2]


def test_collisions_are_counted_by_client_port_server_and_director() -> None:
    of = given()
    found = courses(of, scene(of, clients=4, count=3000))
    for course in found:
        course.flows.port[:] = 1024 + course.flows.port % 60
        course.flows.start[:] = course.flows.start // 2000 * 2000
        course.flows.end[:] = course.flows.end // 2000 * 2000 + 2000
        list(acts(course))
    wanted = 0
    names: dict[object, list[tuple[int, int]]] = defaultdict(list)
    for course in found[:2]:
        for row in range(course.flows.count):
            server = int(course.standing.server[row])
            if server == NOBODY or course.cast.members[server].address.packed[-1] != 11:
                continue
            client = course.flows.addresses[course.flows.client[row]].tobytes()
            names[client, int(course.flows.port[row]), int(course.standing.home[row])].append(
                (int(course.flows.start[row]), int(course.flows.end[row]))
            )
    for spans in names.values():
        spans.sort(key=lambda span: span[0])
        wanted += sum(begin < former_end for (_, former_end), (begin, _) in pairwise(spans))
    assert collisions(found) == wanted > 0


def test_a_table_is_walked_like_the_specification_reserves() -> None:
    of = given()
    found = courses(of, scene(of))
    for course in found:
        list(acts(course))
    count = table_buckets(60)
    uses = table.table_uses(found, count)
    assert [use.director for use in uses] == [1, 2, 3, 4]
    assert all(use.walked for use in uses[:3])
    for use in uses:
        assert (use.peak, use.entries, use.without_room) == walked_by_hand(found, use.director, count)
    assert sum(use.without_room for use in uses) > 0


def walked_by_hand(found: list[Course], director: int, count: int) -> tuple[int, int, int]:
    """The most connections and entries at once, and connections without room."""
    lost = found[0].plan.moments[2] if director == 2 else None
    events: list[tuple[int, int, int, int, tuple[Flow, ...]]] = []
    for number, course in enumerate(found):
        low_high = np.frombuffer(course.plan.keys[director].client, "<u8").tolist()
        keys = SpecKeys((low_high[0], low_high[1]), course.plan.keys[director].flow)
        stays = course.standing.stays_of(director)
        for place, row in enumerate(stays.flow.tolist()):
            until = min(int(stays.until[place]), lost if lost is not None else 1 << 32)
            entries = entries_of(course, row, int(stays.server[place]))
            events.append((int(stays.begin[place]), 1, number, place, entries))
            if until <= course.plan.end:
                events.append((until, 0, number, place, entries))
    taken: Counter[int] = Counter()
    held: dict[tuple[int, int], list[int]] = {}
    now = most = entries_now = entries_most = without = 0
    for _, kind, number, place, entries in sorted(events, key=lambda each: each[:4]):
        step = 1 if kind else -1
        now, entries_now = now + step, entries_now + step * len(entries)
        most, entries_most = max(most, now), max(entries_most, entries_now)
        if not kind:
            taken.subtract(held.pop((number, place)))
            continue
        places: list[int] = []
        for entry in entries:
            free = [each for each in buckets(hashes.flow_hash(keys, entry), count) if taken[each] < BUCKET]
            if not free:
                break
            places.append(free[0])
            taken[free[0]] += 1
        if len(places) < len(entries):
            taken.subtract(places)
            places, without = [], without + 1
        held[number, place] = places
    return most, entries_most, without


def entries_of(course: Course, row: int, server: int) -> tuple[Flow, ...]:
    flows = course.flows
    client, port = ip_address(flows.addresses[flows.client[row]].tobytes()), int(flows.port[row])
    own = Flow(client, port, flows.endpoint.vip, int(flows.service_port[row]), flows.protocol)
    member = course.cast.members[server] if server != NOBODY else None
    if member is None or member.method != "nat":
        return (own,)
    return own, Flow(member.address, member.port or own.destination_port, client, port, flows.protocol)
