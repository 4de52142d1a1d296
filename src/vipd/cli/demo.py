"""`vipd demo`."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from vipd.errors import ConfigError, Problem
from vipd.model.director import Method

if TYPE_CHECKING:
    from rich.console import Console

    from vipd.lab.demo import Settings
    from vipd.lab.topology import Topology
    from vipd.lab.verdict import Across, Observed

EXAMPLES: Final = {
    "demo": "Examples:\n\nvipd demo\n\nvipd demo --method dr --keep\n\nvipd demo --topology p2p --pcap /tmp/captures"
}


def demo(
    method: Annotated[list[Method] | None, typer.Option("--method", help="This method only; may be repeated.")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--topology", metavar="NAME", help="This network only: nat, dr, tun or p2p; may be repeated."),
    ] = None,
    connections: Annotated[int, typer.Option("--connections", min=3, max=100_000, help="For each combination.")] = 300,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all of it as JSON.")] = None,
    pcap: Annotated[Path | None, typer.Option("--pcap", metavar="DIR", help="Capture at every hop.")] = None,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Of the labs, which are called NAME-nat and so on.")
    ] = "demo",
    keep: Annotated[bool, typer.Option("--keep", help="Leave the labs running, to try more.")] = False,
) -> None:
    """Real clients talk to real servers through a VIP, by NAT, direct routing and tunnelling, and over a line.

    All of it in network namespaces of its own; nothing of this machine is touched. Ends
    with 1 if anything was lost, unbalanced, or took the wrong way.
    """
    from vipd.cli.output import console
    from vipd.lab.demo import Settings, remove
    from vipd.lab.interrupt import interruptible
    from vipd.lab.lab import require_root

    methods = frozenset(method or Method)
    settings = Settings(connections, pcap and pcap.absolute(), keep, name, methods)
    chosen = _chosen(only, methods)
    if json_file is not None:
        _require_place("--json", json_file, json_file.parent)
    if pcap is not None:
        _require_place("--pcap", pcap, pcap)
    require_root()
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
        screen.print(f"captures: {pcap}, a file for each port of the switch and each line")
    if keep:
        _print_next_steps(screen, chosen, settings)
    raise typer.Exit(1 if failed else 0)


def _require_place(option: str, named: Path, folder: Path) -> None:
    """Before the demo, which takes its time."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            [Problem(option, f"{folder} is no directory and cannot become one: {error.strerror}")]
        ) from None
    if named != folder and named.is_dir():
        raise ConfigError([Problem(option, f"{named} is a directory; a file is needed")])


def _chosen(names: list[str] | None, methods: frozenset[Method]) -> list[Topology]:
    from vipd.lab.topology import TOPOLOGIES, methods_of

    if unknown := [name for name in names or () if name not in TOPOLOGIES]:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(TOPOLOGIES)}", param_hint="--topology")
    named = [topology for name, topology in TOPOLOGIES.items() if not names or name in names]
    chosen = [topology for topology in named if methods & {*methods_of(topology)}]
    if not chosen:
        shown = [str(method) for topology in named for method in methods_of(topology)]
        raise typer.BadParameter(f"{', '.join(names or ())} shows {' and '.join(shown)} only", param_hint="--method")
    return chosen


def _shown(screen: Console, topology: Topology, settings: Settings) -> list[Observed | Across]:
    """Carries out one topology, and prints each combination as it is done."""
    from vipd.lab.demo import demonstrate
    from vipd.lab.verdict import Observed, problems, problems_across

    screen.print(f"\n{topology.name.upper()}: {topology.summary}", style="bold")
    found = []
    # Closed at once when interrupted: its end is what removes the lab.
    with screen.status("") as status, closing(demonstrate(topology, settings, status.update)) as each:
        for seen in each:
            if isinstance(seen, Observed):
                _show(screen, topology, seen)
                wrong = problems(topology, seen)
            else:
                _show_across(screen, seen)
                wrong = problems_across(seen)
            for problem in wrong:
                screen.print(f"WRONG: {problem}", style="bold red")
            found.append(seen)
    return found


def _show(screen: Console, topology: Topology, seen: Observed) -> None:
    from vipd.lab.drawing import drawing
    from vipd.lab.topology import methods_of

    shares = ", ".join(f"{name} {count}" for name, count in sorted(seen.servers.items()))
    by = f" by {seen.service.method}" if len(methods_of(topology)) > 1 else ""
    counts = f"{seen.sent} sent, {seen.answered} answered ({shares})"
    screen.print(f"\n{seen.service.transport} IPv{seen.family}{by}: {counts}", style="cyan")
    screen.print(drawing(seen.paths), soft_wrap=True)


def _show_across(screen: Console, seen: Across) -> None:
    screen.print("\ndr over the line: refused by 'vipd check' and 'vipd run'", style="cyan")
    screen.print(seen.refusal, soft_wrap=True)
    told = f"{seen.seen} frames, {seen.carried} with requests; one of each kind, by 'vipd frame decode'"
    screen.print(f"\non the line: {told}", style="cyan")
    for frame in seen.frames:
        screen.print(frame, soft_wrap=True)
    screen.print("\none of them between its flags, each bit as it is on the line, ▲ a stuffed one:", style="cyan")
    screen.print(seen.bits, soft_wrap=True, highlight=False)


def _summary(screen: Console, found: list[tuple[Topology, Observed | Across]]) -> bool:
    """The table of all combinations; whether anything is wrong."""
    from vipd.cli.output import grid
    from vipd.lab.verdict import Observed, as_data, problems_across

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
        if not isinstance(seen, Observed):
            failed = failed or any(problems_across(seen))
            continue
        told = as_data(topology, seen)
        failed = failed or bool(told["problems"])
        table.add_row(*_row(topology, told))
    screen.print()
    screen.print(table)
    screen.print()
    screen.print("CLIENT: whether servers saw the client's own address. REPLIES PASS: the")
    screen.print("director, with the packets that it counted, or only the router.\n")
    screen.print(
        "something is WRONG, see above" if failed else "all of it is right", style="red" if failed else "green"
    )
    return failed


def _row(topology: Topology, told: dict[str, Any]) -> list[str]:
    from vipd.lab.topology import methods_of

    replies = told["reply_packets_through_director"]
    return [
        told["method"].upper() + (f" {topology.name}" if len(methods_of(topology)) > 1 else ""),
        f"{told['transport']} {told['family']}",
        str(told["sent"]),
        str(told["answered"]),
        " ".join(str(count) for count in told["servers"].values()),
        "seen" if told["client_address_seen"] else "hidden",
        f"director ({replies})" if told["replies_through_director"] else "router",
        "NO" if told["problems"] else "yes",
    ]


def _write(path: Path, found: list[tuple[Topology, Observed | Across]]) -> None:
    from vipd.lab.drawing import drawing
    from vipd.lab.verdict import Observed, across_as_data, as_data

    told = [
        as_data(topology, seen) | {"drawing": drawing(seen.paths).splitlines()}
        if isinstance(seen, Observed)
        else across_as_data(topology, seen)
        for topology, seen in found
    ]
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
