"""How numbers and tables look on a terminal, and in a pipe."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

_UNITS: Final = ("", "k", "M", "G", "T", "P")
_PIPE_WIDTH: Final = 200
_GAP: Final = 2
"Between two columns: the padding of one, and where the box has a line."


@dataclass(frozen=True, slots=True)
class Column:
    heading: str
    right: bool = False
    rank: int = 0
    "Of those that a narrow terminal can do without, the highest goes first; 0 stays."


def console() -> Console:
    """In a pipe nothing is cut to the width of a terminal that is not there."""
    found = Console(highlight=False, markup=False)
    return found if found.is_terminal else Console(highlight=False, markup=False, width=_PIPE_WIDTH)


def grid() -> Table:
    """A table without columns yet, in the look of all of them: no blank lines around it."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))


def fitted(columns: Sequence[Column], rows: Iterable[Sequence[str]], screen: Console) -> tuple[Table, list[str]]:
    """As many columns as the screen has room for, and the headings left out.

    Where even those that stay need more, the terminal wraps their lines: nothing is cut.
    """
    cells = [list(row) for row in rows]
    widths = [max(map(cell_len, column)) for column in zip([each.heading for each in columns], *cells, strict=True)]
    shown = list(range(len(columns)))
    while sum(widths[each] + _GAP for each in shown) > screen.width:
        least = max(shown, key=lambda each: columns[each].rank)
        if not columns[least].rank:
            break
        shown.remove(least)
    table = grid()
    for each in shown:
        justify: Literal["left", "right"] = "right" if columns[each].right else "left"
        table.add_column(columns[each].heading, justify=justify, no_wrap=True)
    for row in cells:
        table.add_row(*(row[each] for each in shown))
    needed = sum(widths[each] + _GAP for each in shown)
    if needed > screen.width:
        screen.width = needed
    return table, [column.heading for number, column in enumerate(columns) if number not in shown]


def short(number: float) -> str:
    """Four figures at most: 999, 12.3k, 4.5M."""
    for unit in _UNITS:
        if abs(number) < 999.5 or unit == _UNITS[-1]:
            return f"{number:.0f}{unit}" if unit == "" or abs(number) >= 99.95 else f"{number:.1f}{unit}"
        number /= 1000
    raise AssertionError("the last unit takes every number")


def program() -> str:
    """How this very vipd is called from here, for commands to copy."""
    this = Path(sys.argv[0])
    found = shutil.which("vipd")
    if this.name != "vipd" or (found and Path(found).resolve() == this.resolve()):
        return "vipd"
    return str(this)
