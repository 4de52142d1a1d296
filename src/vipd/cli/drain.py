"""`vipd drain` and `vipd undrain`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from vipd.cli.app import instance_of

EXAMPLES: Final = {
    "drain": "Examples:\n\nvipd drain web 10.0.0.11\n\nvipd drain web '[2001:db8::11]:8080'",
    "undrain": "Example:\n\nvipd undrain web 10.0.0.11",
}

Service = Annotated[str, typer.Argument(help="The service's name in the configuration.", metavar="SERVICE")]
Server = Annotated[str, typer.Argument(help="ADDRESS or ADDRESS:PORT of a server of it.", metavar="SERVER")]


def drain(ctx: typer.Context, service: Service, server: Server) -> None:
    """Send the server no new connections; known ones go on. Outlives the daemon and every reload."""
    _ask(ctx, service, server, drained=True)


def undrain(ctx: typer.Context, service: Service, server: Server) -> None:
    """Send the drained server new connections again."""
    _ask(ctx, service, server, drained=False)


def _ask(ctx: typer.Context, service: str, server: str, drained: bool) -> None:
    from vipd.api.client import Client

    with Client(instance_of(ctx)) as client:
        done = client.drain(service, server, drained)
    what = "drained" if drained else "undrained"
    typer.echo(f"{done.service}: {', '.join(done.servers)} {what}; known connections: {done.connections}")
