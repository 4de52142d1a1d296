"""Every frame of a corpus cut at every length, and with every bit flipped: both do the same, and touch nothing else."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from tests.support.oracle.corpus import Case, before
from tests.support.oracle.network import has_ethernet
from tests.support.oracle.pair import Disagreement, Pair, action, differences, pairs, told, wrong_end
from tests.support.oracle.plane import DIRECTOR
from tests.support.oracle.rewind import Moment
from tests.support.oracle.runner import Runner
from tests.support.oracle.surroundings import Surroundings, surroundings
from tests.support.wires import Wires
from vipd.dataplane import _abi
from vipd.dataplane.links import ETHERNET, POINT_TO_POINT
from vipd.dataplane.program import Run
from vipd.spec import Decision

FILLINGS: Final = (b"\xff" * 8, bytes.fromhex("4500 0800 86dd 2a11"))
"Ones; and what could be taken for the beginning of a header."
LEAST: Final = 14
"Bytes of the shortest frame that the kernel runs a program on."
BUCKETS: Final = 16
_ENOUGH: Final = 20
_OUTCOMES: Final = [kind.name.lower() for kind in _abi.Outcome]


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
        """The frame alone, then with each filling around it; its outcome. Raises Disagreement.

        Where the looking is done, what the director returned is not known: with ones around, it runs once more.
        """
        decision = self.alone(port, frame)
        program, ingress = ETHERNET if has_ethernet(port) else POINT_TO_POINT, self._pair.ports[port].ifindex
        ones = self._around.returned(frame, ingress, program, FILLINGS[0])
        self._compare(frame, decision, ingress, ones, FILLINGS[0])
        for fill in FILLINGS:
            there = self._around.run(frame, ingress, program, fill)
            run = replace(there.run, action=action(decision, ingress))
            self._compare(frame, decision, ingress, run, fill, there.damage(fill, program))
        return decision.outcome

    def _compare(
        self, frame: bytes, decision: Decision, ingress: int, run: Run, fill: bytes, damage: Iterable[str] = ()
    ) -> None:
        wrong = [*differences(self._pair, decision, ingress, run), *damage]
        if wrong:
            raise Disagreement(f"{decision.outcome}, with {fill.hex()} around it", wrong, told(decision, frame))
        self._moment.again(decision.draft)

    def alone(self, port: str, frame: bytes) -> Decision:
        """What the frame ends in, with all the room there is. Raises Disagreement."""
        decision = self._pair.send(port, frame)
        self._moment.again(decision.draft)
        return decision

    def cramped(self, port: str, frame: bytes, decision: Decision, room: int) -> tuple[str, list[str]]:
        """The outcome with so much room before the frame, and what else is not as in `decision`."""
        program, ingress = ETHERNET if has_ethernet(port) else POINT_TO_POINT, self._pair.ports[port].ifindex
        memory = self._pair.plane.memory
        before = memory["outcomes"].copy()
        run = self._around.cramped(frame, ingress, program, room)
        [number] = np.flatnonzero((memory["outcomes"] != before).any(axis=1)).tolist()
        # This run is not compared; what it counted, the images count too.
        self._pair.images.restore({name: memory[name].tobytes() for name in ("outcomes", "events")}, ())
        self._moment.again(decision.draft)
        return _OUTCOMES[number], list(wrong_end(decision, ingress, run))


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
