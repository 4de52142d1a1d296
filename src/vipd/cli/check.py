"""`vipd check`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vipd.errors import ConfigError, Problem

if TYPE_CHECKING:
    from vipd.config import Loaded


def check(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="The configuration to check.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of a configuration instead.")] = False,
) -> None:
    """Check a configuration file. Every mistake is printed, with its line; exit code 2 if there is one."""
    from vipd.config import json_schema, load

    if schema:
        typer.echo(json.dumps(json_schema(), indent=2))
        return
    if file is None:
        raise typer.BadParameter("a file is needed: vipd check vipd.yaml", param_hint="FILE")
    try:
        loaded = load(file)
    except ConfigError as error:
        if not as_json:
            raise
        typer.echo(json.dumps(_as_json(str(file), error.problems, ()), indent=2))
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(json.dumps(_as_json(str(file), (), loaded.warnings) | {"summary": _figures(loaded)}, indent=2))
        return
    for warning in loaded.warnings:
        typer.echo(f"warning: {warning}", err=True)
    figures = _figures(loaded)
    told = ", ".join(f"{number} {name if number != 1 else name[:-1]}" for name, number in figures.items())
    typer.echo(f"{file}: good: {told}")


def _figures(loaded: Loaded) -> dict[str, int]:
    director = loaded.director
    return {
        "interfaces": len(director.interfaces),
        "VIPs": len(director.vips),
        "services": len(director.services),
        "endpoints": sum(len(service.listen) for service in director.services),
        "servers": sum(len(service.servers) for service in director.services),
    }


def _as_json(file: str, problems: tuple[Problem, ...], warnings: tuple[Problem, ...]) -> dict[str, object]:
    return {
        "file": file,
        "valid": not problems,
        "problems": [asdict(problem) for problem in problems],
        "warnings": [asdict(warning) for warning in warnings],
    }
