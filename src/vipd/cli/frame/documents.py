"""What `vipd frame` prints with --json: docs/frame-json.md is made of this. A key that is here stays here."""

from __future__ import annotations

from typing import NotRequired, TypeAlias, TypedDict

from vipd.anatomy.compare import Kind
from vipd.cli.frame.choices import MethodName, Protocol, Way
from vipd.wire.deframer import Fault
from vipd.wire.stretches import Part

Runs: TypeAlias = list[tuple[int, int]]


class Decoded(TypedDict):
    """Of `vipd frame decode`. Each frame stands on a line of text of its own, as soon as it is known."""

    protocol: Protocol
    "As it was asked for."
    frames: list[Frame]
    "In the order in which they came."
    lines: list[Line]
    "What they came on: none where they came bare or from a capture; of Ethernet each burst is one."


class Frame(TypedDict):
    octets: str
    "Whole ones, with the FCS and without what the line had added; hex digits."
    fcs: str
    "By which check it was read: `fcs16`, `fcs32` or `none`."
    complete: bool
    "False where the line ended before the frame did."
    fault: Fault | None
    "Why a receiver would not take it; null: it would."
    line: Place | None
    "Where it was; null where it was on none."
    troubles: list[Trouble]
    "All that is wrong with it. Where this is not empty for some frame, the exit code is 1."
    fields: list[Field]
    "They follow each other without gap or overlap."


class Place(TypedDict):
    number: int
    "Of the line, in `lines`, from 0 on."
    offset: int
    "The frame's first bit on it."
    left_over_bits: int
    "Bits behind its last whole octet."


class Trouble(TypedDict):
    offset: int
    "In bits from the frame's first on."
    text: str


class Field(TypedDict):
    name: str
    offset: int
    "Of its first bit in the frame: an octet's highest bit counts as its first, as RFCs draw it."
    width: int
    "In bits; 0 where it should be, but the frame has ended."
    meaning: str
    "In words; may be empty."
    fault: str
    "What is wrong with it; empty where nothing is."
    value: NotRequired[int | str | None]
    "A number, or octets as hex digits. Not of a field that has fields."
    text: NotRequired[str]
    "The value as people write it. Not of a field that has fields."
    fields: NotRequired[list[Field]]
    "What it is made of."
    line: NotRequired[Runs]
    "Which bits of the line are its own: the first and the last of each run, in the line's order. Only on a line."


class Line(TypedDict):
    bits: int
    "How many it has."
    stretches: list[Stretch]
    "They follow each other without gap or overlap."


class Stretch(TypedDict):
    part: Part
    offset: int
    "Of its first bit on the line."
    bits: str
    "In the order of the line; of a line of octets the highest bit of each first."


class Forwarded(TypedDict):
    """Of `vipd frame forward`."""

    method: MethodName
    over: Way
    "What leads to the server."
    outcome: str
    "A name of [outcomes.md](outcomes.md)."
    meaning: str
    "The outcome in a sentence."
    before: str
    "The frame that came in; hex digits."
    after: str | None
    "What leaves; null where nothing does."
    changes: list[Change]
    "Every field that is not in both alike."
    reasons: list[Reason]
    "In the order in which they decided."


class Change(TypedDict):
    field: str
    kind: Kind
    "What became of it; never `same`."
    before: Side | None
    after: Side | None


class Side(TypedDict):
    offset: int
    "In bits from the frame's first on."
    width: int
    text: str


class Reason(TypedDict):
    rule: str
    "A name of [rules.md](rules.md)."
    text: str
    source: str
    "Where the rule comes from."
