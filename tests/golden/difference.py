"""What the table of differences is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.golden.changes import Change


@dataclass(frozen=True, slots=True)
class Difference:
    what: str
    where: tuple[str, ...]
    "Patterns of CASE#STEP."
    lvs: str
    vipd: str
    why: str
    change: Change
    "From what IPVS was seen to do to what vipd has to do."


@dataclass(frozen=True, slots=True)
class Chapter:
    title: str
    differences: Sequence[Difference]
