"""`vipd link`: point-to-point links over serial lines, pseudo-terminals, TCP and programs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from vipd.cli import link_options as given
from vipd.errors import ConfigError
from vipd.link.options import (
    Auth,
    Keepalive,
    Options,
    Proof,
    default_accm,
    parse_accm,
    parse_address,
    parse_ends,
    parse_route,
)
from vipd.model.line import parse_place
from vipd.model.link import Encapsulation, Framing
from vipd.model.peer import ROOT, Peer

if TYPE_CHECKING:
    from vipd.api.link import LinkStatus

_HELP: Final = """Point-to-point links to peers far away: IP packets in PPP or Cisco HDLC frames over a line.

A link is not encrypted; whoever reads the line reads the packets.
"""
_EXAMPLES: Final = """Examples:

vipd link up --peer paris --over serial:/dev/ttyS0,115200 --ipv4 10.9.0.1:10.9.0.2

vipd link up --peer paris --over tcp-listen:0.0.0.0:7000 --ipv4 10.9.0.1:10.9.0.2 --auth chap --secrets secrets

vipd link up --peer rome --over tcp:paris.example:7000 --ipv4 : --user rome --secrets secrets
"""
app: Final = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, rich_markup_mode="rich")


def names() -> list[str]:
    """Of links that run here, or ran and left something."""
    try:
        return sorted(path.name for path in ROOT.iterdir())
    except OSError:
        return []


@app.command(epilog=_EXAMPLES)
def up(
    peer: given.PeerName,
    over: given.Over,
    framing: given.Framed = Framing.ASYNC,
    encapsulation: given.Encapsulated = Encapsulation.PPP,
    ipv4: given.Ipv4 = None,
    ipv6: given.Ipv6 = False,
    address: given.Addresses = None,
    route: given.Routes = None,
    interface: given.Interface = None,
    auth: given.Authenticated = Auth.NONE,
    user: given.User = None,
    allow_pap: given.AllowPap = False,
    peer_user: given.PeerUser = None,
    secrets: given.Secrets = None,
    chap_interval: given.ChapInterval = 0.0,
    mru: given.Mru = 1500,
    accm: given.Accm = None,
    fcs: given.Fcs = 16,
    echo_interval: given.EchoInterval = 10.0,
    echo_failures: given.EchoFailures = 3,
    compress: given.Compress = True,
    pcap: given.Pcap = None,
    verbose: given.Verbose = False,
) -> None:
    """Bring a link up and stay: open the line, agree with the peer, keep it alive, try again when it is lost.

    SIGTERM or Ctrl-C ends it with a word to the peer; a second one at once.
    """
    with _told_of_options():
        place, named = parse_place(over), Peer(peer)
        options = Options(
            peer=named,
            place=place,
            interface=interface or named.name,
            framing=framing,
            encapsulation=encapsulation,
            ipv4=None if ipv4 is None else parse_ends(ipv4),
            ipv6=ipv6,
            addresses=tuple(map(parse_address, address or ())),
            routes=tuple(map(parse_route, route or ())),
            proof=Proof(auth, user, allow_pap, peer_user, secrets, chap_interval),
            keepalive=Keepalive(echo_interval, echo_failures),
            mru=mru,
            accm=default_accm(place) if accm is None else parse_accm(accm),
            fcs=fcs,
            compress=compress,
            pcap=pcap,
        )
        _bring_up(options, verbose)


@contextmanager
def _told_of_options() -> Iterator[None]:
    """A setting that cannot be is named as it was given here."""
    try:
        yield
    except ConfigError as error:
        named = (replace(each, path=f"--{each.path}") if not each.file else each for each in error.problems)
        raise ConfigError(named) from None


def _bring_up(options: Options, verbose: bool) -> None:
    from vipd.cli.run import keep_numpy_alone, log_to_stderr

    keep_numpy_alone()
    from vipd.link.run import up as bring_up

    log_to_stderr(verbose)
    bring_up(options, os.environ)


@app.command()
def status(
    name: Annotated[str | None, typer.Argument(help="Of the link; all links without.", autocompletion=names)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON: one link, or a list of all.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Again every second, until Ctrl-C.")] = False,
) -> None:
    """Show phase, what was agreed, addresses, frames, faults and losses. Without NAME, a line for each link."""
    import json

    from vipd.cli.link_view import all_links, one_link
    from vipd.cli.output import console
    from vipd.cli.status import watched

    if as_json and watch:
        raise typer.BadParameter("--json prints once; ask again for another", param_hint="--watch")
    if as_json:
        found, silent = ([_status(name)], []) if name is not None else _statuses()
        told = [each.model_dump(mode="json") for each in found]
        typer.echo(json.dumps(told if name is None else told[0], indent=2))
        for each in silent:
            typer.echo(f"vipd: {each}", err=True)
        return
    screen = console()

    def view() -> Any:
        return all_links(*_statuses(), screen) if name is None else one_link(_status(name))

    if watch:
        watched(screen, view)
    else:
        screen.print(view())


@app.command()
def down(
    name: Annotated[str, typer.Argument(help="Of the link.", autocompletion=names)],
) -> None:
    """End a link, with a word to its peer, and wait until nothing is left of it."""
    from vipd.link.down import down as take_down

    typer.echo(f"link {name}: {'ended' if take_down(Peer(name)) else 'did not run'}")


def _status(name: str) -> LinkStatus:
    from vipd.api.link import LinkClient

    with LinkClient(Peer(name)) as client:
        return client.status()


def _statuses() -> tuple[list[LinkStatus], list[str]]:
    """Of all links that answer; and of those that run and do not, what to say."""
    from vipd.api.caller import NotRunningError, SilentError

    found, silent = [], []
    for each in names():
        try:
            found.append(_status(each))
        except NotRunningError:
            continue  # it was killed, and left its directory
        except SilentError as error:
            silent.append(str(error))
    return found, silent


if __name__ == "__main__":
    app(prog_name="vipd link")
