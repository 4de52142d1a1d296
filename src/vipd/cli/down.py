"""`vipd down`."""

from __future__ import annotations

import logging

import typer

from vipd.cli.app import instance_of


def down(ctx: typer.Context) -> None:
    """Stop the daemon, stop forwarding, and remove everything that vipd made on this machine.

    Connections are forgotten; VIPs that were there before vipd stay. Run twice, it does nothing.
    """
    from vipd.api.client import Client, NotRunningError
    from vipd.daemon.down import down as remove_all

    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    instance = instance_of(ctx)
    try:
        with Client(instance) as client:
            client.stop()
    except NotRunningError:
        pass  # what it left is removed all the same
    found = remove_all(instance)
    typer.echo("forwarding stopped, everything removed" if found else f"nothing to remove for {instance.name!r}")
