"""`vipd simulate`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from vipd.model.director import Scheduler

EXAMPLES: Final = {
    "simulate": "Examples:\n\n"
    "vipd simulate -c vipd.yaml --change 'remove web 10.0.0.12'\n\n"
    "vipd simulate -c vipd.yaml --directors 10 --change 'remove director 3' --flows zipf:10M --plot fleet.svg\n\n"
    "vipd simulate -c vipd.yaml --flows yesterday.pcap --scheduler mh --scheduler wlc\n\n"
    "Changes, each at its moment or all evenly spread (@2m remove web 10.0.0.12):\n\n"
    "add SERVICE SERVER \\[weight N] \\[method nat|dr|tun]   remove SERVICE SERVER   weight SERVICE SERVER N\n\n"
    "drain SERVICE SERVER   undrain SERVICE SERVER   scheduler SERVICE NAME\n\n"
    "remove director NUMBER   add director   directors K"
}


Config = Annotated[Path, typer.Option("-c", "--config", help="The configuration file.", metavar="FILE")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--change", help="What happens, in this order; may be repeated. See below.", metavar="CHANGE"),
]
Given = Annotated[
    str,
    typer.Option(
        "--flows",
        help="Made up, zipf:N\\[:EXPONENT] or uniform:N; or a file: a capture, or a list with "
        "client,port,start,duration,service in a line.",
        metavar="FLOWS",
    ),
]
Directors = Annotated[int, typer.Option("--directors", help="Behind one router, by ECMP.", metavar="K")]
Ecmp = Annotated[
    str, typer.Option("--ecmp", help="How the router spreads flows: resilient, threshold or modulo.", metavar="HOW")
]
Schedulers = Annotated[
    list[Scheduler] | None,
    typer.Option("--scheduler", help="Compare this one; may be repeated. Without it: all.", metavar="NAME"),
]
Clients = Annotated[
    str | None, typer.Option("--clients", help="How many; without it a tenth of the flows.", metavar="N")
]
Rate = Annotated[
    str | None,
    typer.Option("--rate", help="New connections a second; without it all begin within 10 minutes.", metavar="N"),
]
Lasting = Annotated[
    str, typer.Option("--duration", help="Mean of a connection; also lognormal:60s or fixed:60s.", metavar="TIME")
]
Seed = Annotated[int, typer.Option("--seed", help="Another one makes other flows.", min=0)]
Plot = Annotated[Path | None, typer.Option("--plot", help="Draw it: .svg, .png or .pdf.", metavar="FILE")]
AsJson = Annotated[bool, typer.Option("--json", help="Print everything as JSON.")]


def simulate(
    config: Config,
    changes: Changes = None,
    flows: Given = "zipf:100k",
    directors: Directors = 1,
    ecmp: Ecmp = "resilient",
    schedulers: Schedulers = None,
    clients: Clients = None,
    rate: Rate = None,
    duration: Lasting = "60s",
    seed: Seed = 1,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Carry connections through changes, and see which move and what each server gets. No root, no daemon.

    Every choice is the data plane's own, flow for flow. First as the file says, then with
    each scheduler for all services.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from vipd.cli.simulation import options, picture, show, work
    from vipd.config import load
    from vipd.plot import require
    from vipd.simulation.staging import Asked

    if plot is not None:
        require(plot)
    looks = picture.LOOKS if plot is not None else 0
    asked = Asked(load(config).director, tuple(changes or ()), directors, options.ecmp(ecmp), seed, looks)
    asked.situations  # noqa: B018, wrong changes are told before anything is read
    given = work.Given(
        flows,
        options.number("--clients", clients) if clients is not None else None,
        float(options.number("--rate", rate)) if rate is not None else None,
        options.duration(duration),
    )
    result = work.carried_out(asked, given, schedulers or list(Scheduler))
    if plot is not None:
        picture.draw(result, plot)
    if as_json:
        show.as_json(result)
    else:
        show.tables(result)
