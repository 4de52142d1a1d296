"""What `vipd trace` costs the packets that it does not ask for: the same program, tracing on and off in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from statistics import fmean
from typing import Final, TypeAlias

from bench.effort import Effort
from bench.harness import DIRECTOR, NOTHING, XDP_PASS, XDP_TX, MeasureError
from bench.recipe import Traffic
from bench.report import Row, Samples
from bench.testrun import KNOWN, Bed, bed, fill, not_ours_traffic
from vipd.dataplane.tracing import Tracer, open_tracer
from vipd.model.trace import FRAME_BYTES, Asked

Costs: TypeAlias = dict[str, float]
"Nanoseconds a packet, by what is asked for."

FLOWS: Final = 1024
_LOADS: Final = 8
"Where the kernel puts a program is chance, and moves a short way by some nanoseconds: it is loaded so many times."
_FACTOR: Final = 1.05
_OFF, _NOT_OURS = "off", "not ours"
_NAMES: Final = ("DR", "NAT in", "NAT back", "TUN 4-in-4")
ASKED: Final = {
    "outcome": Asked(outcomes=frozenset({"drop_malformed"})),
    "client": Asked(client=ip_network("203.0.113.0/24")),
    "client's /64": Asked(client=ip_network("2001:db8:1::/64")),
    "client and frames": Asked(client=ip_network("203.0.113.0/24"), frame=FRAME_BYTES),
    "service": Asked(services=frozenset()),
}
"What no packet here fits."


def rows(effort: Effort, told: Callable[[str], None]) -> Iterator[Row]:
    names = [case.name for case in KNOWN if case.name in _NAMES] + [_NOT_OURS]
    loads: dict[str, list[Costs]] = {name: [] for name in names}
    for number in range(_LOADS):
        with bed(effort) as ready, open_tracer(ready.director.dataplane.pins.directory) as tracer:
            rounds = -(-effort.rounds // _LOADS)
            for case in (case for case in KNOWN if case.name in _NAMES):
                told(f"tracing beside {case.name}, load {number + 1} of {_LOADS}")
                traffic = fill(ready, case, FLOWS)
                loads[case.name].append(_beside(ready, tracer, traffic, XDP_TX, rounds, effort.frames))
            told(f"tracing beside what is not ours, load {number + 1} of {_LOADS}")
            traffic = not_ours_traffic(ready)
            loads[_NOT_OURS].append(_beside(ready, tracer, traffic, XDP_PASS, rounds, effort.frames))
    for name in names:
        for each in ASKED:
            yield _row(f"tracing for another {each}: {name}", each, loads[name])


def _beside(bed: Bed, tracer: Tracer, traffic: Traffic, action: int, rounds: int, frames: int) -> Costs:
    """All ways to ask and not to ask, in turns; each with the work of a beat before it, which cools the caches."""
    asked: dict[str, Asked | None] = {_OFF: None} | ASKED
    values: dict[str, list[float]] = {each: [] for each in (NOTHING, *asked)}
    order = list(values)
    for turn in range(rounds + 1):
        bed.race.random.shuffle(order)
        for each in order:
            tracer.start(asked.get(each) or Asked(outcomes=frozenset()))
            if each in (NOTHING, _OFF):
                tracer.stop()
            program, ends = (NOTHING, XDP_TX) if each == NOTHING else (DIRECTOR, action)
            took = bed.harness.some(program, traffic, FLOWS, frames, ends)
            if tracer.counts().matched:
                raise MeasureError(f"packets fit what another {each} was asked for, which none should")
            if turn:  # the first warms up
                values[each].append(took)
    base = Samples(tuple(values[NOTHING]))
    return {each: Samples(tuple(values[each])).minus(base).middle for each in asked}


def _row(name: str, each: str, loads: list[Costs]) -> Row:
    """By means, since a nanosecond more is the goal missed and the kernel tells no less than one."""
    on, off = Samples(tuple(costs[each] for costs in loads)), fmean(costs[_OFF] for costs in loads)
    value = fmean(on.values)
    ratio = value / off if off > 0 else None
    met = ratio is not None and ratio <= _FACTOR
    goal = f"<= {_FACTOR:g} x not tracing"
    return Row(name, round(value, 3), "ns/packet", round(off, 3), ratio, goal, met, on.spread, "not tracing")
