"""`vipd test`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from vipd.anatomy.show import count
from vipd.errors import ConfigError, Problem

if TYPE_CHECKING:
    from vipd.cli.expecting import Checked

EXAMPLES: Final = {
    "test": "Examples:\n\nvipd test expectations.yaml\n\nvipd test -c vipd.yaml expectations.yaml --verbose\n\n"
    "A file of expectations:\n\nconfig: vipd.yaml\n\nexpect:\n\n"
    "- {from: 203.0.113.7:4711, to: web, server: 10.0.0.12, method: dr}"
}


def check_expectations(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Expectations, and the configuration they are of.")],
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", metavar="FILE", help="Another configuration than the file names."),
    ] = None,
    secret: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The director's secret, for sh and mh.", show_default=False)
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Those that hold too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Every expectation, as one JSON document.")] = False,
) -> None:
    """Check what you expect of a configuration, packet by packet; no root needed.

    Exit code 0: all expectations hold; 1: one does not; 2: something in the file is wrong.
    """
    from vipd.cli.expectations import load
    from vipd.cli.expecting import check_all

    expectations = load(file)
    chosen = config or expectations.config
    if chosen is None:
        raise ConfigError([Problem("config", "is missing; the configuration's file, or -c FILE", expectations.file)])
    checked = check_all(expectations, chosen, secret)
    failed = [each for each in checked if each.differences]
    if as_json:
        print(json.dumps({"config": str(chosen), "expectations": [_as_json(each) for each in checked]}, indent=2))
    else:
        for each in checked if verbose else failed:
            _show(each, expectations.file, each.question(chosen, secret or expectations.secret, expectations.mtu))
        held = len(checked) - len(failed)
        print(f"{held} of {count(len(checked), 'expectation')} held")
    if failed:
        raise typer.Exit(1)


def _show(each: Checked, file: str, question: str) -> None:
    asked = each.written.expectation
    if not each.differences:
        print(f"{file}:{each.written.line}: holds: {asked}")
        return
    print(f"{file}:{each.written.line}: {asked}")
    for name, got, want in each.differences:
        print(f"    {name}: got {got}, want {' or '.join(want)}")
    for line in each.why:
        print(f"    because {line}")
    print(f"    more: {question}")


def _as_json(each: Checked) -> dict[str, Any]:
    return {
        "line": each.written.line,
        "expectation": str(each.written.expectation),
        "holds": not each.differences,
        "outcome": each.outcome,
        "differences": [{"name": name, "got": got, "want": list(want)} for name, got, want in each.differences],
    }
