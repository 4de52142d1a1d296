"""Pictures: how they are begun and where they go. matplotlib draws them, and is an extra. Knows no data."""

from __future__ import annotations

from importlib.util import find_spec
from os import W_OK, access
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vipd.errors import ConfigError, EnvironmentProblem, Problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS: Final = (".svg", ".png", ".pdf")
COLOURS: Final = ("#4c78a8", "#f58518", "#e45756", "#72b7b2", "#54a24b", "#b279a2", "#eeca3b", "#9d755d")
"That people with any kind of colour vision tell apart in their order."


def require(path: Path) -> None:
    """Whether a picture can go there, before anybody has worked for it. ConfigError or EnvironmentProblem if not."""
    if path.suffix.lower() not in KINDS:
        raise ConfigError([Problem("", f"'{path.name}' is no kind of picture; {', '.join(KINDS)}", str(path))])
    try:
        if not path.parent.is_dir():
            raise ConfigError([Problem("", f"there is no directory '{path.parent}'", str(path))])
        writable = access(path.parent, W_OK) and not path.is_dir()
    except PermissionError:
        writable = False
    if not writable:
        raise ConfigError([Problem("", "cannot be written there", str(path))])
    if find_spec("matplotlib") is None:
        raise EnvironmentProblem(
            "pictures are drawn by matplotlib, which is not installed: pip install 'vipd[plot]', "
            "or on Debian: apt install python3-matplotlib"
        )


def figure(title: str, width: float, height: float) -> Figure:
    """In inches. Drawn without a screen."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    if title:
        made.suptitle(title, x=0.01, ha="left", fontsize=11)
    return made


def save(made: Figure, path: Path) -> None:
    """Whole or not at all; the same figure makes the same file. OSError where it cannot be written."""
    import matplotlib as mpl

    kind = path.suffix.lower().removeprefix(".")
    fresh = path.with_name(f".{path.name}.new")
    dated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    try:
        with mpl.rc_context({"svg.hashsalt": "vipd", "svg.fonttype": "none"}):
            made.savefig(fresh, format=kind, dpi=150, metadata=dated)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
