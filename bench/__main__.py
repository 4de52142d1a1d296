"""`python -m bench`: every figure, a table, a chart, build/bench.json."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated, Final, TypeAlias

import typer
from rich.console import Console

from bench import control, framing, links, live, loads, simulation, testrun, tracing
from bench.effort import QUICK, Effort
from bench.harness import MeasureError
from bench.report import Row, dump, show
from vipd.errors import DirectorError

Part: TypeAlias = Callable[[Effort, Callable[[str], None]], Iterator[Row]]
PARTS: Final[dict[str, Part]] = {
    "testrun": testrun.rows,
    "tracing": tracing.rows,
    "packets": live.rows,
    "loads": loads.rows,
    "control": control.rows,
    "framing": framing.rows,
    "simulation": simulation.rows,
    "links": links.rows,
}


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def bench(
    quick: Annotated[bool, typer.Option(help="Fewer and shorter runs: figures to look at, not to quote.")] = False,
    only: Annotated[list[str] | None, typer.Option(help=f"One part: {', '.join(PARTS)}. May be repeated.")] = None,
    json: Annotated[Path, typer.Option(help="Where the figures go.")] = Path("build/bench.json"),
) -> None:
    """Measure the director beside floors and beside other balancers, in one run."""
    console, errors = Console(width=None if sys.stdout.isatty() else 150), Console(stderr=True)
    unknown = set(only or ()) - set(PARTS)
    if unknown:
        raise typer.BadParameter(f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if os.geteuid() != 0:
        errors.print("make bench needs root: it loads programs and makes network namespaces")
        raise typer.Exit(2)
    signal.signal(signal.SIGTERM, _stop)
    rows: list[Row] = []
    failed = False
    with console.status("") as status:
        for name in only or PARTS:
            try:
                rows.extend(PARTS[name](QUICK if quick else Effort(), lambda text: status.update(f"measuring {text}")))
            except (DirectorError, MeasureError, OSError, subprocess.SubprocessError) as error:
                failed = True
                errors.print(f"bench {name}: {error}", markup=False)
    show(rows, console)
    dump(rows, json)
    console.print(f"{json}: {len(rows)} figures")
    if failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    try:
        typer.run(bench)
    except KeyboardInterrupt:
        sys.exit(130)
