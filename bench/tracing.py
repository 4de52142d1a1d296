"""What `vipd trace` costs the packets that it does not ask for: the same program, tracing on and off in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Final

from bench.effort import Effort
from bench.harness import DIRECTOR, NOTHING, XDP_PASS, XDP_TX, MeasureError
from bench.recipe import Traffic
from bench.report import Row, Samples, at_most
from bench.testrun import KNOWN, Bed, bed, fill, not_ours_traffic
from vipd.dataplane.tracing import Tracer, open_tracer
from vipd.model.trace import FRAME_BYTES, Asked

FLOWS: Final = 1024
_FACTOR: Final = 1.05
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
    with bed(effort) as ready, open_tracer(ready.director.dataplane.pins.directory) as tracer:
        for case in (case for case in KNOWN if case.name in _NAMES):
            told(f"tracing beside {case.name}")
            yield from _beside(ready, tracer, case.name, fill(ready, case, FLOWS), XDP_TX, effort)
        told("tracing beside what is not ours")
        yield from _beside(ready, tracer, "not ours", not_ours_traffic(ready), XDP_PASS, effort)


def _beside(bed: Bed, tracer: Tracer, name: str, traffic: Traffic, action: int, effort: Effort) -> Iterator[Row]:
    """All ways to ask and not to ask, in turns; each with the work of a beat before it, which cools the caches."""
    asked: dict[str, Asked | None] = {"off": None} | ASKED
    values: dict[str, list[float]] = {each: [] for each in (NOTHING, *asked)}
    order = list(values)
    for turn in range(effort.rounds + 1):
        bed.race.random.shuffle(order)
        for each in order:
            tracer.start(asked.get(each) or Asked(outcomes=frozenset()))
            if each in (NOTHING, "off"):
                tracer.stop()
            program, ends = (NOTHING, XDP_TX) if each == NOTHING else (DIRECTOR, action)
            took = bed.harness.some(program, traffic, FLOWS, effort.frames, ends)
            if tracer.counts().matched:
                raise MeasureError(f"tracing beside {name}: packets fit {each}, which none should")
            if turn:  # the first warms up
                values[each].append(took)
    base = Samples(tuple(values[NOTHING]))
    off = Samples(tuple(values["off"])).minus(base)
    for each in ASKED:
        on = Samples(tuple(values[each])).minus(base)
        yield at_most(f"tracing for another {each}: {name}", on, off, _FACTOR, "not tracing")
