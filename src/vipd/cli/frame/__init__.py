"""`vipd frame`: frames read and built, on a line and off it. Needs neither root nor a network."""

from __future__ import annotations

from typing import Final

import typer

from vipd.cli.frame import decode, encode, forward, segment

_HELP: Final = "Look at frames bit by bit: read them, build them, see what a segment or the director does with them."

app: Final = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, rich_markup_mode="rich")
app.command(epilog=decode.EXAMPLES)(decode.decode)
app.command(epilog=segment.EXAMPLES)(segment.segment)
app.command(epilog=forward.EXAMPLES)(forward.forward)
app.add_typer(encode.app, name="encode")
