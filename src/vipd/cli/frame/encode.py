"""`vipd frame encode`: a command for each protocol, with its own fields."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from vipd.cli.frame.choices import Fcs, Form, Framing, Modulo, Protocol

_HELP: Final = """Build a frame from its fields and what it carries, and put it on a line: flags, stuffing, FCS.

What comes out is what decode takes: vipd frame encode hdlc --control SABM | vipd frame decode hdlc -
"""
app: Final = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, rich_markup_mode="rich")

File = Annotated[
    str | None,
    typer.Argument(metavar="FILE", help="What it carries: octets, or text with bits or hex digits; - is stdin."),
]
Digits = Annotated[str | None, typer.Option("--hex", metavar="HEX", help="What it carries, as hex digits.")]
Text = Annotated[str | None, typer.Option("--text", metavar="TEXT", help="What it carries, as it is.")]
Line = Annotated[
    Framing | None,
    typer.Option(
        "--framing",
        help="bit: flags and stuffed bits, or Ethernet's preamble; async: flags and escapes; none: the frame alone."
        " By default bit, or none where a capture is written.",
    ),
]
Check = Annotated[Fcs, typer.Option("--fcs", help="auto: 16 (Ethernet: 32) on a line, none where the frame is alone.")]
Msb = Annotated[bool, typer.Option("--msb", help="The highest bit of an octet goes first.")]
Accm = Annotated[str, typer.Option("--accm", metavar="HEX", help="async: which control characters to escape.")]
As = Annotated[
    Form | None, typer.Option("--as", help="What to write; by default the bits of a bit line, else hex digits.")
]
Out = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to, instead of the terminal.")]
_ALL: Final = "ffffffff"


@app.command(epilog="Example: vipd frame encode hdlc --address 03 --control I --ns 2 --nr 5 --text hello")
def hdlc(
    file: File = None,
    digits: Digits = None,
    text: Text = None,
    address: Annotated[str, typer.Option(metavar="HEX", help="One octet, or more that end with an odd one.")] = "ff",
    control: Annotated[
        str, typer.Option(metavar="KIND", help="I; RR, RNR, REJ, SREJ; UI, SABM, UA, DISC and the others of its kind.")
    ] = "UI",
    sent: Annotated[
        int | None, typer.Option("--ns", metavar="N", help="N(S) of an I frame: its number; 0 by default.")
    ] = None,
    expected: Annotated[int, typer.Option("--nr", metavar="N", help="N(R): the number that is expected next.")] = 0,
    poll: Annotated[bool, typer.Option("--poll", help="Set the poll or final bit.")] = False,
    modulo: Annotated[Modulo, typer.Option(help="How far frames are counted.")] = Modulo.EIGHT,
    framing: Line = None,
    fcs: Check = Fcs.AUTO,
    msb: Msb = False,
    accm: Accm = _ALL,
    form: As = None,
    out: Out = None,
) -> None:
    """An HDLC frame: address, control field, and perhaps octets."""
    from vipd.cli.frame.building import Way, hdlc_frame, payload, write

    frame = hdlc_frame(address, control, sent, expected, poll, modulo, payload(file, digits, text))
    write(frame, Protocol.HDLC, Way(framing, fcs, msb, accm, form, out))


@app.command(epilog="Example: vipd frame encode ppp --protocol lcp --code 1 --hex '0104 05dc' --framing async")
def ppp(
    file: File = None,
    digits: Digits = None,
    text: Text = None,
    protocol: Annotated[
        str | None,
        typer.Option(metavar="NAME|HEX", help="lcp, ipcp, c021, ...; by default IP's."),
    ] = None,
    code: Annotated[int | None, typer.Option(metavar="N", help="Make a control packet of it, of this code.")] = None,
    identifier: Annotated[int, typer.Option("--id", metavar="N", help="The control packet's identifier.")] = 1,
    compress: Annotated[bool, typer.Option("--compress", help="Leave out of the header what may be left out.")] = False,
    framing: Line = None,
    fcs: Check = Fcs.AUTO,
    msb: Msb = False,
    accm: Accm = _ALL,
    form: As = None,
    out: Out = None,
) -> None:
    """A PPP frame around an IP packet, or around a control packet of LCP, IPCP and their kind."""
    from vipd.cli.frame.building import Way, payload, ppp_frame, write

    frame = ppp_frame(protocol, code, identifier, compress, payload(file, digits, text))
    write(frame, Protocol.PPP, Way(framing, fcs, msb, accm, form, out))


@app.command("cisco-hdlc", epilog="Example: vipd frame encode cisco-hdlc --keepalive 5,4")
def cisco_hdlc(
    file: File = None,
    digits: Digits = None,
    text: Text = None,
    kind: Annotated[
        str | None, typer.Option("--type", metavar="NAME|HEX", help="cdp, 2000, ...; by default IP's.")
    ] = None,
    keepalive: Annotated[
        str | None, typer.Option(metavar="MINE,YOURS", help="Carry a keep-alive of SLARP with these numbers.")
    ] = None,
    broadcast: Annotated[bool, typer.Option("--broadcast", help="Address 8f instead of 0f.")] = False,
    framing: Line = None,
    fcs: Check = Fcs.AUTO,
    msb: Msb = False,
    accm: Accm = _ALL,
    form: As = None,
    out: Out = None,
) -> None:
    """A Cisco HDLC frame around an IP packet, or a keep-alive."""
    from vipd.cli.frame.building import Way, cisco_frame, payload, write

    frame = cisco_frame(kind, keepalive, broadcast, payload(file, digits, text))
    write(frame, Protocol.CISCO_HDLC, Way(framing, fcs, msb, accm, form, out))


@app.command(epilog="Example: vipd frame encode ethernet --type 88b5 --text hello --as capture -o hello.pcap")
def ethernet(
    file: File = None,
    digits: Digits = None,
    text: Text = None,
    to: Annotated[str, typer.Option("--to", metavar="MAC", help="The destination.")] = "ff:ff:ff:ff:ff:ff",
    by: Annotated[str, typer.Option("--from", metavar="MAC", help="The source.")] = "02:00:00:00:00:01",
    kind: Annotated[
        str | None, typer.Option("--type", metavar="NAME|HEX", help="arp, 88b5, ...; by default IP's.")
    ] = None,
    vlan: Annotated[list[int] | None, typer.Option(metavar="N", help="A tag; again for one within.")] = None,
    priority: Annotated[int, typer.Option(metavar="N", help="Of each tag, 0 to 7.")] = 0,
    framing: Line = None,
    fcs: Check = Fcs.AUTO,
    form: As = None,
    out: Out = None,
) -> None:
    """An Ethernet frame, filled up to the 60 octets that it must have."""
    from vipd.cli.frame.building import Way, ethernet_frame, payload, write

    frame = ethernet_frame(to, by, kind, tuple(vlan or ()), priority, payload(file, digits, text))
    write(frame, Protocol.ETHERNET, Way(framing, fcs, False, _ALL, form, out))
