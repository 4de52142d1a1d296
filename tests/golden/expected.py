"""What vipd has to be seen to do: what IPVS did, less the differences that are meant."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from tests.golden.changes import Here
from tests.golden.data import Recorded, Seen
from tests.golden.difference import Difference
from tests.golden.differences import CHAPTERS


def differences() -> Iterator[Difference]:
    for chapter in CHAPTERS:
        yield from chapter.differences


def expected(recorded: Recorded) -> tuple[tuple[Seen, ...], set[tuple[str, str]]]:
    """And the entries that made a difference, each with its pattern."""
    seen, effective = list(recorded.seen), set[tuple[str, str]]()
    for difference in differences():
        for pattern, index in _matches(difference, recorded):
            changed = difference.change(Here(recorded.case, index, seen))
            if changed != seen[index]:
                effective.add((difference.what, pattern))
                seen[index] = changed
    return tuple(seen), effective


def _matches(difference: Difference, recorded: Recorded) -> Iterator[tuple[str, int]]:
    """The first pattern that fits each step."""
    for index, step in enumerate(recorded.case.steps):
        name = f"{recorded.case.name}#{step.label}"
        pattern = next((each for each in difference.where if fnmatchcase(name, each)), None)
        if pattern is not None:
            yield pattern, index
