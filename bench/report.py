"""Figures: what they are, how they are summed up, and how they are shown. Measures nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median, quantiles

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Samples:
    """The same thing measured again and again."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def middle(self) -> float:
        """The mean of the middle half: as deaf to outliers as the median, finer where a clock tells whole numbers."""
        ordered, cut = sorted(self.values), len(self.values) // 4
        return fmean(ordered[cut : len(ordered) - cut])

    @property
    def spread(self) -> float:
        """Half of what lies between the quartiles."""
        if len(self.values) < 2:
            return 0.0
        low, _, high = quantiles(self.values, n=4, method="inclusive")
        return (high - low) / 2

    def minus(self, base: Samples) -> Samples:
        """Net of what was measured in the same rounds."""
        return Samples(tuple(mine - its for mine, its in zip(self.values, base.values, strict=True)))


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `baseline` is what it is held against, `ratio` value / baseline."""

    name: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    goal: str = ""
    "As people read it; empty where a figure is only reported."
    met: bool | None = None
    spread: float | None = None
    against: str = ""
    "What the baseline is."


def at_most(name: str, value: Samples, baseline: Samples, factor: float, against: str, unit: str = "ns/packet") -> Row:
    """A cost that may be `factor` times the baseline's."""
    ratio = value.median / baseline.median if baseline.median > 0 else None
    goal = f"<= {factor:.4g} x {against}"
    met = ratio is not None and ratio <= factor
    return Row(name, round(value.median, 3), unit, round(baseline.median, 3), ratio, goal, met, value.spread, against)


def ahead_of(name: str, value: Samples, baseline: Samples, against: str, unit: str) -> Row:
    """A rate that must be above the baseline's."""
    ratio = value.median / baseline.median if baseline.median > 0 else None
    met = ratio is not None and ratio > 1
    return Row(
        name, round(value.median, 3), unit, round(baseline.median, 3), ratio, f"> {against}", met, value.spread, against
    )


def at_least(name: str, value: Samples, goal: float, unit: str) -> Row:
    """A rate that has a goal of its own."""
    met = value.median >= goal
    return Row(name, round(value.median, 3), unit, goal=f">= {goal:g} {unit}", met=met, spread=value.spread)


def beside(name: str, value: Samples, baseline: Samples, against: str, unit: str) -> Row:
    """A figure beside another, without a goal."""
    ratio = value.median / baseline.median if baseline.median > 0 else None
    return Row(name, round(value.median, 3), unit, round(baseline.median, 3), ratio, "", None, value.spread, against)


def plain(name: str, value: Samples, unit: str = "ns/packet") -> Row:
    """A figure without a goal: a floor, another balancer."""
    return Row(name, round(value.median, 3), unit, spread=value.spread)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def table(rows: Sequence[Row]) -> Table:
    drawn = Table(title="vipd bench", title_justify="left")
    for heading in ("name", "value", "±", "unit", "baseline", "ratio", "goal", "met"):
        drawn.add_column(heading, justify="right" if heading in {"value", "±", "baseline", "ratio"} else "left")
    for row in rows:
        met = "" if row.met is None else ("[green]yes[/]" if row.met else "[red]no[/]")
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        figures = (_number(row.value), _number(row.spread), row.unit, _number(row.baseline), ratio)
        drawn.add_row(row.name, *figures, row.goal, met)
    return drawn


def chart(rows: Sequence[Row], width: int = 48) -> str:
    """A bar for each ratio that has a goal; `|` stands where the baseline is."""
    shown = [row for row in rows if row.ratio is not None and row.goal]
    if not shown:
        return ""
    name_width = max(len(row.name) for row in shown)
    scale = max(2.0, *(row.ratio or 0.0 for row in shown))
    mark = round(width / scale)
    lines = []
    for row in shown:
        length = max(1, round(width * (row.ratio or 0.0) / scale))
        bar = ("█" * length).ljust(width)
        bar = bar[:mark] + ("|" if bar[mark : mark + 1] == " " else "┃") + bar[mark + 1 :]
        lines.append(f"{row.name:<{name_width}} {bar} {row.ratio:.2f}{'' if row.met else '  !'}")
    return "\n".join([f"ratio to the baseline ({'┃'} = 1; ! = goal missed)", *lines])


def show(rows: Sequence[Row], console: Console) -> None:
    console.print(table(rows))
    console.print(chart(rows), markup=False, highlight=False)


def dump(rows: Sequence[Row], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
