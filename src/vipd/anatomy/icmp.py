"""ICMP (RFC 792) and ICMPv6 (RFC 4443), with the packets that errors quote, and neighbour discovery (RFC 4861)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from vipd.anatomy import names, show
from vipd.anatomy.scan import Scanner
from vipd.anatomy.transport import Ends, checksum
from vipd.wire import icmp as wire
from vipd.wire import ip, ndp
from vipd.wire.checksum import internet_checksum

_ECHOES: Final = {4: (wire.ECHO_REQUEST, wire.ECHO_REPLY), 6: (wire.V6_ECHO_REQUEST, wire.V6_ECHO_REPLY)}
_MAC_OPTIONS: Final = (1, 2)

Quoted = Callable[[Scanner], None]


def icmp(scan: Scanner, ends: Ends, quoted: Quoted) -> None:
    octets = scan.peek(scan.left)
    right = internet_checksum(octets[:2] + bytes(2) + octets[4:]) if ends.whole else None
    with scan.group("ICMP") as group:
        kind, code = _start(scan, names.ICMP_TYPES, right)
        group.meaning = names.ICMP_TYPES.get(kind, "")
        if kind in _ECHOES[4]:
            _echo(scan)
        elif kind == wire.UNREACHABLE and code == wire.FRAGMENTATION_NEEDED:
            scan.bits("unused", 16)
            scan.bits("MTU", 16)
        elif kind == wire.REDIRECT:
            scan.octets("gateway", 4, show.ipv4)
        else:
            scan.octets("rest of header", 4)
    _body(scan, wire.is_error(4, kind) or kind == wire.REDIRECT, quoted)


def icmpv6(scan: Scanner, ends: Ends, quoted: Quoted) -> None:
    right = ends.checksum(scan.peek(scan.left), ip.ICMPV6, 2)
    with scan.group("ICMPv6") as group:
        kind, _ = _start(scan, names.ICMPV6_TYPES, right)
        group.meaning = names.ICMPV6_TYPES.get(kind, "")
        if kind in _ECHOES[6]:
            _echo(scan)
        elif kind == wire.V6_TOO_BIG:
            scan.bits("MTU", 32)
        elif kind in (ndp.SOLICITATION, ndp.ADVERTISEMENT):
            _neighbour(scan, kind)
        else:
            scan.octets("rest of header", 4)
    _body(scan, wire.is_error(6, kind), quoted)


def _start(scan: Scanner, types: Mapping[int, str], right: int | None) -> tuple[int, int]:
    kind = scan.bits("type", 8, meaning=show.named(types))
    unreachable = names.UNREACHABLE if types is names.ICMP_TYPES and kind == wire.UNREACHABLE else {}
    code = scan.bits("code", 8, meaning=show.named(unreachable))
    checksum(scan, right)
    return kind, code


def _echo(scan: Scanner) -> None:
    scan.bits("identifier", 16)
    scan.bits("sequence", 16)


def _body(scan: Scanner, error: bool, quoted: Quoted) -> None:
    if error:
        quoted(scan)
    else:
        scan.rest("data")


def _neighbour(scan: Scanner, kind: int) -> None:
    if kind == ndp.ADVERTISEMENT:
        for name in ("router", "solicited", "override"):
            scan.bits(name, 1, meaning=show.flag)
        scan.bits("reserved", 29)
    else:
        scan.bits("reserved", 32)
    scan.octets("target", 16, show.ipv6)
    while scan.left:
        name = names.ND_OPTIONS.get(scan.peek(1)[0], f"option {scan.peek(1)[0]}")
        with scan.group(name):
            option = scan.bits("type", 8)
            units = scan.bits("length", 8, meaning=lambda n: show.count(8 * n, "octet"), fault=_length_fault)
            if not units:
                return
            is_mac = option in _MAC_OPTIONS and units == 1
            scan.octets("MAC" if is_mac else "data", 8 * units - 2, show.mac if is_mac else show.octets)


def _length_fault(units: int) -> str:
    return "" if units else "at least 1 expected"
