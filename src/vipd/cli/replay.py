"""`vipd replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from vipd.cli.app import instance_of

EXAMPLES: Final = {
    "replay": "Examples:\n\nvipd replay monday.pcap -c vipd.yaml --out sent.pcap\n\n"
    "vipd replay monday.pcap -c vipd.yaml --picture load.svg\n\n"
    "tcpdump -w - -r monday.pcap 'host 192.0.2.10' | vipd replay - -c vipd.yaml --json\n\n"
    "vipd replay monday.pcap -c vipd.yaml --live"
}


def replay(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A capture, pcap or pcapng; - is the standard input.")],
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            help="A configuration alone, not the running director's; needs no root, but with --live.",
        ),
    ] = None,
    live: Annotated[
        bool,
        typer.Option(
            "--live", help="Through the BPF program too, on maps of its own, as root; exit code 1 if it disagrees."
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="What came out, as a capture.")
    ] = None,
    picture: Annotated[Path | None, typer.Option(metavar="FILE", help="Load over time: .svg, .png or .pdf.")] = None,
    secret: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With -c: the director's secret, for sh and mh.")
    ] = None,
    mtu: Annotated[int, typer.Option(metavar="BYTES", help="With -c: of the ways to servers.")] = 1500,
    interface: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="By which all frames come in; where their senders are by default."),
    ] = None,
    keep_macs: Annotated[
        bool,
        typer.Option("--keep-macs", help="Leave destinations as they are; else frames are taken as the director's."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one JSON document.")] = False,
) -> None:
    """A capture through a director: what came out, what each server got, how packets ended.

    Without -c the running director's configuration and routes are read; its connections are not.
    Time passes as in the capture: connections expire. Ctrl-C ends it with what there is so far.
    """
    from vipd.cli.replaying import Wanted, replay_to

    replay_to(Wanted(instance_of(ctx), file, config, live, out, picture, secret, mtu, interface, keep_macs, as_json))
