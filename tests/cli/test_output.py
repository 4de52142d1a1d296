"""Tables on a terminal of any width: columns may be missing, a cell is never cut."""

from __future__ import annotations

from io import StringIO
from ipaddress import ip_address

import pytest
from rich.console import Console

from vipd.cli.output import Column, fitted, short
from vipd.model.director import with_port

COLUMNS = (Column("NAME"), Column("METHOD", rank=1), Column("ACTIVE", right=True), Column("BYTES", right=True, rank=2))
ROWS = (("[2001:db8::11]:8080", "nat", "12345", "17.3M"), ("web", "", "", ""))


def shown(width: int) -> tuple[str, list[str]]:
    out = StringIO()
    screen = Console(file=out, width=width)
    table, left_out = fitted(COLUMNS, ROWS, screen)
    screen.print(table)
    return out.getvalue(), left_out


def test_where_there_is_room_all_of_it_is_shown() -> None:
    text, left_out = shown(80)
    assert left_out == []
    assert text.splitlines()[0].split() == ["NAME", "METHOD", "ACTIVE", "BYTES"]
    assert text.splitlines()[2].split() == [*ROWS[0]]


@pytest.mark.parametrize(("width", "left_out"), [(44, []), (43, ["BYTES"]), (37, ["BYTES"]), (36, ["METHOD", "BYTES"])])
def test_what_matters_least_goes_first(width: int, left_out: list[str]) -> None:
    assert shown(width)[1] == left_out


@pytest.mark.parametrize("width", range(1, 60))
def test_no_cell_is_ever_cut(width: int) -> None:
    text, left_out = shown(width)
    cells = [cell for row in ROWS for cell, column in zip(row, COLUMNS, strict=True) if column.heading not in left_out]
    assert all(cell in text for cell in cells)
    assert "\N{HORIZONTAL ELLIPSIS}" not in text


def test_the_first_line_is_the_heading() -> None:
    assert shown(80)[0].startswith("NAME")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (999.6, "1.0k"),
        (12_345, "12.3k"),
        (99_950, "100k"),
        (4_500_000, "4.5M"),
        (1e18, "1000P"),
    ],
)
def test_numbers_are_four_figures_at_most(number: float, text: str) -> None:
    assert short(number) == text


@pytest.mark.parametrize(
    ("address", "port", "text"),
    [("10.0.0.1", None, "10.0.0.1"), ("10.0.0.1", 80, "10.0.0.1:80"), ("::1", None, "::1"), ("::1", 80, "[::1]:80")],
)
def test_an_address_is_written_as_it_is_read(address: str, port: int | None, text: str) -> None:
    assert with_port(ip_address(address), port) == text
