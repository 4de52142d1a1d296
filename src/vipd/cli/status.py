"""`vipd status`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from vipd.cli.app import instance_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from vipd.api.schema import ServerStatus, Status

EXAMPLES: Final = {
    "status": "Examples:\n\nvipd status --watch\n\nvipd status --json | jq '.services'\n\nvipd status --outcomes"
}
_INTERVAL: Final = 1.0
_COUNTERS: Final = {"CONNS": 5, "PKTS IN": 6, "BYTES IN": 8, "PKTS OUT": 7, "BYTES OUT": 9, "NEW/S": 3, "PKTS/S": 4}
"Headings, and which goes first where the terminal is narrow."


def status(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Again every second, until Ctrl-C.")] = False,
    outcomes: Annotated[
        bool, typer.Option("--outcomes", help="What became of every packet, what that means and what to do.")
    ] = False,
) -> None:
    """Show services, real servers, weights, connections, packets and rates.

    Without a daemon the data plane itself is asked: forwarding goes on without one.
    """
    from vipd.cli.output import console
    from vipd.cli.source import status_of

    instance = instance_of(ctx)
    if as_json and watch:
        raise typer.BadParameter("--json prints once; ask again for another", param_hint="--watch")
    if as_json:
        typer.echo(status_of(instance).model_dump_json(indent=2))
        return
    screen = console()
    view = _outcomes if outcomes else partial(_overview, screen=screen)
    if not watch:
        screen.print(view(status_of(instance)))
        return
    watched(screen, lambda: view(status_of(instance)))


def watched(screen: Console, view: Callable[[], RenderableType]) -> None:
    """Until Ctrl-C."""
    import time

    from rich.live import Live

    with suppress(KeyboardInterrupt), Live(view(), console=screen, auto_refresh=False) as live:
        while True:
            time.sleep(_INTERVAL)
            live.update(view(), refresh=True)


def _overview(found: Status, screen: Console) -> RenderableType:
    from rich.console import Group

    from vipd.cli.output import Column, fitted

    columns = (
        Column("SERVICE / SERVER"),
        Column("METHOD", rank=1),
        Column("PATH", rank=2),
        *(Column(heading, right=True) for heading in ("WEIGHT", "ACTIVE", "INACTIVE")),
        *(Column(heading, right=True, rank=rank) for heading, rank in _COUNTERS.items()),
    )
    table, left_out = fitted(columns, _rows(found, len(columns)), screen)
    notes = _notes(found)
    if left_out:
        notes.append(f"a wider terminal also shows {', '.join(left_out)}")
    return Group(_heading(found), "", table, *notes)


def _rows(found: Status, width: int) -> Iterator[Sequence[str]]:
    from vipd.cli.output import short

    nothing = [""] * (width - 1)
    for service in found.services:
        yield f"{service.name} ({service.scheduler or 'removed'})", *nothing
        for listen in service.listen:
            yield f"  {listen}", *nothing
        for server in service.servers:
            counts = (server.connections, server.packets_in, server.bytes_in, server.packets_out, server.bytes_out)
            rates = server.rates
            yield (
                f"    {_name(server)}",
                server.method if server.egress != "local" else "local",
                server.egress or "",
                str(server.weight),
                str(server.active),
                str(server.inactive),
                *(short(count) for count in counts),
                short(rates.connections) if rates else "",
                short(rates.packets_in + rates.packets_out) if rates else "",
            )


def _name(server: ServerStatus) -> str:
    from vipd.model.director import with_port

    notes = [
        word
        for word, holds in (
            ("drained", server.drained),
            ("removed", server.removed),
            ("unreachable", server.egress == "unreachable"),
        )
        if holds
    ]
    return with_port(server.address, server.port) + (f" ({', '.join(notes)})" if notes else "")


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
    from rich.console import Group

    from vipd.cli.output import grid
    from vipd.model.outcome import EVENTS, OUTCOMES, remedy

    parts: list[RenderableType] = []
    for heading, unit, counts, meanings in (
        ("OUTCOME", "PACKETS", found.outcomes, OUTCOMES),
        ("EVENT", "TIMES", found.events, EVENTS),
    ):
        table = grid()
        table.add_column(heading, no_wrap=True)
        table.add_column(unit, justify="right", no_wrap=True)
        table.add_column("WHAT IT MEANS, → WHAT TO DO")
        happened = {name: count for name, count in counts.items() if count}
        for name, count in happened.items():
            # A daemon of another version may know others.
            texts = [meanings[name], *(f"→ {text}" for text in [remedy(name)] if text)] if name in meanings else [""]
            table.add_row(name, str(count), "\n".join(texts))
        parts += [table, f"{len(counts) - len(happened)} of {len(counts)} never happened", ""]
    return Group(*parts[:-1])
