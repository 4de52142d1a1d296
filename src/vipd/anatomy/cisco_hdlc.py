"""Cisco HDLC frames and SLARP, its keep-alive (see `wire.cisco_hdlc` for where the layouts come from)."""

from __future__ import annotations

from typing import Final

from vipd.anatomy import show
from vipd.anatomy.ethernet import payload
from vipd.anatomy.names import ETHER_TYPES
from vipd.anatomy.scan import Scanner
from vipd.wire.cisco_hdlc import BROADCAST, UNICAST, SlarpCode, Type

_ADDRESSES: Final = {UNICAST: "unicast", BROADCAST: "broadcast"}
_TYPES: Final = ETHER_TYPES | {Type.SLARP: "SLARP"}
_CODES: Final[dict[int, str]] = {
    SlarpCode.ADDRESS_REQUEST: "address request",
    SlarpCode.ADDRESS_REPLY: "address reply",
    SlarpCode.KEEPALIVE: "keep-alive",
}
_RELIABLE: Final = 0xFFFF


def cisco_hdlc(scan: Scanner) -> None:
    scan.bits("address", 8, show.hex8, show.named(_ADDRESSES), _address_fault)
    scan.bits("control", 8, show.hex8, fault=show.unless(0, "0x00"))
    kind = scan.bits("type", 16, show.hex16, show.named(_TYPES))
    if kind == Type.SLARP:
        slarp(scan)
    else:
        payload(scan, kind)
    scan.rest("padding")


def _address_fault(address: int) -> str:
    return "" if address in _ADDRESSES else "0x0f or 0x8f expected"


def slarp(scan: Scanner) -> None:
    """A packet may end before the uptime."""
    with scan.group("SLARP") as group:
        code = scan.bits("code", 32, meaning=show.named(_CODES), fault=_code_fault)
        group.meaning = _CODES.get(code, "")
        if code == SlarpCode.KEEPALIVE:
            scan.bits("my sequence", 32)
            scan.bits("your sequence", 32, meaning=lambda n: "" if n else "none seen")
        else:
            scan.octets("address", 4, show.ipv4)
            scan.octets("mask", 4, show.ipv4)
        scan.bits("reliability", 16, show.hex16, fault=show.unless(_RELIABLE, "0xffff"))
        if scan.left >= 4:
            scan.bits("uptime", 32, meaning=lambda n: f"{n / 1000:g} s")


def _code_fault(code: int) -> str:
    return "" if code in _CODES else "0 to 2 expected"
