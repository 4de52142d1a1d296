"""Defects that somebody thought of, one for each stage of the data plane, kept as text to be replaced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from tests.support.mutants.population import HEADERS, ROOT

DEFECTS: Final = ROOT / "tests" / "spec" / "defects.yaml"


@dataclass(frozen=True, slots=True)
class Defect:
    name: str
    stage: str
    file: str
    was: str
    now: str

    @property
    def text(self) -> str:
        """Of the whole file, with the defect. Raises ValueError where it cannot be planted any more."""
        text = (HEADERS / self.file).read_text()
        if text.count(self.was) != 1:
            raise ValueError(
                f"{self.name}: {self.file} has {text.count(self.was)} places that read {self.was!r}, not 1"
            )
        return text.replace(self.was, self.now)


def defects(path: Path = DEFECTS) -> list[Defect]:
    return [Defect(**entry) for entry in yaml.safe_load(path.read_text())]


def found_table(found: Mapping[Defect, tuple[float, str]]) -> str:
    """For docs/specification.md: what was planted, and after how many seconds of looking it was found, by what."""
    lines = ["| stage | defect | found after | by |", "|---|---|---|---|"]
    for defect, (seconds, told) in found.items():
        after = f"{seconds:g} s" if told else "NEVER"
        lines.append(f"| {defect.stage} | {defect.name} | {after} | {told.split(',')[0]} |")
    return "\n".join(lines)
