"""`vipd lab`: networks of namespaces to try a director in."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from vipd.cli.output import program
from vipd.errors import ConfigError, Problem
from vipd.lab.lab import Lab, instance_of, names
from vipd.lab.lab import down as take_down
from vipd.lab.topology import TOPOLOGIES, Topology

_HELP: Final = """Networks of namespaces to try a director in: clients, a router, real servers, a director.

Topologies: """ + "; ".join(f"{each.name}: {each.summary}" for each in TOPOLOGIES.values())
app: Final = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, rich_markup_mode="rich")

Name = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="Name of the lab.  [default: the topology's]", autocompletion=names),
]


@app.command()
def up(
    topology: Annotated[
        str, typer.Argument(help=", ".join(TOPOLOGIES), metavar="TOPOLOGY", autocompletion=lambda: [*TOPOLOGIES])
    ],
    name: Name = None,
    run: Annotated[bool, typer.Option("--run", help="Start the director too.")] = False,
) -> None:
    """Set up the network and its real servers. Done again it changes nothing; interrupted it leaves nothing."""
    lab = Lab(_topology(topology), name)
    fresh = lab.up()
    typer.echo(f"lab {lab.name}: {'up' if fresh else 'was up already'}")
    if run and fresh:
        from vipd.lab.director import Director

        Director(lab).start()
    typer.echo(_next_steps(lab, run))


@app.command()
def down(
    labs: Annotated[
        list[str] | None,
        typer.Argument(help="Names of labs; all labs without.", metavar="LAB", autocompletion=names),
    ] = None,
    name: Name = None,
) -> None:
    """Remove labs and everything that was started in them."""
    chosen = [*(labs or []), *([name] if name else [])] or names()
    for each in chosen:
        typer.echo(f"lab {each}: {'removed' if take_down(each) else 'was not there'}")
    if not chosen:
        typer.echo("no lab is up")


@app.command("list")
def list_labs() -> None:
    """Show the labs that are up, their hosts and addresses."""
    for name in names():
        try:
            lab = Lab.found(name)
        except ConfigError:
            typer.echo(f"{name}: not set up yet, or not to the end")
            continue
        typer.echo(f"{name}: {lab.topology.summary}")
        for host in lab.topology.hosts:
            addresses = ", ".join(
                str(interface)
                for link in host.links
                for interface in lab.topology.segment(link.segment).interfaces(link.number)
            )
            typer.echo(f"  {host.name:<10} {addresses}")
    if not names():
        typer.echo("no lab is up")


@app.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def execute(
    host: Annotated[
        str, typer.Argument(help="client, router, director, server1, ...", metavar="HOST", autocompletion=_hosts)
    ],
    command: Annotated[list[str], typer.Argument(help="What to carry out there.", metavar="-- CMD")],
    name: Name = None,
) -> None:
    """Carry out a command on a host. With several labs up, say which by --name (before HOST)."""
    lab = Lab.found(_only(name))
    known = [*(each.name for each in lab.topology.hosts), "switch"]
    if host not in known:
        raise _refusal(f"lab {lab.name} has no host {host!r}; it has {', '.join(known)}")
    arguments = lab.command(host, command)
    os.environ["VIPD_INSTANCE"] = instance_of(lab.name, host)
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # where this very vipd is
    os.execvp(arguments[0], arguments)


def _hosts() -> list[str]:
    """Of any lab, to complete."""
    return sorted({host.name for topology in TOPOLOGIES.values() for host in topology.hosts})


def _topology(name: str) -> Topology:
    if name not in TOPOLOGIES:
        raise _refusal(f"there is no topology {name!r}; there are {', '.join(TOPOLOGIES)}")
    return TOPOLOGIES[name]


def _only(name: str | None) -> str:
    present = names()
    if name is None and len(present) != 1:
        raise _refusal(f"say which lab by --name: {', '.join(present)}" if present else "no lab is up")
    return name or present[0]


def _refusal(message: str) -> ConfigError:
    return ConfigError([Problem("", message)])


def _next_steps(lab: Lab, running: bool) -> str:
    client, vip = lab.topology.client.name, lab.topology.vip_address(4)
    vipd = program()
    which = f"{vipd} lab exec --name {lab.name}"
    steps = [] if running else [f"{which} director -- vipd run -c {lab.configuration}"]
    steps += [
        f"{which} {client} -- curl -s http://{vip}/",
        f"{which} director -- vipd status",
        f"{vipd} lab down {lab.name}",
    ]
    return "\n".join(["next:", *(f"  {step}" for step in steps)])


if __name__ == "__main__":
    app(prog_name="vipd lab")
