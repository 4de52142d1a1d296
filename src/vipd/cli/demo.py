"""`vipd demo`."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from vipd.model.director import Method

if TYPE_CHECKING:
    from rich.console import Console

    from vipd.lab.demo import Settings
    from vipd.lab.topology import Topology
    from vipd.lab.verdict import Observed

EXAMPLES: Final = {"demo": "Examples:\n\nvipd demo\n\nvipd demo --method dr --keep\n\nvipd demo --pcap /tmp/captures"}


def demo(
    method: Annotated[list[Method] | None, typer.Option("--method", help="This method only; may be repeated.")] = None,
    connections: Annotated[int, typer.Option("--connections", min=3, help="For each combination.")] = 300,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all of it as JSON.")] = None,
    pcap: Annotated[Path | None, typer.Option("--pcap", metavar="DIR", help="Capture at every hop.")] = None,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Of the labs, which are called NAME-nat and so on.")
    ] = "demo",
    keep: Annotated[bool, typer.Option("--keep", help="Leave the labs running, to try more.")] = False,
) -> None:
    """Real clients talk to real servers through a VIP, by NAT, direct routing and tunnelling.

    All of it in network namespaces of its own; nothing of this machine is touched. Ends
    with 1 if anything was lost, unbalanced, or took the wrong way.
    """
    from vipd.cli.output import console
    from vipd.lab.demo import Settings, remove
    from vipd.lab.interrupt import interruptible
    from vipd.lab.topology import TOPOLOGIES

    settings = Settings(connections=connections, pcap=pcap and pcap.absolute(), keep=keep, name=name)
    chosen = [each for each in TOPOLOGIES.values() if method is None or each.method in method]
    screen = console()
    try:
        with interruptible():
            found = [(topology, seen) for topology in chosen for seen in _shown(screen, topology, settings)]
    except BaseException:
        if keep:  # what was to be kept would be half of it
            remove(settings)
        raise
    failed = _summary(screen, found)
    if json_file is not None:
        _write(json_file, found)
    if pcap is not None:
        screen.print(f"captures: {pcap}, a file for each port of the switch")
    if keep:
        _print_next_steps(screen, chosen, settings)
    raise typer.Exit(1 if failed else 0)


def _shown(screen: Console, topology: Topology, settings: Settings) -> list[Observed]:
    """Carries out one method, and prints each combination as it is done."""
    from vipd.lab.demo import demonstrate
    from vipd.lab.drawing import drawing
    from vipd.lab.verdict import problems

    screen.print(f"\n{topology.method.value.upper()}: {topology.summary}", style="bold")
    found = []
    # Closed at once when interrupted: its end is what removes the lab.
    with screen.status("") as status, closing(demonstrate(topology, settings, status.update)) as each:
        for seen in each:
            shares = ", ".join(f"{name} {count}" for name, count in sorted(seen.servers.items()))
            screen.print(
                f"\n{seen.transport} IPv{seen.family}: {seen.sent} sent, {seen.answered} answered ({shares})",
                style="cyan",
            )
            screen.print(drawing(seen.paths), soft_wrap=True)
            for problem in problems(topology, seen):
                screen.print(f"WRONG: {problem}", style="bold red")
            found.append(seen)
    return found


def _summary(screen: Console, found: list[tuple[Topology, Observed]]) -> bool:
    """The table of all combinations; whether anything is wrong."""
    from vipd.cli.output import grid
    from vipd.lab.verdict import as_data

    table = grid()
    for heading in ("METHOD", "OVER"):
        table.add_column(heading, no_wrap=True)
    for heading in ("SENT", "ANSWERED"):
        table.add_column(heading, justify="right", no_wrap=True)
    # Narrow enough for a terminal of 80 columns.
    for heading in ("EACH SERVER", "CLIENT", "REPLIES PASS", "RIGHT"):
        table.add_column(heading, no_wrap=True)
    failed = False
    for topology, seen in found:
        told = as_data(topology, seen)
        failed = failed or bool(told["problems"])
        table.add_row(*_row(told))
    screen.print()
    screen.print(table)
    screen.print()
    screen.print("CLIENT: whether servers saw the client's own address. REPLIES PASS: the")
    screen.print("director, with the packets that it counted, or only the router.\n")
    screen.print(
        "something is WRONG, see above" if failed else "all of it is right", style="red" if failed else "green"
    )
    return failed


def _row(told: dict[str, Any]) -> list[str]:
    replies = told["reply_packets_through_director"]
    return [
        told["method"].upper(),
        f"{told['transport']} {told['family']}",
        str(told["sent"]),
        str(told["answered"]),
        " ".join(str(count) for count in told["servers"].values()),
        "seen" if told["client_address_seen"] else "hidden",
        f"director ({replies})" if told["replies_through_director"] else "router",
        "NO" if told["problems"] else "yes",
    ]


def _write(path: Path, found: list[tuple[Topology, Observed]]) -> None:
    from vipd.lab.drawing import drawing
    from vipd.lab.verdict import as_data

    told = [as_data(topology, seen) | {"drawing": drawing(seen.paths).splitlines()} for topology, seen in found]
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    fresh.replace(path)


def _print_next_steps(screen: Console, chosen: list[Topology], settings: Settings) -> None:
    from vipd.cli.output import program
    from vipd.lab.demo import lab_name

    name, topology = lab_name(chosen[0], settings), chosen[0]
    running = [lab_name(each, settings) for each in chosen]
    vipd = program()
    which = f"{vipd} lab exec --name {name}"
    screen.print(f"\nstill running: {', '.join(running)}. What to try next:")
    for step in (
        f"{which} client -- curl -s http://{topology.vip_address(4)}/",
        f"{which} director -- vipd status --watch",
        f"{which} director -- vipd drain web4 {topology.address(topology.servers[0], 4)}",
        f"{which} director -- vipd connections --limit 10",
        f"{which} switch -- tcpdump -ni {topology.vip.segment}-{topology.director.name}",
        f"{vipd} lab down {' '.join(running)}",
    ):
        screen.print(f"  {step}")
