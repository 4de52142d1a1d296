"""What is sent to a director, and what came out of it: values, and their form in a file.

A case is a few steps, one after the other, of one client. A step puts a frame on a wire or
changes the configuration; what was seen after it is the frames that came out, the connection
as the director then has it, and the counts of its server where the case has a service alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("ipvs.json")
OUT: Final = "out0"
"The wire to the clients."
INNER: Final = "in0"
"The wire to the real servers."


FILLER: Final = b"to whom "
"What large packets are full of; in the file, [n] stands for n times these eight bytes."
_RUN: Final = re.compile(f"(?:{FILLER.hex()}){{3,}}")


@dataclass(frozen=True, slots=True)
class Frame:
    wire: str
    raw: bytes

    def __str__(self) -> str:
        return f"{self.wire} {_RUN.sub(lambda run: f'[{len(run[0]) // 16}]', self.raw.hex())}"

    @classmethod
    def read(cls, text: str) -> Frame:
        wire, _, raw = text.partition(" ")
        return cls(wire, bytes.fromhex(re.sub(r"\[(\d+)\]", lambda run: FILLER.hex() * int(run[1]), raw)))


@dataclass(frozen=True, slots=True)
class Action:
    """`set SYSCTL VALUE`, of IPVS alone, or `VERB SERVICE`, of Service.after; undone at the case's end."""

    what: str

    def __str__(self) -> str:
        return f"! {self.what}"


@dataclass(frozen=True, slots=True)
class Step:
    label: str
    does: Frame | Action


@dataclass(frozen=True, slots=True)
class Seen:
    frames: tuple[Frame, ...] = ()
    connection: str = ""
    "State, seconds until it expires in tens, server's port; empty: none is known."
    counts: str = ""
    "Active and inactive connections."

    def lines(self) -> list[str]:
        """For those who compare by eye."""
        return [*map(str, self.frames), self.connection, self.counts]


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    service: str
    alone: bool
    "Nobody else uses the service: its counts tell something."
    port: int
    "The client's: no two cases share one."
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    case: Case
    seen: tuple[Seen, ...]


@dataclass(frozen=True, slots=True)
class Goldens:
    made_by: dict[str, Any]
    "Kernel, tools, settings."
    cases: tuple[Recorded, ...]


def dump(goldens: Goldens) -> str:
    """One line a step, so that a difference reads as one."""
    head = json.dumps(goldens.made_by, indent=1)[1:-2]
    cases = ",\n".join(_case_text(each) for each in goldens.cases)
    return f'{{{head},\n "cases": {{\n{cases}\n}}}}\n'


def _case_text(recorded: Recorded) -> str:
    case = recorded.case
    steps = ",\n".join(
        "   "
        + json.dumps([step.label, str(step.does), [str(frame) for frame in seen.frames], seen.connection, seen.counts])
        for step, seen in zip(case.steps, recorded.seen, strict=True)
    )
    return f"  {json.dumps(case.name)}: [{json.dumps(case.service)}, {json.dumps(case.alone)}, {case.port},\n{steps}]"


def load(path: Path = FILE) -> Goldens:
    document = json.loads(path.read_text())
    cases = document.pop("cases")
    return Goldens(document, tuple(_recorded(name, *rows) for name, rows in cases.items()))


def _recorded(name: str, service: str, alone: bool, port: int, *rows: list[Any]) -> Recorded:
    steps = tuple(Step(label, _does(does)) for label, does, *_ in rows)
    seen = tuple(Seen(_frames(frames), connection, counts) for _, _, frames, connection, counts in rows)
    return Recorded(Case(name, service, alone, port, steps), seen)


def _does(text: str) -> Frame | Action:
    return Action(text.removeprefix("! ")) if text.startswith("! ") else Frame.read(text)


def _frames(texts: Iterable[str]) -> tuple[Frame, ...]:
    return tuple(map(Frame.read, texts))
