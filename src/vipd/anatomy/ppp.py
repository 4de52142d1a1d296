"""PPP frames: header (RFC 1661 2, RFC 1662 3.1), control packets (RFC 1661 5), PAP and CHAP, IP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vipd.anatomy import show
from vipd.anatomy.ip import packet as ip_packet
from vipd.anatomy.names import ppp_protocol
from vipd.anatomy.ppp_options import options
from vipd.anatomy.scan import Scanner
from vipd.wire.ppp import ADDRESS_AND_CONTROL, HEADER_SIZE, Code, Protocol, code_name
from vipd.wire.ppp_auth import ChapCode, PapCode

_CONFIGURE: Final = (Code.CONFIGURE_REQUEST, Code.CONFIGURE_ACK, Code.CONFIGURE_NAK, Code.CONFIGURE_REJECT)
_ECHOES: Final = (Code.ECHO_REQUEST, Code.ECHO_REPLY, Code.DISCARD_REQUEST)
_WITH_MAGIC: Final = (*_ECHOES, Code.IDENTIFICATION, Code.TIME_REMAINING)
_WITH_CODES: Final = frozenset({Protocol.LCP, Protocol.PAP, Protocol.CHAP}) | {
    each for each in Protocol if each >> 8 in (0x80, 0x82)
}
"Protocols whose packets begin with code, identifier and length."
_DEEPEST: Final = 4
"Packets that reject others which reject others."


def ppp(scan: Scanner) -> None:
    """Address and control may be compressed away, and so may the protocol's first octet."""
    if scan.peek(1) == ADDRESS_AND_CONTROL[:1]:
        scan.bits("address", 8, show.hex8, "all stations")
        scan.bits("control", 8, show.hex8, show.named({0x03: "UI"}), show.unless(0x03, "0x03"))
    protocol(scan)


def protocol(scan: Scanner) -> None:
    """From the protocol on. The lowest bit tells its last octet (RFC 1661 2)."""
    width = 8 if scan.peek(1) and scan.peek(1)[0] & 1 else 16
    meaning = f"{{}}{', compressed' if width == 8 else ''}"
    number = scan.bits("protocol", width, show.hexadecimal(width), lambda n: meaning.format(ppp_protocol(n)), _even)
    content(scan, number)


def _even(number: int) -> str:
    return "" if number & 1 else "an odd number expected"


def content(scan: Scanner, number: int) -> None:
    if number in (Protocol.IPV4, Protocol.IPV6):
        ip_packet(scan)
        scan.rest("padding")
    elif number in _WITH_CODES:
        packet(scan, number)
    else:
        scan.rest("data")


def packet(scan: Scanner, number: int) -> None:
    """A packet with a code; what follows its length is padding."""
    if not scan.left:
        scan.bits("code", 8)
    length = int.from_bytes(scan.peek(HEADER_SIZE)[2:], "big")
    available = scan.left
    size = length if HEADER_SIZE <= length <= available else available
    names = _code_names(number)
    with scan.group(ppp_protocol(number), size) as group:
        code = scan.bits("code", 8, meaning=names)
        identifier = scan.bits("identifier", 8)
        group.meaning = f"{names(code) or f'code {code}'} {identifier}"
        scan.bits("length", 16, fault=lambda n: _length_fault(n, available))
        _data(scan, number, code)
    scan.rest("padding")


def _length_fault(length: int, available: int) -> str:
    if length < HEADER_SIZE:
        return f"at least {HEADER_SIZE} expected"
    return "" if length <= available else f"{available} octets are here"


def _code_names(number: int) -> Callable[[int], str]:
    if number == Protocol.PAP:
        return show.named({each: _title(each.name) for each in PapCode})
    if number == Protocol.CHAP:
        return show.named({each: _title(each.name) for each in ChapCode})
    last = Code.TIME_REMAINING if number == Protocol.LCP else Code.CODE_REJECT
    return show.named({each: code_name(each) for each in Code if each <= last})


def _title(word: str) -> str:
    return word.replace("_", "-").title()


def _data(scan: Scanner, number: int, code: int) -> None:
    if number == Protocol.PAP:
        _pap(scan, code)
    elif number == Protocol.CHAP:
        _chap(scan, code)
    elif code in _CONFIGURE:
        options(scan, number)
    elif code == Code.CODE_REJECT:
        _rejected(scan, "rejected packet", lambda: packet(scan, number))
    elif number == Protocol.LCP and code == Code.PROTOCOL_REJECT:
        rejected = scan.bits("rejected protocol", 16, show.hex16, ppp_protocol)
        _rejected(scan, "rejected information", lambda: content(scan, rejected))
    elif number == Protocol.LCP and code in _WITH_MAGIC:
        scan.bits("magic number", 32, show.hex32)
        if code == Code.TIME_REMAINING:
            scan.bits("seconds", 32)
        scan.rest("data", show.octets if code in _ECHOES else show.words)
    else:
        scan.rest("data", show.words)


def _rejected(scan: Scanner, called: str, dissect: Callable[[], None]) -> None:
    """What was rejected may be cut off, and may itself be a rejection."""
    scan.packets += 1
    if scan.packets > _DEEPEST:
        scan.rest("data")
    elif scan.left:
        with scan.quote(called):
            dissect()


def _pap(scan: Scanner, code: int) -> None:
    """RFC 1334 2.2. Some peers leave out an answer's message and its length."""
    if code == PapCode.AUTHENTICATE_REQUEST:
        for what in ("name", "password"):
            scan.octets(what, scan.bits(f"{what} length", 8), show.words)
    elif scan.left:
        scan.octets("message", scan.bits("message length", 8), show.words)


def _chap(scan: Scanner, code: int) -> None:
    """RFC 1994 4."""
    if code in (ChapCode.CHALLENGE, ChapCode.RESPONSE):
        scan.octets("value", scan.bits("value size", 8))
        scan.rest("name", show.words)
    else:
        scan.rest("message", show.words)
