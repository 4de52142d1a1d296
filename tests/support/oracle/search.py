"""A search for a disagreement by conversations that hypothesis makes up; as many at once as there are processors."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.oracle.choices import Choices
from tests.support.oracle.minimal import minimal
from tests.support.oracle.pair import Disagreement, pairs
from tests.support.oracle.plane import DIRECTOR
from tests.support.oracle.runner import Cell, Runner, replay
from tests.support.oracle.script import Script, Step
from tests.support.oracle.session import Session
from tests.support.oracle.transitions import Transition
from tests.support.wires import Wires

BUCKETS: Final = (16, 3, 16, 1)
"Tables of 256 entries, of 48 and of 16, which are full soon; they take turns."
BATCH: Final = 20
"Conversations with one seed of hypothesis: so few that a slow machine has some with every table too."
WORLD, STEPS, STEP = 64, 60, 24
"Bytes that a configuration is made from; steps of a conversation, and bytes of each. One draw costs least."


@dataclass(slots=True)
class Found:
    """What a search met, and the script that shows a disagreement, if it found one."""

    packets: int = 0
    met: Counter[Cell] = field(default_factory=Counter)
    passed: Counter[Transition] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    script: Script | None = None
    told: str = ""

    def __add__(self, other: Found) -> Found:
        return Found(
            self.packets + other.packets,
            self.met + other.met,
            self.passed + other.passed,
            self.events + other.events,
            self.script or other.script,
            self.told or other.told,
        )


def search(seed: int, seconds: float, program: Path = DIRECTOR) -> Found:
    """Ends at the first disagreement. The same seed makes up the same conversations; `program` may be a mutant."""
    end, number = time.monotonic() + seconds, 0
    with wired(program) as runners:
        wrong = None
        # Ctrl-C reaches every process; the first of them says that it was pressed.
        with suppress(KeyboardInterrupt):
            while wrong is None and time.monotonic() < end:
                buckets = BUCKETS[number % len(BUCKETS)]
                wrong = converse(runners[buckets], buckets, seed + number)
                number += 1
        return _found(runners, wrong)


@contextmanager
def wired(program: Path = DIRECTOR) -> Iterator[dict[int, Runner]]:
    """A runner for each size of table, in a network of their own."""
    wires = Wires()
    try:
        with wires.lined(), ExitStack() as stack:
            yield {buckets: Runner(stack.enter_context(pairs(wires, buckets, program))) for buckets in set(BUCKETS)}
    finally:
        wires.close()


def _found(runners: dict[int, Runner], wrong: tuple[Script, str] | None) -> Found:
    made = Found(script=wrong[0] if wrong else None, told=wrong[1] if wrong else "")
    for runner in runners.values():
        made += Found(runner.packets, runner.met, runner.passed, runner.events)
    return made


def converse(runner: Runner, buckets: int, seed: int) -> tuple[Script, str] | None:
    """A batch of conversations; a disagreement as the smallest script that shows it, and in words."""
    try:
        batch(runner, seed)
    except Disagreement as error:
        steps = minimal(runner.steps, lambda few: disagreement(runner, buckets, few) is not None)
        smallest = disagreement(runner, buckets, steps) or error
        return Script(smallest.about, buckets, tuple(steps)), str(smallest)
    finally:
        # The next runner works between the same wires.
        runner.clear()
    return None


def batch(runner: Runner, seed: int, count: int = BATCH) -> None:
    """So many conversations; raises the first Disagreement, with the steps that led there in the runner."""

    @hypothesis.seed(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(min_size=WORLD + STEPS * STEP, max_size=WORLD + STEPS * STEP))
    def conversation(data: bytes) -> None:
        runner.clear()
        session = Session(runner, Choices(data[:WORLD]))
        for at in range(WORLD, len(data), STEP):
            session.step(Choices(data[at : at + STEP]))
        runner.finish()

    conversation()


def disagreement(runner: Runner, buckets: int, steps: Sequence[Step]) -> Disagreement | None:
    try:
        replay(runner, Script("", buckets, steps))
    except Disagreement as error:
        return error
    return None
