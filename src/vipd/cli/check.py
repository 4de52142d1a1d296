"""`vipd check`."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from vipd.errors import ConfigError, Problem

if TYPE_CHECKING:
    from vipd.config import Loaded
    from vipd.daemon.compare import Comparison

EXAMPLES: Final = {
    "check": "Examples:\n\nvipd check /etc/vipd/main.yaml\n\nvipd check --elsewhere main.yaml\n\n"
    "vipd check --json main.yaml | jq .machine"
}
_WAYS: Final = {
    "local": "this machine itself",
    "on_link": "on an Ethernet segment",
    "routed": "behind a router",
    "point_to_point": "behind a point-to-point link",
    "unreachable": "without a route",
}


def check(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="The configuration to check.")] = None,
    here: Annotated[
        bool | None,
        typer.Option(
            "--here/--elsewhere",
            help="Whether the file is for this machine, whose interfaces and routes then count too.  "
            "[default: if it has all interfaces that the file names]",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of a configuration instead.")] = False,
) -> None:
    """Check a configuration file. Every mistake is printed, with its line; exit code 2 if there is one.

    Where all interfaces of the file are, what 'vipd run' would refuse there counts too. No root needed.
    """
    from vipd.config import json_schema, load

    if schema:
        typer.echo(json.dumps(json_schema(), indent=2))
        return
    if file is None:
        raise typer.BadParameter("a file is needed: vipd check vipd.yaml", param_hint="FILE")
    found: Comparison | None = None
    try:
        loaded = load(file)
        found = _compared(loaded, here)
        if found is not None and found.problems:
            raise ConfigError(found.problems)
    except ConfigError as error:
        if as_json:
            typer.echo(json.dumps(_as_json(str(file), error.problems, (), found), indent=2))
            raise typer.Exit(2) from None
        if found is not None and here is None:
            _tell_why(found)
        raise
    warnings = (*loaded.warnings, *(found.warnings if found else ()))
    if as_json:
        told = _as_json(str(file), (), warnings, found) | {"summary": _figures(loaded)}
        typer.echo(json.dumps(told, indent=2))
    else:
        _tell(loaded, found, warnings, here)


def _tell(loaded: Loaded, found: Comparison | None, warnings: Iterable[Problem], here: bool | None) -> None:
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"{loaded.file}: good: {_counted(_figures(loaded).items())}")
    for line in _ways(found):
        typer.echo(line)
    if here is None and (missing := _missing(loaded)):
        typer.echo(
            f"  not compared with this machine, which has no {', '.join(missing)}; '--here' compares all the same"
        )


def _compared(loaded: Loaded, here: bool | None) -> Comparison | None:
    """None where the file alone counts."""
    if here is False or (here is None and _missing(loaded)):
        return None
    from vipd.daemon.compare import compare

    return compare(loaded)


def _missing(loaded: Loaded) -> list[str]:
    """Interfaces of the file that this machine has not."""
    present = {name for _, name in socket.if_nameindex()}
    return [name for name in loaded.director.interfaces if name not in present]


def _tell_why(found: Comparison) -> None:
    typer.echo("this machine has all the interfaces that the file names, so it is checked for this machine;", err=True)
    typer.echo(f"is it for another one, say 'vipd check --elsewhere'. Mistakes: {len(found.problems)}", err=True)


def _counted(figures: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{number} {name if number != 1 else name[:-1]}" for name, number in figures)


def _ways(found: Comparison | None) -> list[str]:
    """How many servers are reached how."""
    if found is None:
        return []
    counts = Counter((way.egress, way.interface) for way in found.ways)
    return [
        f"  {_counted([('servers', count)])} {_WAYS[egress]}" + (f", by {interface}" if interface else "")
        for (egress, interface), count in counts.items()
    ]


def _figures(loaded: Loaded) -> dict[str, int]:
    director = loaded.director
    return {
        "interfaces": len(director.interfaces),
        "VIPs": len(director.vips),
        "services": len(director.services),
        "endpoints": sum(len(service.listen) for service in director.services),
        "servers": sum(len(service.servers) for service in director.services),
    }


def _as_json(
    file: str, problems: tuple[Problem, ...], warnings: tuple[Problem, ...], found: Comparison | None
) -> dict[str, Any]:
    servers = (
        {str(way.server): {"egress": way.egress, "interface": way.interface} for way in found.ways} if found else {}
    )
    return {
        "file": file,
        "valid": not problems,
        "problems": [asdict(problem) for problem in problems],
        "warnings": [asdict(warning) for warning in warnings],
        "machine": {"compared": found is not None, "servers": servers},
    }
