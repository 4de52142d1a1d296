"""The whole simulation: situations, moments and flows in, a report out. Pure; the same in, the same out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vipd.model.director import Scheduler, table_buckets, with_port
from vipd.simulation.casting import Act, Cast, casts
from vipd.simulation.changes import Situation
from vipd.simulation.collisions import collisions
from vipd.simulation.counting import Load, elsewhere, load, open_at
from vipd.simulation.course import Course, Plan, Tally
from vipd.simulation.flows import Flows
from vipd.simulation.hashing import Keys, Words, chunks, flow_hashes
from vipd.simulation.lifetimes import Lifetimes
from vipd.simulation.report import ActReport, Doubts, Effect, EndpointReport, Imbalance, Report, ServerLoad
from vipd.simulation.table import table_uses


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """All that is simulated."""

    situations: tuple[Situation, ...]
    "The first, and one after each change."
    changes: tuple[str, ...]
    "As they were asked for."
    moments: tuple[int, ...]
    "When each situation begins, in ms; the first 0."
    flows: tuple[Flows, ...]
    "One for each endpoint, in the order of the configuration."
    secret_of: Callable[[int], bytes]
    "A director's, by its number."
    router: tuple[int, ...]
    "The key of the router's hash: 11 words."
    looks: int = 0
    "How often, in all, it is looked how many connections are open; evenly spread."

    def with_scheduler(self, scheduler: Scheduler) -> Scene:
        """Every service by the same one, all the time."""
        return replace(self, situations=tuple(_with_scheduler(each, scheduler) for each in self.situations))

    @property
    def end(self) -> int:
        starts = [int(flows.start[-1]) for flows in self.flows if flows.count]
        return max([*starts, *self.moments])

    def times(self, number: int) -> NDArray[np.int64]:
        """Of looks while a situation is in force, in ms."""
        every = np.linspace(0, self.end, self.looks, dtype=np.int64)
        border = [*self.moments, self.end + 1]
        return every[(every >= border[number]) & (every < border[number + 1])]


def _with_scheduler(situation: Situation, scheduler: Scheduler) -> Situation:
    services = tuple(replace(each, scheduler=scheduler) for each in situation.director.services)
    return replace(situation, director=replace(situation.director, services=services))


def simulate(scene: Scene, told: Callable[[str, int], None] = lambda _what, _count: None) -> Report:
    """`told` hears what is being done, and how many more flows it was done for."""
    members = {number for each in scene.situations for number in each.fleet.members}
    plan = Plan(
        scene.moments,
        scene.end,
        tuple(each.fleet for each in scene.situations),
        {number: Keys.of(scene.secret_of(number)) for number in members},
        Lifetimes.of(scene.situations[0].director.timeouts),
    )
    told("tables", 0)
    courses: list[Course] = []
    reports: list[EndpointReport] = []
    for flows, cast in zip(scene.flows, casts(scene.situations, scene.secret_of), strict=True):
        spread = _spread(scene, flows) if any(len(each.members) > 1 for each in plan.fleets) else None
        course = Course(flows, cast, plan, spread)
        courses.append(course)
        reports.append(_endpoint(scene, course, told))
    told("connection tables", 0)
    uses = table_uses(courses, table_buckets(scene.situations[0].director.connections))
    doubts = Doubts(
        sum(course.stale.count for course in courses),
        collisions(courses),
        sum(use.without_room for use in uses),
    )
    clients = _clients(scene.flows)
    flows_of_all = sum(course.flows.count for course in courses)
    return Report(flows_of_all, clients, scene.end / 1000, tuple(reports), tuple(uses), doubts)


def _spread(scene: Scene, flows: Flows) -> Words:
    """The router's hash of each flow: of both addresses, both ports and the protocol."""
    hashed = np.empty(flows.count, np.uint32)
    for part in chunks(flows.count):
        rows = np.arange(part.start, part.stop)
        hashed[part] = flow_hashes(
            scene.router, flows.sources(rows), flows.port[part], flows.vip, flows.service_port[part], flows.protocol
        )
    return hashed


def _clients(every: Iterable[Flows]) -> int:
    """Flows to different endpoints may be of the same ones."""
    seen: dict[int, NDArray[np.bool_]] = {}
    for flows in every:
        seen.setdefault(id(flows.addresses), np.zeros(len(flows.addresses), np.bool_))[flows.client] = True
    return sum(int(of.sum()) for of in seen.values())


def _endpoint(scene: Scene, course: Course, told: Callable[[str, int], None]) -> EndpointReport:
    cast = course.cast
    acts = []
    for number, tally, rows in course.run(lambda count: told(f"{cast.service}: choosing servers", count)):
        told(f"{cast.service}: counting", 0)
        acts.append(_act(scene, course, number, load(course, number, rows), tally))
    return EndpointReport(cast.service, str(cast.endpoint), tuple(acts))


def _act(scene: Scene, course: Course, number: int, found: Load, tally: Tally | None) -> ActReport:
    cast, act = course.cast, course.cast.acts[number]
    times = scene.times(number)
    courses = open_at(course, number, times)
    weights = np.array(act.weights, float)
    begun = course.first[number + 1] - course.first[number]
    made = int(found.made.sum())
    again = tally.rescheduled + tally.anew if tally else 0
    return ActReport(
        scene.changes[number - 1] if number else "",
        scene.moments[number] / 1000,
        str(act.scheduler),
        tuple(_servers(cast, act, found, courses, number)),
        made,
        begun + again - made,
        Imbalance(*(_imbalance(counts, weights) for counts in (found.made, found.open, found.peak))),
        _effect(course, number, tally) if tally else None,
        tuple((times / 1000).tolist()),
    )


def _servers(cast: Cast, act: Act, found: Load, courses: NDArray[np.int64], number: int) -> list[ServerLoad]:
    total = max(1, int(found.made.sum()))
    ever = [any(each.present[place] for each in cast.acts[: number + 1]) for place in range(len(cast.members))]
    return [
        ServerLoad(
            with_port(member.address, member.port),
            act.weights[place],
            act.present[place],
            float(act.shares[place]),
            int(found.made[place]) / total,
            int(found.made[place]),
            int(found.open[place]),
            int(found.peak[place]),
            tuple(courses[place].tolist()),
        )
        for place, member in enumerate(cast.members)
        if ever[place]
    ]


def _imbalance(counts: NDArray[np.int64], weights: NDArray[np.float64]) -> float:
    """Servers that should get none do not count."""
    mine = weights > 0
    total = counts[mine].sum()
    if not total:
        return 0.0
    return float((counts[mine] / weights[mine]).max() / (total / weights[mine].sum()))


def _effect(course: Course, number: int, tally: Tally) -> Effect:
    before, after = course.cast.acts[number - 1], course.cast.acts[number]
    moved = elsewhere(course, number)
    share = None if moved is None else moved[0] / max(1, moved[1])
    least = float(np.maximum(before.shares - after.shares, 0).sum())
    return Effect(tally, tally.gone, share, least)
