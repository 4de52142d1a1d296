"""The options of `vipd link up`, as typer takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from vipd.link.options import Auth
from vipd.model.line import FORMS
from vipd.model.link import Encapsulation, Framing

LINE: Final = "The line"
PACKETS: Final = "Packets"
PROOF: Final = "Who is who"
FINE: Final = "Fine print"


def _option(panel: str, *declarations: str, **more: Any) -> Any:
    return typer.Option(*declarations, rich_help_panel=panel, **more)


PeerName = Annotated[str, typer.Option("--peer", help="Name of the link, and of its interface.", metavar="NAME")]
Over = Annotated[
    str,
    _option(
        LINE,
        "--over",
        help=f"{FORMS}. FLOW is rtscts or xonxoff. Without ADDRESS tcp-listen takes connections of this machine only.",
        metavar="LINE",
    ),
]
Framed = Annotated[Framing, _option(LINE, "--framing", help="Octets stuffed, or bits.")]
Encapsulated = Annotated[Encapsulation, _option(LINE, "--encapsulation", help="What is in the frames.")]
Ipv4 = Annotated[
    str | None,
    _option(PACKETS, "--ipv4", help="Carry IPv4: LOCAL:REMOTE, either empty to be told by the peer.", metavar="L:R"),
]
Ipv6 = Annotated[bool, _option(PACKETS, "--ipv6", help="Carry IPv6, with link-local addresses.")]
Addresses = Annotated[
    list[str] | None,
    _option(
        PACKETS, "--address", help="One more address while the link is up; may be repeated.", metavar="ADDRESS[/PREFIX]"
    ),
]
Routes = Annotated[
    list[str] | None,
    _option(PACKETS, "--route", help="Reached through the link while it is up; may be repeated.", metavar="PREFIX"),
]
Interface = Annotated[
    str | None,
    _option(PACKETS, "--interface", help="Name of the interface. Default: the link's.", metavar="NAME"),
]
Authenticated = Annotated[Auth, _option(PROOF, "--auth", help="By what the peer must prove who it is.")]
User = Annotated[str | None, _option(PROOF, "--user", help="Who we are, where the peer asks.", metavar="NAME")]
AllowPap = Annotated[bool, _option(PROOF, "--allow-pap", help="Send our secret in clear where the peer asks for PAP.")]
PeerUser = Annotated[
    str | None,
    _option(PROOF, "--peer-user", help="Who the peer must be. Default: anybody in the file but us.", metavar="NAME"),
]
ChapInterval = Annotated[
    float,
    _option(PROOF, "--chap-interval", help="Seconds until the peer must prove itself again; 0: never.", min=0),
]
Secrets = Annotated[
    Path | None,
    _option(
        PROOF,
        "--secrets",
        help="Lines of NAME SECRET; root's, mode 0600. Or set VIPD_LINK_SECRET (ours) and VIPD_LINK_PEER_SECRET.",
        metavar="FILE",
    ),
]
Mru = Annotated[int, _option(FINE, "--mru", help="Largest packet that we take.")]
Accm = Annotated[
    str | None,
    _option(FINE, "--accm", help="Control characters that the peer shall escape (async PPP): 000a0000.", metavar="HEX"),
]
Fcs = Annotated[int, _option(FINE, "--fcs", help="Bits of the frame check, 16 or 32; alike at both ends.")]
EchoInterval = Annotated[
    float, _option(FINE, "--echo-interval", help="Seconds between two keep-alives; 0: none.", min=0)
]
EchoFailures = Annotated[int, _option(FINE, "--echo-failures", help="Unanswered in a row that end the link.", min=1)]
Compress = Annotated[
    bool,
    _option(FINE, "--compress/--no-compress", help="Leave out PPP's address, control and first protocol octet."),
]
Pcap = Annotated[
    Path | None, _option(FINE, "--pcap", help="Capture the frames, for Wireshark and tcpdump.", metavar="FILE")
]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Log every step.")]
