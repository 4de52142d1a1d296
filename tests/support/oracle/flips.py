"""Every frame of a corpus cut at every length, and with every bit flipped: both do the same, and touch nothing else."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tests.support.oracle.corpus import Case, before
from tests.support.oracle.network import has_ethernet
from tests.support.oracle.pair import Disagreement, Pair, action, differences, pairs, told
from tests.support.oracle.plane import DIRECTOR
from tests.support.oracle.rewind import Moment
from tests.support.oracle.runner import Runner
from tests.support.oracle.surroundings import Surroundings, surroundings
from tests.support.wires import Wires
from vipd.dataplane.links import ETHERNET, POINT_TO_POINT
from vipd.spec import Decision

FILLINGS: Final = (b"\xff" * 8, bytes.fromhex("4500 0800 86dd 2a11"))
"Ones; and what could be taken for the beginning of a header."
LEAST: Final = 14
"Bytes of the shortest frame that the kernel runs a program on."
BUCKETS: Final = 16
_ENOUGH: Final = 20


@dataclass(slots=True)
class Met:
    """How many frames of which kind were sent, what they ended in, and what was wrong."""

    done: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __add__(self, other: Met) -> Met:
        return Met(self.done + other.done, self.outcomes + other.outcomes, self.wrong + other.wrong)


class Bench:
    """A pair that has seen what the corpus takes for granted; every frame comes at the same moment."""

    def __init__(self, pair: Pair, around: Surroundings) -> None:
        self._pair, self._around = pair, around
        runner = Runner(pair)
        runner.clear()
        for step in before():
            runner.run(step)
        self._moment = Moment(pair)

    def check(self, port: str, frame: bytes) -> str:
        """The frame alone, then with each filling around it; its outcome. Raises Disagreement."""
        decision = self._pair.send(port, frame)
        self._moment.again(decision.draft)
        for fill in FILLINGS:
            self._surrounded(port, frame, decision, fill)
            self._moment.again(decision.draft)
        return decision.outcome

    def _surrounded(self, port: str, frame: bytes, decision: Decision, fill: bytes) -> None:
        program = ETHERNET if has_ethernet(port) else POINT_TO_POINT
        ingress = self._pair.ports[port].ifindex
        there = self._around.run(frame, ingress, program, fill)
        # What the director returned is not known here; alone it was right.
        run = replace(there.run, action=action(decision, ingress))
        wrong = [*differences(self._pair, decision, ingress, run), *there.damage(fill, program)]
        if wrong:
            raise Disagreement(f"{decision.outcome}, with {fill.hex()} around it", wrong, told(decision, frame))


def variants(case: Case, share: float, choose: random.Random) -> Iterator[tuple[str, bytes]]:
    """What is done to a frame, and the frame: whole, cut at every length, and that share of all flips."""
    frame = case.frame
    yield "whole", frame
    for length in range(LEAST, len(frame)):
        yield "cut", frame[:length]
    bits = range(8 * len(frame))
    for bit in bits if share >= 1 else sorted(choose.sample(bits, round(share * len(bits)))):
        flipped = bytearray(frame)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        yield "flipped", bytes(flipped)


def run(cases: Sequence[Case], share: float, seed: int, program: Path = DIRECTOR) -> Met:
    """All variants of these cases. Ends with the twentieth that is wrong."""
    met, wires, choose = Met(), Wires(), random.Random(seed)
    try:
        with wires.lined(), pairs(wires, BUCKETS, program) as pair, surroundings(pair.plane) as around:
            bench = Bench(pair, around)
            for case in cases:
                for what, frame in variants(case, share, choose):
                    met.done[what] += 1
                    try:
                        met.outcomes[bench.check(case.port, frame)] += 1
                    except Disagreement as error:
                        met.wrong.append(f"{case.name}, {what}: {error}")
                        if len(met.wrong) == _ENOUGH:
                            return met
                        # What the program did may be anything: begin again.
                        bench = Bench(pair, around)
        return met
    finally:
        wires.close()
