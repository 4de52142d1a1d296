"""`vipd run`: the daemon itself."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Annotated, Final

import typer

from vipd.cli.app import instance_of

EXAMPLES: Final = {
    "run": "Examples:\n\nvipd run -c /etc/vipd/vipd.yaml\n\n"
    "nsenter --net=/run/netns/blue vipd --instance blue run -c blue.yaml"
}


def run(
    ctx: typer.Context,
    config: Annotated[Path, typer.Option("-c", "--config", help="The configuration file.", metavar="FILE")],
    detach: Annotated[
        bool, typer.Option("--detach", help="Stop forwarding when the daemon ends; without it, forwarding goes on.")
    ] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Log every step.")] = False,
) -> None:
    """Attach to the interfaces, claim the VIPs, apply the configuration and stay.

    SIGHUP or 'vipd reload' applies the changed file. SIGTERM ends the daemon and leaves
    forwarding as it is; 'vipd down' ends forwarding.
    """
    keep_numpy_alone()
    from vipd.config import load
    from vipd.daemon.start import run as run_daemon

    log_to_stderr(verbose)
    loaded = load(config)
    run_daemon(instance_of(ctx), config, loaded, detach)


def keep_numpy_alone() -> None:
    """A thread that numpy starts for itself would keep all of root's capabilities."""
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")


def log_to_stderr(verbose: bool) -> None:
    """The journal has the time already."""
    time = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    logging.basicConfig(format=f"{time}%(levelname)s %(message)s", level=logging.DEBUG if verbose else logging.INFO)
    for chatty in ("httpx", "httpcore", "uvicorn", "asyncio", "pyroute2"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
