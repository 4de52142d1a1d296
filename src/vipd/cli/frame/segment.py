"""`vipd frame segment`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from vipd.cli.frame.choices import SegmentKind

EXAMPLES: Final = "\n\n".join(
    (
        "Examples:",
        "vipd frame segment switch",
        "vipd frame segment hub a:b b:a",
        "vipd frame segment switch a:b b:a +301 a:b a@3:b b:a",
        "vipd frame segment switch --vlan a=10 --vlan b=20 --vlan c=10,20 a:all b:all",
        "vipd frame segment hub --loop a:all",
    )
)


def segment(
    kind: Annotated[SegmentKind, typer.Argument(help="What the frames travel on.")],
    events: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="EVENT...",
            help="a:b  station a sends to b; a:all  to all; a:group  to a multicast group; a@3:b  a is at port 3 from "
            "now on; a=HEX  a sends these octets; +60  a minute passes.",
        ),
    ] = None,
    ports: Annotated[
        int | None, typer.Option(min=2, max=64, metavar="N", help="How many; 4 by default, a line has 2.")
    ] = None,
    ageing: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="switch: who is silent so long is forgotten.")
    ] = 300,
    vlans: Annotated[
        list[str] | None,
        typer.Option("--vlan", metavar="STATION=N[,N...]", help="switch: its port's VLAN; of a trunk, its VLANs."),
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Two of them, joined by two cables.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Send frames through a hub, a switch or a line in memory, and see where each leaves, and why."""
    from vipd.cli.frame.segments import Setup, play

    play(Setup(kind, tuple(events or ()), ports, ageing, tuple(vlans or ()), loop), as_json)
