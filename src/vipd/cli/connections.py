"""`vipd connections`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final

import typer

from vipd.cli.app import instance_of
from vipd.model.director import STATES

EXAMPLES: Final = {
    "connections": "Examples:\n\nvipd connections --server 10.0.0.11 --state established\n\n"
    "vipd connections --client 198.51.100.7 --json"
}
Address = str | None


def connections(
    ctx: typer.Context,
    client: Annotated[Address, typer.Option(help="Only of this client, or of this network.", metavar="ADDRESS")] = None,
    vip: Annotated[Address, typer.Option(help="Only to this VIP.", metavar="ADDRESS")] = None,
    server: Annotated[Address, typer.Option(help="Only on this real server.", metavar="ADDRESS")] = None,
    state: Annotated[
        str | None,
        typer.Option(
            help="Only in this state: established, syn_recv, udp, ...", metavar="STATE", autocompletion=lambda: STATES
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, max=10**9, help="At most so many; 0 lists all.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list.")] = False,
) -> None:
    """List known connections, in no order. Without a daemon the data plane itself is asked."""
    from vipd.cli.source import connections_of

    given = {"client": client, "vip": vip, "server": server, "state": state and state.lower()}
    filters = {name: value for name, value in given.items() if value is not None}
    # One more than asked for tells whether there are more.
    found = connections_of(instance_of(ctx), filters, limit and limit + 1)
    if as_json:
        _print_json(found, limit)
    else:
        _print_table(found, limit)


def _print_json(found: Iterable[Any], limit: int) -> None:
    from vipd.api.schema import CONNECTION

    separator = "["
    for connection in _first(found, limit):
        typer.echo(separator + CONNECTION.dump_json(connection).decode(), nl=False)
        separator = ",\n "
    typer.echo("]" if separator != "[" else "[]")


def _print_table(found: Iterator[Any], limit: int) -> None:
    from vipd.cli.output import Column, console, fitted
    from vipd.model.director import with_port

    headings = ("", "CLIENT", "VIP", "SERVER", "STATE")
    rows = [
        (
            each.transport,
            with_port(each.client, each.client_port),
            with_port(each.vip, each.vip_port),
            with_port(each.server, each.server_port),
            each.state,
            f"{each.expires:.0f} s",
        )
        for each in _first(found, limit)
    ]
    screen = console()
    if rows:
        table, _ = fitted([*map(Column, headings), Column("EXPIRES", right=True)], rows, screen)
        screen.print(table)
    more = next(iter(found), None) is not None
    what = "connection" if len(rows) == 1 else "connections"
    typer.echo(f"{len(rows)} {what}" + (f", and more; --limit {limit} was reached" if more else ""), err=more)


def _first(found: Iterable[Any], limit: int) -> Iterator[Any]:
    for number, connection in enumerate(found, 1):
        yield connection
        if number == limit:
            return
