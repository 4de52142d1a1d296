"""`vipd frame forward`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from vipd.cli.frame.choices import Form, MethodName, Way

EXAMPLES: Final = "\n\n".join(
    (
        "Examples:",
        "vipd frame forward --method nat",
        "vipd frame forward --method tun --server 2001:db8:1::11",
        "vipd frame forward --method dr --over p2p",
        "vipd frame forward some.pcap --method nat --server 10.0.0.12:8080",
    )
)


def forward(
    method: Annotated[MethodName, typer.Option("--method", help="How packets get to the real server.")],
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="A client's Ethernet frame, as decode takes it; of a capture the first."),
    ] = None,
    digits: Annotated[str | None, typer.Option("--hex", metavar="HEX", help="The frame, as hex digits.")] = None,
    form: Annotated[Form | None, typer.Option("--form", help="What FILE holds; found out by default.")] = None,
    ipv6: Annotated[bool, typer.Option("--ipv6", help="Where no frame is given: one of IPv6.")] = False,
    server: Annotated[
        str | None, typer.Option(metavar="ADDRESS[:PORT]", help="The real server; one of the VIP's family by default.")
    ] = None,
    over: Annotated[Way, typer.Option("--over", help="The link that leads to the server.")] = Way.ETHERNET,
    everything: Annotated[bool, typer.Option("--all", help="Also each field that stays as it was.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """One packet's frame before and after the director, octet by octet: what it changes, what it leaves, and why.

    The packet's destination is taken for a VIP with this one server. Decided by the executable
    specification of the data plane; nothing is sent. Exit code 1 if the packet ends here.
    """
    from vipd.cli.frame.forwarding import Question, answer

    if not answer(Question(method, file, digits, form, ipv6, server, over, everything), as_json):
        raise typer.Exit(1)
