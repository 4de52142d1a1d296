"""Which cells of LVS's TCP tables a run met, by method and family, and which there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from tests.support.oracle.worlds import FAMILIES
from vipd.spec import Decision, remember, tcp

_METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    "nat": ("input", "output"),
    "dr": ("input_only",),
    "tun": ("input_only",),
    "local": ("input_only",),
}
"By method, the directions that the director sees."
_SEGMENTS: Final = ("SYN", "FIN", "ACK", "RST")
_TOLD: Final = 3
_RULES: Final = (tcp.STATE, tcp.PROLONGED, tcp.UNTOUCHED, remember.MADE)


class Transition(NamedTuple):
    """A cell of the table, which a connection passed."""

    direction: str
    segment: str
    before: str
    method: str
    family: int

    def __str__(self) -> str:
        return f"{self.direction} {self.segment} in {self.before} {self.method}/{self.family}"


def passed(decision: Decision, method: str, family: int) -> Iterator[Transition]:
    """By one packet for, or from, a server of this method."""
    for reason in decision.reasons:
        if reason.rule in _RULES and reason.facts["before"] != tcp.UDP:
            direction, segment, before = (str(reason.facts[name]) for name in Transition._fields[:3])
            yield Transition(direction, segment, before, method, family)


def states(directions: tuple[str, ...]) -> set[str]:
    """That a connection gets into, which a client's packet begins."""
    found, more = {"none"}, {"none"}
    while more:
        after = {
            tcp.NEXT[direction, segment.lower(), state]
            for state in more
            for direction in directions
            for segment in _SEGMENTS
            if (direction, state) != ("output", "none")
        }
        more = after - found
        found |= more
    return found


def reachable() -> Iterator[Transition]:
    for method, directions in _METHODS.items():
        for state in sorted(states(directions)):
            for direction in directions:
                if (direction, state) != ("output", "none"):
                    for segment in _SEGMENTS:
                        for family in FAMILIES:
                            yield Transition(direction, segment, state, method, family)


def missing(met: Mapping[Transition, int]) -> list[str]:
    """Cells of the table that no connection passed, of whatever method and family."""
    there, passed_ = ({each[:3] for each in found} for found in (reachable(), met))
    return sorted(" ".join(cell) for cell in there - passed_)


def report(met: Counter[Transition]) -> str:
    """In some lines: how many of each method's cells were met, and which of them least often."""
    lines = []
    for method in _METHODS:
        cells = sorted((each for each in reachable() if each.method == method), key=lambda each: met[each])
        there = sum(met[each] > 0 for each in cells)
        seldom = ", ".join(f"{each} {met[each]}" for each in cells[:_TOLD])
        lines.append(f"TCP states, {method:22}{there} of {len(cells)} cells; least often: {seldom}")
    return "\n".join(lines)
