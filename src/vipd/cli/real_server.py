"""`vipd real-server`: set this machine up to take the traffic of a VIP, and back."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from vipd.cli.app import instance_of
from vipd.model import instance as instances
from vipd.model.director import Address, Method, Network
from vipd.realserver import run
from vipd.realserver.options import Decapsulation, Options, Via

_HELP: Final = """Set this machine up as a real server: it takes traffic for a VIP and never answers ARP for it.

Under NAT nothing is needed here but a default route by way of the director.
"""
app: Final = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False)

Instance = Annotated[
    str | None, typer.Option("--instance", metavar="NAME", help="Which set-up; several can live side by side.")
]
Print = Annotated[bool, typer.Option("--print", help="Show the plain ip, sysctl, nft and bpftool commands; run none.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def _address(text: str) -> Address:
    try:
        return ip_address(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no IPv4 or IPv6 address") from error


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no address and no prefix ({error})") from error


Vips = Annotated[list[Any], typer.Option("--vip", parser=_address, metavar="ADDRESS", help="The VIP; may be repeated.")]
_Method = Annotated[Method, typer.Option("--method", help="The director's forwarding method.")]
_Via = Annotated[
    Via | None,
    typer.Option(
        "--via",
        help="dummy, loopback: the VIP is an address there. redirect: nftables hands packets for it to the "
        "server's own address. Default: dummy where the kernel has it, else loopback.",
    ),
]
Ports = Annotated[
    list[int] | None,
    typer.Option("--port", metavar="PORT", help="redirect: take this TCP and UDP port only; may be repeated."),
]
Interfaces = Annotated[
    list[str] | None,
    typer.Option("--interface", metavar="NAME", help="Where the director's packets come in. Default: all."),
]
Addresses = Annotated[
    list[Any] | None,
    typer.Option("--address", parser=_address, metavar="ADDRESS", help="tun: own address sent to. Default: all."),
]
Directors = Annotated[
    list[Any] | None,
    typer.Option(
        "--director",
        parser=_network,
        metavar="PREFIX",
        help="tun: believe tunnelled packets from there only (a director's default is 172.16.0.0/16 and 100::/64).",
    ),
]
_Decapsulation = Annotated[
    Decapsulation | None,
    typer.Option("--decapsulation", help="tun: who unpacks. Default: kernel where it can, else bpf."),
]


def _instance(ctx: typer.Context, given: str | None) -> str:
    """`vipd --instance NAME real-server up` means the same as `vipd real-server up --instance NAME`."""
    return instance_of(ctx).name if given is None else instances.Instance(given).name


@app.command()
def up(
    ctx: typer.Context,
    vip: Vips,
    method: _Method,
    via: _Via = None,
    port: Ports = None,
    interface: Interfaces = None,
    address: Addresses = None,
    director: Directors = None,
    decapsulation: _Decapsulation = None,
    instance: Instance = None,
    show: Print = False,
) -> None:
    """Take the traffic of a VIP. Doing it again changes nothing; with other options, only what differs."""
    options = Options(
        vips=tuple(dict.fromkeys(vip)),
        method=method,
        instance=_instance(ctx, instance),
        via=via,
        ports=tuple(port or ()),
        interfaces=tuple(interface or ()),
        addresses=tuple(address or ()),
        directors=tuple(director or ()),
        decapsulation=decapsulation,
    )
    if show:
        _show(run.commands(options))
    else:
        _tell(run.up(options))


@app.command()
def down(ctx: typer.Context, instance: Instance = None, show: Print = False) -> None:
    """Undo exactly what `up` did, also after a crash in the middle of it."""
    if show:
        _show(run.undoing(_instance(ctx, instance)))
    else:
        for left in run.down(_instance(ctx, instance)):
            typer.echo(left, err=True)


@app.command()
def status(ctx: typer.Context, instance: Instance = None, as_json: AsJson = False) -> None:
    """What is in force, and what is missing or was changed by others (exit status 1)."""
    name = _instance(ctx, instance)
    report = run.status(name)
    if report is None:
        typer.echo(f"instance {name}: no real server is set up here", err=True)
        raise typer.Exit(1)
    if as_json:
        typer.echo(json.dumps(_as_data(report), indent=2))
    else:
        _tell(report)
    if not report.complete:
        raise typer.Exit(1)


def _show(commands: tuple[str, ...]) -> None:
    for command in commands:
        typer.echo(command)


def _as_data(report: run.Report) -> dict[str, Any]:
    options = report.options
    return {
        "instance": options.instance,
        "vips": [str(vip) for vip in options.vips],
        "method": options.method,
        "via": options.via,
        "decapsulation": options.decapsulation,
        "interfaces": list(options.interfaces),
        "complete": report.complete,
        "steps": [
            {"step": item.step.key, "state": item.lack or "ok", "ours": item.ours} for item in report.items
        ],
        "outcomes": dict(report.outcomes),
    }  # fmt: skip


def _tell(report: run.Report) -> None:
    options = report.options
    how = f"{options.method} via {options.via}"
    if options.decapsulation:
        how += f", decapsulation by {options.decapsulation}"
    console = Console(highlight=False)
    console.print(f"real server for {', '.join(map(str, options.vips))}: {how}", soft_wrap=True)
    table = Table("step", "state", "made by", box=None, pad_edge=False)
    for item in report.items:
        state = "[green]ok[/]" if not item.lack else f"[red]{item.lack}[/]"
        table.add_row(item.step.key, state, "vipd" if item.ours else "others" if not item.lack else "-")
    console.print(table)
    counted = {name: count for name, count in report.outcomes.items() if count}
    if counted:
        frames = Table("outcome", "frames", box=None, pad_edge=False)
        for name, count in counted.items():
            frames.add_row(name, str(count))
        console.print(frames)
