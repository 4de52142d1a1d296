"""All that `vipd simulate` does between its options and its tables."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from vipd.cli.output import short
from vipd.cli.simulation import options, reading, running
from vipd.cli.simulation.words import time_text
from vipd.config.values import printable
from vipd.errors import ConfigError, Problem, WireError
from vipd.model.director import Scheduler
from vipd.simulation import staging
from vipd.simulation.comparison import Verdict, verdict
from vipd.simulation.flows import LeftOut
from vipd.simulation.generate import Duration
from vipd.simulation.report import Report
from vipd.simulation.simulate import Scene
from vipd.simulation.staging import Asked, alike, schedulers

CONFIGURED: Final = "as configured"


@dataclass(frozen=True, slots=True)
class Given:
    """What was asked for about flows."""

    flows: str
    clients: int | None
    rate: float | None
    duration: Duration


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    report: Report
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Result:
    asked: Asked
    source: str
    "Whose flows they are, for people."
    left_out: LeftOut
    configured: Report
    compared: Mapping[Scheduler, Report]
    "Each for every service, all the time."

    @property
    def rows(self) -> list[Row]:
        """What is compared; schedulers that choose alike are one."""
        names: dict[int, list[str]] = {}
        reports = {id(report): report for report in (self.configured, *self.compared.values())}
        for scheduler, report in self.compared.items():
            names.setdefault(id(report), []).append(str(scheduler))
        ours = id(self.configured)
        return [
            Row(" = ".join([*names.get(key, []), *([CONFIGURED] if key == ours else [])]), report, verdict(report))
            for key, report in reports.items()
        ]


def carried_out(asked: Asked, given: Given, wanted: Sequence[Scheduler]) -> Result:
    """ConfigError where flows or changes cannot be had."""
    with _progress() as say:
        say("reading flows" if options.made_up(given.flows) is None else "making up flows")
        scene, left_out, source = _scene(asked, given)
        count = sum(each.count for each in scene.flows)
        if not count:
            raise ConfigError([Problem("", "none of them begins a connection to a service", "--flows")])
        names, scenes = _scenes(scene, wanted)
        total = count * len(scenes)
        reports = running.run(scenes, lambda done: say(f"choosing servers: {min(1.0, done / total):.0%}"))
    found = dict(zip(names, reports, strict=True))
    compared = {each: found[alike(each, scene.situations)] for each in dict.fromkeys(wanted)}
    return Result(asked, source, left_out, found[_in_force(scene)], compared)


def _in_force(scene: Scene) -> Scheduler | None:
    """What all services have all the time; None where they differ."""
    found = {alike(each, scene.situations) for each in schedulers(scene)}
    return found.pop() if len(found) == 1 else None


def _scenes(scene: Scene, wanted: Sequence[Scheduler]) -> tuple[list[Scheduler | None], list[Scene]]:
    """What has to be simulated: no scene twice under two names."""
    ours = _in_force(scene)
    unlike = list(dict.fromkeys([ours, *(alike(each, scene.situations) for each in wanted)]))
    return unlike, [scene if name in (None, ours) else scene.with_scheduler(name) for name in unlike]


def _scene(asked: Asked, given: Given) -> tuple[Scene, LeftOut, str]:
    made_up = options.made_up(given.flows)
    if made_up is not None:
        recipe = made_up.recipe(given.clients, given.rate, given.duration)
        scene, left_out = staging.made_up(asked, recipe)
        law = f"zipf, exponent {recipe.alpha:g}" if made_up.popularity == "zipf" else "uniform"
        often = short(recipe.rate) if recipe.rate >= 100 else f"{recipe.rate:.2g}"
        lasting = f"{time_text(given.duration.mean)} each in the mean ({given.duration.law})"
        source = f"made up ({law}, seed {asked.seed}), {often} a second, {lasting}"
        return scene, left_out, source
    if given.clients is not None:
        options.refuse("--clients", "a file tells whose flows it has; this is for flows that are made up")
    told = reading.read(Path(given.flows), asked)
    rate = given.rate or len(told.gathering) / options.SPAN
    try:
        scene, left_out = staging.read(asked, told.gathering, rate, given.duration)
    except WireError as error:
        raise ConfigError([Problem("", str(error), printable(given.flows, 1000))]) from None
    return scene, left_out, told.note


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """On a terminal, and never into what is printed."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with Console(stderr=True).status("") as status:
        yield status.update
