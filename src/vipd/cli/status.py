"""`vipd status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from vipd.cli.app import instance_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from vipd.api.schema import ServerStatus, Status

EXAMPLES: Final = {
    "status": "Examples:\n\nvipd status --watch\n\nvipd status --json | jq '.services'\n\nvipd status --outcomes"
}
_INTERVAL: Final = 1.0


def status(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Again every second, until Ctrl-C.")] = False,
    outcomes: Annotated[bool, typer.Option("--outcomes", help="What became of every packet, and why.")] = False,
) -> None:
    """Show services, real servers, weights, connections, packets and rates.

    Without a daemon the data plane itself is asked: forwarding goes on without one.
    """
    from vipd.cli.output import console
    from vipd.cli.source import status_of

    instance = instance_of(ctx)
    if as_json:
        typer.echo(status_of(instance).model_dump_json(indent=2))
        return
    view = _outcomes if outcomes else _overview
    if not watch:
        console().print(view(status_of(instance)))
        return
    import time

    from rich.live import Live

    with Live(view(status_of(instance)), console=console(), screen=False, auto_refresh=False) as live:
        while True:
            time.sleep(_INTERVAL)
            live.update(view(status_of(instance)), refresh=True)


def _overview(found: Status) -> RenderableType:
    from rich import box
    from rich.console import Group
    from rich.table import Table

    from vipd.cli.output import short

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("SERVICE / SERVER", "METHOD"):
        table.add_column(heading, no_wrap=True)
    for heading in ("WEIGHT", "ACTIVE", "INACTIVE", "CONNS", "PKTS IN", "BYTES IN", "PKTS OUT", "BYTES OUT"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("NEW/S", justify="right", no_wrap=True)
    table.add_column("PKTS/S", justify="right", no_wrap=True)
    for service in found.services:
        table.add_row(f"{service.name} ({service.scheduler or 'removed'})", *[""] * 11)
        for listen in service.listen:
            table.add_row(f"  {listen}", *[""] * 11)
        for server in service.servers:
            counts = (server.connections, server.packets_in, server.bytes_in, server.packets_out, server.bytes_out)
            rates = server.rates
            table.add_row(
                f"    {_name(server)}",
                server.method if server.egress != "local" else "local",
                str(server.weight),
                str(server.active),
                str(server.inactive),
                *(short(count) for count in counts),
                short(rates.connections) if rates else "",
                short(rates.packets_in + rates.packets_out) if rates else "",
            )
    return Group(_heading(found), table, *_notes(found))


def _name(server: ServerStatus) -> str:
    from vipd.cli.output import host

    notes = [
        word
        for word, holds in (
            ("drained", server.drained),
            ("removed", server.removed),
            ("unreachable", server.egress == "unreachable"),
        )
        if holds
    ]
    return host(server.address, server.port) + (f" ({', '.join(notes)})" if notes else "")


def _heading(found: Status) -> str:
    daemon = f"process {found.pid}" if found.pid else "no daemon runs; forwarding goes on as it was"
    interfaces = ", ".join(f"{interface.name} ({interface.mode})" for interface in found.interfaces)
    used = f"connections {found.connections.used} of {found.connections.limit}"
    return f"instance {found.instance}, {daemon}; {interfaces or 'no interfaces'}; {used}"


def _notes(found: Status) -> list[str]:
    conflicts = [
        f"! VIP {vip.address} on {vip.interface} is answered for by {mac} too"
        for vip in found.vips
        for mac in vip.conflicts
    ]
    return conflicts + [f"! {problem}" for problem in found.problems]


def _outcomes(found: Status) -> RenderableType:
    from rich import box
    from rich.console import Group
    from rich.table import Table

    from vipd.model.outcome import EVENTS, OUTCOMES

    tables = []
    for heading, counts, meanings in (("OUTCOME", found.outcomes, OUTCOMES), ("EVENT", found.events, EVENTS)):
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column(heading, no_wrap=True)
        table.add_column("PACKETS" if heading == "OUTCOME" else "TIMES", justify="right", no_wrap=True)
        table.add_column("MEANING")
        for name, count in counts.items():
            table.add_row(name, str(count), str(meanings.get(name, "")))
        tables.append(table)
    return Group(*tables)
