"""The commands by name. Each is imported when it is called, so that one does not slow down another."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from vipd.model.instance import DEFAULT, Instance

_DIRECTOR: Final = "Director"
_REAL_SERVER: Final = "Real server"
_LINES: Final = "Links and frames"
_LAB: Final = "Try it out"


@dataclass(frozen=True, slots=True)
class _Entry:
    module: str
    function: str
    "A function, or a Typer of its own."
    panel: str
    help: str


COMMANDS: Final = {
    "check": _Entry("check", "check", _DIRECTOR, "Check a configuration file; no root needed."),
    "run": _Entry("run", "run", _DIRECTOR, "Attach, apply a configuration and stay."),
    "reload": _Entry("reload", "reload", _DIRECTOR, "Apply the changed file without touching known connections."),
    "status": _Entry("status", "status", _DIRECTOR, "Show services, servers, counters and rates."),
    "connections": _Entry("connections", "connections", _DIRECTOR, "List known connections."),
    "trace": _Entry("trace", "trace", _DIRECTOR, "Show packets as they pass, and why each went where it went."),
    "explain": _Entry("explain", "explain", _DIRECTOR, "Why a packet goes where it goes, rule by rule."),
    "test": _Entry("testing", "check_expectations", _DIRECTOR, "Check what you expect of a file; no root needed."),
    "replay": _Entry("replay", "replay", _DIRECTOR, "A capture through a configuration: what comes out."),
    "drain": _Entry("drain", "drain", _DIRECTOR, "Send a server no new connections; known ones go on."),
    "undrain": _Entry("drain", "undrain", _DIRECTOR, "Send a drained server new connections again."),
    "down": _Entry("down", "down", _DIRECTOR, "Stop forwarding and remove everything that vipd made."),
    "simulate": _Entry(
        "simulate", "simulate", _DIRECTOR, "Plan a fleet: which connections a change moves, what each server gets."
    ),
    "real-server": _Entry("real_server", "app", _REAL_SERVER, "Make this machine take traffic for a VIP."),
    "link": _Entry("link", "app", _LINES, "Point-to-point links: PPP or Cisco HDLC over a line."),
    "frame": _Entry("frame", "app", _LINES, "Read, build and explain frames bit by bit; no root needed."),
    "lab": _Entry("lab", "app", _LAB, "Network namespaces with clients, directors and real servers."),
    "demo": _Entry("demo", "demo", _LAB, "Every method on real traffic, measured and drawn."),
}


class _Commands(TyperGroup):
    """Help, completion and suggestions see names and one line each; what is called is imported."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in COMMANDS.items():
            self.add_command(TyperCommand(name, help=entry.help, rich_help_panel=entry.panel))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            # What pydantic begins a refusal with, from which nobody learns anything.
            error.message = error.message.removeprefix("Value error, ")
            raise

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, known, rest = super().resolve_command(ctx, args)
        return name, known and _load(str(known.name)), rest


def _load(name: str) -> Any:
    entry = COMMANDS[name]
    target = getattr(import_module(f"vipd.cli.{entry.module}"), entry.function)
    if not isinstance(target, typer.Typer):
        alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
        examples = getattr(import_module(f"vipd.cli.{entry.module}"), "EXAMPLES", {}).get(name)
        alone.command(name, epilog=examples)(target)
        target = alone
    command = typer.main.get_command(target)
    command.name = name
    return command


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"vipd {version('vipd')}")
        raise typer.Exit


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with 'vipd demo', which needs no configuration, or with 'vipd check vipd.yaml'.",
)


@app.callback()
def vipd(
    ctx: typer.Context,
    instance: Annotated[
        str,
        typer.Option(envvar="VIPD_INSTANCE", help="Which of several directors on this machine.", metavar="NAME"),
    ] = DEFAULT,
    version: Annotated[  # noqa: ARG001, its callback has ended the program where it is set
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """A linux director: hands connections to a VIP on to real servers, by NAT, direct routing and tunnelling."""
    ctx.obj = Instance(instance)


def instance_of(ctx: typer.Context) -> Instance:
    instance = ctx.find_root().obj
    assert isinstance(instance, Instance)
    return instance
