"""HDLC's address and control field (ISO 13239), bit by bit."""

from __future__ import annotations

from typing import Final

from vipd.anatomy import show
from vipd.anatomy.scan import Scanner
from vipd.wire.hdlc import Modulo, Supervision, Unnumbered

_POLL: Final = 0x10
_SUPERVISION: Final[dict[int, str]] = {
    Supervision.RR: "RR: receive ready",
    Supervision.RNR: "RNR: receive not ready",
    Supervision.REJ: "REJ: send again from N(R) on",
    Supervision.SREJ: "SREJ: send N(R) again",
}


def hdlc(scan: Scanner, modulo: Modulo = 8, extended: bool = False) -> None:
    """`extended`: the address goes on to the first octet whose low bit is 1."""
    size = 1
    while extended and size < scan.left and not scan.peek(size)[-1] & 1:
        size += 1
    scan.octets("address", size, meaning=_address)
    control(scan, modulo)
    scan.rest("information")


def _address(address: bytes) -> str:
    return {b"\xff": "all stations", b"\x00": "no station"}.get(address, "")


def control(scan: Scanner, modulo: Modulo = 8) -> int:
    """The first octet of it."""
    if not scan.left:
        scan.bits("control", 8)
    first = int.from_bytes(scan.peek(1), "big")
    with scan.group("control") as group:
        if first & 3 == 3:
            group.meaning = f"U: {_unnumbered(first)}"
            scan.bits("modifier", 3, show.binary(3))
            scan.bits("poll/final", 1, meaning=show.flag)
            scan.bits("modifier", 2, show.binary(2))
            scan.bits("type", 2, show.binary(2), "U, unnumbered")
        elif modulo == 8:
            expected = scan.bits("N(R)", 3, meaning=_expected)
            scan.bits("poll/final", 1, meaning=show.flag)
            group.meaning = _numbered(scan, 3, expected)
        else:
            sent = _numbered(scan, 7, None)
            expected = scan.bits("N(R)", 7, meaning=_expected)
            scan.bits("poll/final", 1, meaning=show.flag)
            group.meaning = f"{sent}, {_expected(expected)}"
    return first


def _numbered(scan: Scanner, width: int, expected: int | None) -> str:
    """The part of an I or S frame with its type; what it means."""
    first = scan.peek(1)[0]
    numbers = "" if expected is None else f", {_expected(expected)}"
    if first & 1:
        if width > 3:
            scan.bits("reserved", width - 3, show.binary(width - 3))
        kind = scan.bits("supervision", 2, show.binary(2), show.named(_SUPERVISION))
        scan.bits("type", 2, show.binary(2), "S, supervisory")
        return f"S: {Supervision(kind).name}{numbers}"
    sent = scan.bits("N(S)", width, meaning="this frame's number")
    scan.bits("type", 1, show.binary(1), "I, information")
    return f"I: number {sent}{numbers}"


def _expected(number: int) -> str:
    return f"{number} is expected next"


def _unnumbered(octet: int) -> str:
    return Unnumbered(octet & ~_POLL).name
