"""How numbers and tables look on a terminal, and in a pipe."""

from __future__ import annotations

from typing import Final

from rich.console import Console

_UNITS: Final = ("", "k", "M", "G", "T", "P")
_PIPE_WIDTH: Final = 200


def console() -> Console:
    """In a pipe nothing is cut to the width of a terminal that is not there."""
    found = Console(highlight=False, markup=False)
    return found if found.is_terminal else Console(highlight=False, markup=False, width=_PIPE_WIDTH)


def short(number: float) -> str:
    """Four figures at most: 999, 12.3k, 4.5M."""
    for unit in _UNITS:
        if abs(number) < 999.5 or unit == _UNITS[-1]:
            return f"{number:.0f}{unit}" if unit == "" or abs(number) >= 99.95 else f"{number:.1f}{unit}"
        number /= 1000
    raise AssertionError("the last unit takes every number")


def host(address: object, port: int | None) -> str:
    text = str(address)
    if port is None:
        return text
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"
