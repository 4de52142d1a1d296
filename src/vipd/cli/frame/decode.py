"""`vipd frame decode`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from vipd.cli.frame.choices import Fcs, Form, Framing, Modulo, Protocol

EXAMPLES: Final = "\n\n".join(
    (
        "Examples:",
        "vipd frame decode hdlc --bits 01001111110001111100111",
        "vipd frame decode ppp --hex '7eff7d23c0217d216d7d207d243f7d357e'",
        "vipd frame decode ethernet capture.pcap --brief",
        "vipd frame decode cisco-hdlc - < line.bits",
    )
)


def decode(
    protocol: Annotated[Protocol, typer.Argument(help="What the frames are.")],
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="A capture, octets, or text with bits or hex digits; - is stdin."),
    ] = None,
    bits: Annotated[str | None, typer.Option("--bits", metavar="BITS", help="The bits of a line, as 0 and 1.")] = None,
    digits: Annotated[str | None, typer.Option("--hex", metavar="HEX", help="Octets, as hex digits.")] = None,
    form: Annotated[Form | None, typer.Option("--form", help="What FILE holds; found out by default.")] = None,
    framing: Annotated[
        Framing | None,
        typer.Option(
            "--framing",
            help="bit: a line with flags and stuffed bits, or with Ethernet's preamble; async: flags and escapes; "
            "none: frames alone. By default bits are a line's, and octets are if they begin like one.",
        ),
    ] = None,
    msb: Annotated[bool, typer.Option("--msb", help="The highest bit of an octet is its first on the line.")] = False,
    fcs: Annotated[Fcs, typer.Option("--fcs", help="auto: whichever is right.")] = Fcs.AUTO,
    modulo: Annotated[Modulo, typer.Option("--modulo", help="HDLC: how far frames are counted.")] = Modulo.EIGHT,
    extended: Annotated[bool, typer.Option("--extended-address", help="HDLC: an address may go on.")] = False,
    accm: Annotated[
        str, typer.Option("--accm", metavar="HEX", help="async: which control characters are dropped where bare.")
    ] = "0",
    count: Annotated[
        int | None, typer.Option("--count", min=1, max=10**9, metavar="N", help="Only the first N frames, in full.")
    ] = None,
    brief: Annotated[bool, typer.Option("--brief", help="One line for each frame.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Leave nothing out of what is long, and show every frame in full.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Take frames apart: flags, stuffed bits and every field in its place, and what is wrong with them.

    Exit code 1 if something is wrong with a frame, 2 if the input is none.
    """
    from vipd.cli.frame.looking import Request, look
    from vipd.cli.frame.source import given

    request = Request(protocol, framing, msb, fcs, modulo, extended, accm, count, brief, everything, as_json)
    with given(file, bits, digits, form) as source:
        right = look(source, request)
    if not right:
        raise typer.Exit(1)
