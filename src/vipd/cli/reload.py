"""`vipd reload`."""

from __future__ import annotations

import typer

from vipd.cli.app import instance_of


def reload(ctx: typer.Context) -> None:
    """Apply the changed configuration file. A file with mistakes is refused and changes nothing."""
    from vipd.api.client import Client

    with Client(instance_of(ctx)) as client:
        done = client.reload()
    if not done.changes and not done.vips:
        typer.echo("nothing to change")
    else:
        typer.echo(f"services put or removed: {done.changes}; VIPs claimed or released: {done.vips}")
