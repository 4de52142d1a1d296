"""How the parts of a line look: one style and one short name for each, on a terminal and in the pictures alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from vipd.wire.stretches import Part

STYLES: Final = {
    Part.IGNORED: "dim",
    Part.FLAG: "bold white on blue",
    Part.DATA: "",
    Part.STUFFED: "bold white on red",
    Part.ABORT: "bold white on magenta",
    Part.IDLE: "magenta",
    Part.ESCAPE: "bold white on red",
    Part.ESCAPED: "underline",
    Part.DROPPED: "strike red",
    Part.PREAMBLE: "yellow",
    Part.DELIMITER: "bold black on yellow",
}
FAULT: Final = "bold red"
DATA: Final = ("cyan", "green")
"In turn, so that neighbours are told apart."
NOTE: Final = "dim"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a line, and what is written under it."""

    written: Text
    under: Text

    @property
    def width(self) -> int:
        return max(cell_len(self.written.plain), cell_len(self.under.plain))


def put(screen: Console, lines: Iterable[Text], wrapped: bool = False) -> None:
    """`wrapped` where a terminal is too narrow. Without one they are as long as they are, and rich ten times slower."""
    for line in lines:
        if screen.is_terminal:
            screen.print(line, soft_wrap=not wrapped)
        else:
            screen.file.write(line.plain + "\n")
    screen.file.flush()


def rows(tokens: Iterable[tuple[str, Token]], width: int) -> Iterator[Text]:
    """As many tokens as fit in a row, under each what it is; before each row the place of its first token."""
    row: list[Token] = []
    place, used, margin = "", 0, 0
    for where, token in tokens:
        margin = max(margin, len(where))
        if row and margin + 2 + used + token.width > width:
            yield from _row(place, row)
            row, used = [], 0
        if not row:
            place = where
        row.append(token)
        used += token.width + 1
    if row:
        yield from _row(place, row)


MARGIN: Final = 8


def _row(place: str, row: list[Token]) -> Iterator[Text]:
    upper, lower = Text.assemble((f"{place:>{MARGIN}}  ", NOTE)), Text(" " * (MARGIN + 2))
    for token in row:
        for line, part in ((upper, token.written), (lower, token.under)):
            line.append_text(part)
            line.append(" " * (token.width - cell_len(part.plain) + 1))
    upper.rstrip()
    lower.rstrip()
    yield upper
    if lower.plain.strip():
        yield lower


def elided(tokens: list[tuple[str, Token]], most: int, what: str) -> list[tuple[str, Token]]:
    """The first and the last of a run that is too long to be looked at."""
    if len(tokens) <= most:
        return tokens
    half = most // 2
    left_out = len(tokens) - 2 * half
    gap = (tokens[half][0], Token(Text(f"… {left_out} {what} …", style=NOTE), Text()))
    return [*tokens[:half], gap, *tokens[-half:]]
