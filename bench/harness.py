"""The harness of bpf/bench_testrun.bpf.c: feeds a program with frames of many flows and times it."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import Final

from bench.recipe import Traffic
from bench.report import Samples
from bench.rig import Link
from vipd.dataplane.program import Object, Program, Run
from vipd.lab.namespace import inside

OBJECT: Final = Path("build/bpf/bench_testrun.bpf.o")
XDP_PASS: Final = 2
XDP_TX: Final = 3
NOTHING: Final = "nothing"
DIRECTOR: Final = "director"
_FLOORS: Final = (NOTHING, "swap", "hash", "hash_ip4ip4", "hash_ip6ip6", "insert", "forget")
_FLOOR_SERVERS: Final = 16


class MeasureError(Exception):
    """The program did something else than what was to be measured."""


def u32(number: int) -> bytes:
    return number.to_bytes(4, "little")


@dataclass(slots=True)
class Harness:
    """Programs of both objects, run as if the frames came in by `link`."""

    objects: Object
    link: Link
    numbers: dict[str, int] = field(default_factory=dict)
    _cursors: dict[tuple[str, int], int] = field(default_factory=dict)

    def prepare(self, director: Program) -> None:
        for name in _FLOORS:
            self._enter(name, self.objects.programs[name])
        self._enter(DIRECTOR, director)
        source = ip_address("::ffff:172.16.0.1").packed
        for number in range(1, _FLOOR_SERVERS + 1):
            server = ip_address(f"::ffff:172.31.1.{number}").packed
            self.objects.maps["floor_servers"].update(u32(number), server + source + bytes(12))

    def _enter(self, name: str, program: Program) -> None:
        self.numbers[name] = len(self.numbers)
        self.objects.maps["programs"].update(u32(self.numbers[name]), u32(program.fd))

    def _run(self, program: str, traffic: Traffic, flows: int, cursor: int, frames: int, scattered: bool) -> Run:
        recipe = traffic.recipe(flows, scattered=scattered)
        recipe.program, recipe.cursor = self.numbers[program], cursor
        self.objects.maps["recipes"].update(u32(0), bytes(recipe))
        with inside(self.link.namespace):
            return self.objects.programs["harness"].run(bytes(traffic.length), repeat=frames, ifindex=self.link.ifindex)

    def each(self, program: str, traffic: Traffic, flows: int) -> Run:
        """Every flow once, in order."""
        ran = self._run(program, traffic, flows, 0, flows, scattered=False)
        if ran.action != XDP_TX:
            raise MeasureError(f"{program} ended the last of {flows} flows with XDP action {ran.action}")
        return ran

    def some(self, program: str, traffic: Traffic, flows: int, frames: int, action: int = XDP_TX) -> float:
        """Nanoseconds a frame, over flows in a scattered order that goes on from call to call.

        Where one call sees every flow many times, a first pass fills the caches, unmeasured:
        what ran before has emptied them.
        """
        if flows < frames:
            self._run(program, traffic, flows, 0, 2 * flows, scattered=True)
        cursor = self._cursors.get((program, flows), 0)
        self._cursors[program, flows] = (cursor + frames) & 0xFFFFFFFF
        ran = self._run(program, traffic, flows, cursor, frames, scattered=True)
        if ran.action != action:
            raise MeasureError(f"{program} ended a frame with XDP action {ran.action}, not {action}")
        return float(ran.duration)

    def again(self, program: str, traffic: Traffic, flows: int, frames: int, after: str) -> None:
        """The frames that `after` had last, in the same order."""
        cursor = (self._cursors[after, flows] - frames) & 0xFFFFFFFF
        self._run(program, traffic, flows, cursor, frames, scattered=True)


@dataclass(slots=True)
class Race:
    """Programs timed in turn, in rounds of a new order each, with the harness alone among them."""

    harness: Harness
    rounds: int
    frames: int
    random: Random = field(default_factory=lambda: Random(1))

    def run(self, programs: dict[str, int], traffic: Traffic, flows: int) -> dict[str, Samples]:
        """Net nanoseconds a frame of every program; the value is the XDP action to expect."""
        runners = {NOTHING: XDP_TX} | programs
        order = list(runners)
        values: dict[str, list[float]] = {name: [] for name in runners}
        for name in order:
            self.harness.some(name, traffic, flows, self.frames, runners[name])
        for _ in range(self.rounds):
            self.random.shuffle(order)
            for name in order:
                values[name].append(self.harness.some(name, traffic, flows, self.frames, runners[name]))
        samples = {name: Samples(tuple(of)) for name, of in values.items()}
        return {name: samples[name].minus(samples[NOTHING]) for name in programs}
