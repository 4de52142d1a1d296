"""The options of `vipd explain`, as typer takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

_ASKED: Final = "What is asked"
_DIRECTOR: Final = "Of which director"
_SHOWN: Final = "What is shown"


def _option(panel: str, *declarations: str, **more: Any) -> Any:
    return typer.Option(*declarations, rich_help_panel=panel, **more)


From = Annotated[
    str | None,
    _option(
        _ASKED, "--from", metavar="ADDRESS[:PORT]", help="Who sends it; an address of the documentation by default."
    ),
]
To = Annotated[
    str | None,
    _option(
        _ASKED,
        "--to",
        metavar="SERVICE",
        help="A service by its name, or VIP:PORT/TRANSPORT; any address may be asked about.",
    ),
]
Flags = Annotated[
    list[str] | None,
    _option(
        _ASKED,
        "--flags",
        metavar="FLAGS",
        help="Of TCP: SYN (the default), ACK, FIN+ACK, … One packet each, in a row; 'reply:SYN+ACK' is the server's.",
    ),
]
Payload = Annotated[int, _option(_ASKED, "--payload", min=0, metavar="BYTES", help="Bytes behind the headers.")]
Ttl = Annotated[int, _option(_ASKED, "--ttl", min=0, max=255, help="Time to live, hop limit.")]
Hex = Annotated[
    str | None,
    _option(_ASKED, "--packet", metavar="HEX", help="A frame, or an IP packet alone, in hex digits."),
]
Pcap = Annotated[str | None, _option(_ASKED, "--pcap", metavar="FILE", help="A frame of a capture.")]
Frames = Annotated[
    list[int] | None,
    _option(
        _ASKED, "--frame", min=1, max=10**9, metavar="N", help="Which frame of it, counted from 1; several in a row."
    ),
]
Interface = Annotated[
    str | None,
    _option(
        _ASKED,
        "--interface",
        metavar="NAME",
        help="By which it comes in; where the way back to its source leads by default.",
    ),
]
SourceMac = Annotated[str | None, _option(_ASKED, "--source-mac", metavar="MAC", help="Whose frame it is.")]
KeepMacs = Annotated[
    bool,
    _option(
        _ASKED, "--keep-macs", help="Leave a frame's destination as it is; else it is taken as sent to the director."
    ),
]
Config = Annotated[
    Path | None,
    _option(
        _DIRECTOR,
        "--config",
        "-c",
        metavar="FILE",
        help="Of a configuration alone, not of the running director; needs no root, but with --live.",
    ),
]
Live = Annotated[
    bool,
    _option(
        _DIRECTOR, "--live", help="Ask the BPF program too, on maps of its own, as root; exit code 1 if it disagrees."
    ),
]
Secret = Annotated[
    Path | None,
    _option(_DIRECTOR, "--secret", metavar="FILE", help="With -c: the director's secret, for sh and mh."),
]
Drained = Annotated[
    list[str] | None,
    _option(
        _DIRECTOR,
        "--drained",
        metavar="'SERVICE SERVER'",
        help="With -c: what if 'vipd drain' had been said of this server? Repeatable.",
    ),
]
Mtu = Annotated[int, _option(_DIRECTOR, "--mtu", metavar="BYTES", help="With -c: of the ways to servers.")]
Rules = Annotated[bool, _option(_SHOWN, "--rules", help="Each rule that was applied, with its source.")]
Octets = Annotated[bool, _option(_SHOWN, "--bytes", help="Frames before and after, byte by byte.")]
Brief = Annotated[bool, _option(_SHOWN, "--brief", help="One line for each packet.")]
Json = Annotated[bool, _option(_SHOWN, "--json", help="Everything, as one JSON document.")]
