"""What a replay came to: tables for people, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from vipd.anatomy.show import count
from vipd.cli.frame.look import FAULT, NOTE
from vipd.cli.output import Column, console, fitted
from vipd.explain.replay import Replay
from vipd.explain.verdict import SHORTEST
from vipd.explain.walk import method_text, server_text
from vipd.model.outcome import OUTCOMES

_REASONS: Final = 5
"Why frames were left out, the most frequent ones."
_SERVERS: Final = (
    Column("SERVER"),
    Column("METHOD", rank=5),
    Column("WEIGHT", right=True),
    Column("CONNECTIONS", right=True),
    Column("SHARE", right=True),
    Column("MOST OPEN", right=True, rank=1),
    Column("PACKETS IN", right=True, rank=2),
    Column("BYTES IN", right=True, rank=4),
    Column("PACKETS OUT", right=True, rank=3),
)


def show(made: Replay, sent: int, interrupted: bool) -> None:
    screen = console()
    stopped = " so far; interrupted" if interrupted else ""
    screen.print(f"{count(made.frames, 'frame')} of {made.seconds:.3f} s, {sent} came out{stopped}", soft_wrap=True)
    for note in _notes(made):
        screen.print(Text(f"  {note}", NOTE), soft_wrap=True)
    idle: list[str] = []
    for number, service in made.scene.configuration.services.items():
        name = made.scene.names.service(service.endpoint)
        if not any(any(each.traffic) for each in made.shares(number)):
            idle.append(f"{name} {service.endpoint}")
            continue
        screen.print()
        screen.print(Text.assemble((name, "bold"), f"  {service.endpoint}, scheduler {service.scheduler}"))
        table, _ = fitted(_SERVERS, list(_rows(made, number)), screen)
        screen.print(table)
    screen.print()
    _outcomes(screen, made)
    if made.asked:
        _program(screen, made)
    if made.too_short:
        told = f"{count(made.too_short, 'frame')} of fewer than {SHORTEST} bytes not asked about: the kernel takes none"
        screen.print(Text(told, NOTE), soft_wrap=True)
    if idle:
        screen.print(Text(f"no packet for {', '.join(idle)}", NOTE), soft_wrap=True)


def _notes(made: Replay) -> Iterator[str]:
    for reason, number in made.left_out.most_common(_REASONS):
        yield f"{count(number, 'frame')} left out: {reason}"
    if made.cut_off:
        yield f"{count(made.cut_off, 'frame')} cut off by the capture: zeros stand for what is missing"
    if not made.scene.secret_known:
        yield "the director's secret is not at hand: with it, sh and mh point elsewhere"
    yield from (f"assumed: {each}" for each in made.scene.assumed)
    if not made.scene.assumed:
        yield "the running director's configuration and routes; none of its connections is known"


def _rows(made: Replay, service: int) -> Iterator[list[str]]:
    shares = made.shares(service)
    total = sum(each.traffic.connections for each in shares)
    for each in shares:
        server, traffic = made.scene.configuration.servers[each.server], each.traffic
        yield [
            server_text(server),
            method_text(server),
            str(server.weight),
            str(traffic.connections),
            f"{100 * traffic.connections / total:.1f} %" if total else "-",
            str(each.most_open),
            str(traffic.packets_in),
            str(traffic.bytes_in),
            str(traffic.packets_out),
        ]


def _outcomes(screen: Console, made: Replay) -> None:
    for outcome, number in made.outcomes.most_common():
        screen.print(Text.assemble(f"{number:>9}  ", (outcome, "bold")), soft_wrap=True)
        screen.print(Text(f"           {OUTCOMES[outcome]}", NOTE), soft_wrap=True)


def _program(screen: Console, made: Replay) -> None:
    wrong = sum(made.disagreements.values())
    if not wrong:
        screen.print(Text(f"the BPF program does the same with all {made.asked}", "green"))
        return
    screen.print(Text(f"the BPF program and the specification DISAGREE on {wrong} of {made.asked}", FAULT))
    for each in made.first_disagreements:
        screen.print(f"  frame {each.frame}, {each.outcome}", soft_wrap=True)
        for line in each.verdict.wrong:
            screen.print(f"    {line}", soft_wrap=True)
    screen.print(Text("that is a bug of vipd's: please report it with what --json prints, and the capture", NOTE))


def _program_as_json(made: Replay) -> dict[str, Any] | None:
    if not made.asked:
        return None
    first = [
        {
            "frame": each.frame,
            "specification": each.outcome,
            "program": each.verdict.outcome,
            "action": each.verdict.action,
            "sent": each.verdict.frame.hex(),
            "disagreements": list(each.verdict.wrong),
        }
        for each in made.first_disagreements
    ]
    return {"asked": made.asked, "too_short": made.too_short, "disagreements": dict(made.disagreements), "first": first}


def as_json(made: Replay, source: str, director: str, sent: int) -> str:
    document: dict[str, Any] = {
        "capture": source,
        "director": director,
        "program": _program_as_json(made),
        "assumed": list(made.scene.assumed),
        "secret_known": made.scene.secret_known,
        "frames": made.frames,
        "seconds": made.seconds,
        "sent": sent,
        "cut_off": made.cut_off,
        "left_out": dict(made.left_out),
        "outcomes": dict(made.outcomes.most_common()),
        "events": {event: number for event, number in made.events.most_common() if number},
        "services": [
            {
                "name": made.scene.names.service(service.endpoint),
                "listen": str(service.endpoint),
                "scheduler": service.scheduler,
                "servers": list(_servers(made, number)),
            }
            for number, service in made.scene.configuration.services.items()
        ],
    }
    return json.dumps(document, indent=2)


def _servers(made: Replay, service: int) -> Iterator[dict[str, Any]]:
    shares = made.shares(service)
    total = sum(each.traffic.connections for each in shares)
    for each in shares:
        server = made.scene.configuration.servers[each.server]
        yield {
            "address": str(server.address),
            "port": server.port,
            "method": method_text(server),
            "weight": server.weight,
            **each.traffic._asdict(),
            "share": each.traffic.connections / total if total else None,
            "most_open": each.most_open,
            "open": sum(made.state.loads.get(each.server) or (0, 0)),
        }
