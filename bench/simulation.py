"""`vipd simulate`: how many flows a second one processor takes through a fleet, by each kind of scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Final

from bench.effort import QUICK, Effort
from bench.report import Row, Samples, at_least, plain
from vipd.config import loads
from vipd.model.director import Scheduler
from vipd.simulation.generate import Duration, Popularity, Recipe
from vipd.simulation.simulate import simulate
from vipd.simulation.staging import Asked, made_up

DIRECTORS: Final = 10
SERVERS: Final = 20
FLOWS: Final = 1_000_000
FEW: Final = 100_000
GOAL: Final = 10_000_000 / 60
"Flows a second: ten million in a minute."
_NAMES: Final = {
    Scheduler.WRR: "by turns (rr, wrr)",
    Scheduler.MH: "by hash (sh, mh)",
    Scheduler.WLC: "by counts (lc, wlc)",
}


def asked() -> Asked:
    """Ten directors; a server and a director go."""
    servers = ", ".join(f"10.0.0.{number}" for number in range(1, SERVERS + 1))
    text = (
        "interfaces: [eth0]\nservices:\n  web:\n    listen: 192.0.2.10:80/tcp\n    method: dr\n"
        f"    servers: [{servers}]\nsecret_file: /secret\n"
    )
    return Asked(loads(text).director, ("remove web 10.0.0.7", "remove director 3"), DIRECTORS)


def rows(effort: Effort, told: Callable[[str], None]) -> Iterator[Row]:
    count = FEW if effort is QUICK else FLOWS
    recipe = Recipe(count, count // 10, count / 600, Duration(60.0), Popularity.ZIPF)
    rates: dict[Scheduler | None, list[float]] = {name: [] for name in (None, *_NAMES)}
    for _ in range(effort.turns):
        told("simulated flows")
        start = perf_counter()
        scene, _ = made_up(asked(), recipe)
        rates[None].append(count / (perf_counter() - start))
        for scheduler in _NAMES:
            one = scene.with_scheduler(scheduler)
            start = perf_counter()
            report = simulate(one)
            rates[scheduler].append(report.flows / (perf_counter() - start))
            if any(act.refused for endpoint in report.endpoints for act in endpoint.acts):
                raise AssertionError("every flow was to get a server")
    yield plain("simulate: flows made up", Samples(tuple(rates[None])), "flows/s")
    for scheduler, name in _NAMES.items():
        what = f"simulate: {DIRECTORS} directors, {name}"
        yield at_least(what, Samples(tuple(rates[scheduler])), round(GOAL), "flows/s")
