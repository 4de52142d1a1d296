"""A simulation's result as tables for people, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

import typer
from rich.console import Console

from vipd.cli.output import Column, console, fitted
from vipd.cli.simulation.words import counted, time_text
from vipd.cli.simulation.work import Result, Row
from vipd.simulation.comparison import Upset, verdict
from vipd.simulation.report import ActReport, EndpointReport, Report

_MANY: Final = 8
"Endpoints with a table of their own."


def tables(result: Result) -> None:
    screen = console()
    report = result.configured
    flows, clients = counted(report.flows, "flow"), counted(report.clients, "client")
    _say(screen, f"{flows} of {clients} over {time_text(report.seconds)}: {result.source}")
    for note in _left_out(result):
        _say(screen, note)
    shown = _shown(report)
    for endpoint in shown:
        _endpoint(screen, endpoint)
    if len(shown) < len(report.endpoints):
        _say(screen, f"\nand {len(report.endpoints) - len(shown):,} endpoints more; --json has them all")
    if len(report.directors) > 1:
        _directors(screen, report)
    rows = result.rows
    for number, upset in enumerate(rows[0].verdict.upsets):
        _upset(screen, upset, [(row.name, row.verdict.upsets[number]) for row in rows])
    _balance(screen, rows)
    for note in _notes(result):
        _say(screen, note)


def _say(screen: Console, text: str) -> None:
    screen.print(text, soft_wrap=True)


def _left_out(result: Result) -> Iterator[str]:
    out = result.left_out
    if out.repeated:
        yield f"  {out.repeated:,} more were packets of connections that were still open"
    if out.own:
        yield f"  {out.own:,} more came from addresses that no client has: a VIP, a real server, nobody's"
    if out.unserved:
        yield f"  {out.unserved:,} more were for no service of their family"


def _shown(report: Report) -> Sequence[EndpointReport]:
    """Of many, those that changes are about."""
    if len(report.endpoints) <= _MANY:
        return report.endpoints
    changed = [each for each in report.endpoints if any(_standing(act) != _standing(each.acts[0]) for act in each.acts)]
    return (changed or report.endpoints)[:_MANY]


def _endpoint(screen: Console, endpoint: EndpointReport) -> None:
    """A table for each situation in which it has other servers or weights."""
    before: ActReport | None = None
    for act in endpoint.acts:
        what = f", after '{act.change}' at {time_text(act.at)}" if act.change else ""
        if before is not None and _standing(before) == _standing(act):
            _say(screen, f"\n{endpoint.service} {endpoint.endpoint}{what}: servers and weights as before; {_sums(act)}")
        else:
            _say(screen, f"\n{endpoint.service} {endpoint.endpoint}, {act.scheduler}{what}: {_sums(act)}")
            _servers(screen, act)
        before = act


def _standing(act: ActReport) -> tuple[str, list[tuple[str, int, bool]]]:
    return act.scheduler, [(each.server, each.weight, each.present) for each in act.servers]


def _sums(act: ActReport) -> str:
    refused = f", {act.refused:,} refused: no server takes any" if act.refused else ""
    return f"{counted(act.connections, 'new connection')}{refused}"


def _servers(screen: Console, act: ActReport) -> None:
    columns = [
        Column("SERVER"),
        Column("WEIGHT", right=True),
        Column("SHOULD GET", right=True, rank=1),
        Column("GOT", right=True),
        Column("NEW", right=True),
        Column("OPEN AT END", right=True),
        Column("MOST AT ONCE", right=True),
    ]
    rows = [
        (
            each.server,
            str(each.weight) if each.present else "gone",
            f"{each.wanted:.1%}",
            f"{each.got:.1%}",
            f"{each.connections:,}",
            f"{each.open:,}",
            f"{each.peak:,}",
        )
        for each in act.servers
    ]
    _table(screen, columns, rows)


def _directors(screen: Console, report: Report) -> None:
    columns = [
        Column("DIRECTOR", right=True),
        Column("CONNECTIONS", right=True),
        Column("REMEMBERED AT ONCE", right=True),
        Column("TABLE FULL TO", right=True),
        Column("WITHOUT ROOM", right=True),
    ]
    rows = [
        (
            str(each.director),
            f"{each.connections:,}",
            f"{each.peak:,}",
            f"{each.entries / each.places:.1%}",
            f"{each.without_room:,}",
        )
        for each in report.directors
    ]
    _say(screen, "")
    _table(screen, columns, rows)


def _upset(screen: Console, upset: Upset, rows: Sequence[tuple[str, Upset]]) -> None:
    told = [
        (
            name,
            f"{each.open:,}",
            f"{each.stayed:,}",
            f"{each.moved:,}",
            f"{each.ended:,}",
            f"{each.unavoidable:,}",
            "all" if each.elsewhere is None else f"{each.elsewhere:.1%}",
        )
        for name, each in rows
    ]
    columns = [
        Column("SCHEDULER"),
        Column("OPEN", right=True, rank=1),
        Column("STAY", right=True),
        Column("MOVE", right=True),
        Column("ENDED", right=True),
        Column("UNAVOIDABLE", right=True, rank=2),
        Column("CLIENTS MOVED", right=True, rank=3),
    ]
    _say(screen, f"\n'{upset.change}' at {time_text(upset.at)}: what becomes of the connections that are open")
    _table(screen, columns, told)


def _balance(screen: Console, compared: Sequence[Row]) -> None:
    _say(screen, "\nthe most loaded server, as a multiple of what its weight asks for")
    columns = [
        Column("SCHEDULER"),
        Column("NEW CONNECTIONS", right=True),
        Column("OF", rank=1),
        Column("OPEN AT END", right=True),
        Column("MOST AT ONCE", right=True),
    ]
    rows = [
        (row.name, f"{worst.connections:.2f}", row.verdict.where, f"{worst.open:.2f}", f"{worst.peak:.2f}")
        for row in compared
        for worst in [row.verdict.worst]
    ]
    _table(screen, columns, rows)


def _table(screen: Console, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    table, left_out = fitted(columns, rows, screen)
    screen.print(table)
    if left_out:
        _say(screen, f"a wider terminal also shows {', '.join(left_out)}")


def _notes(result: Result) -> Iterator[str]:
    asked, doubts = result.asked, result.configured.doubts
    fleets = {situation.fleet.members for situation in asked.situations}
    if len(fleets) > 1:
        yield (
            "\nDirectors do not tell each other their connections: who gets another one's sends them by the hash of "
            "the client, which sh and mh chose by too."
        )
    if max(map(len, fleets)) > 1 and not asked.shared_secret:
        yield (
            "Each director has a secret of its own here, and so hashes otherwise: with the same `secret_file` on all "
            "of them, sh and mh choose alike."
        )
    if doubts.stale:
        yield (
            f"{counted(doubts.stale, 'flow')} came from a port that their director still knew from an earlier one "
            "which had moved away: taken for new here."
        )
    if doubts.collisions:
        many = counted(doubts.collisions, "connection")
        yield f"{many} would end as drop_collision: two services share a server under NAT."
    if doubts.without_room:
        yield f"{counted(doubts.without_room, 'connection')} found no room in a connection table: raise `connections`."


def as_json(result: Result) -> None:
    typer.echo(json.dumps(_plain(result), indent=2))


def _plain(result: Result) -> dict[str, Any]:
    return {
        "source": result.source,
        "changes": list(result.asked.changes),
        "seed": result.asked.seed,
        "left_out": asdict(result.left_out),
        "configured": asdict(result.configured),
        "schedulers": {str(name): asdict(verdict(report)) for name, report in result.compared.items()},
    }
