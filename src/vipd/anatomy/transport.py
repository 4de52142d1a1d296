"""TCP (RFC 9293) and UDP (RFC 768)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from vipd.anatomy import names, show
from vipd.anatomy.options import options
from vipd.anatomy.scan import Scanner
from vipd.wire import ip
from vipd.wire.checksum import internet_checksum, pseudo_header
from vipd.wire.transport import FLAGS

_TCP_HEADER: Final = 20
_WORDS: Final = {
    2: ((("size", 16),), 2),
    3: ((("shift", 8),), 1),
    8: ((("value", 32), ("echo", 32)), 8),
}
"Of a TCP option: its fields and how many octets they are."


@dataclass(frozen=True, slots=True)
class Ends:
    """Of a packet: the addresses, which checksums cover, and whether all of what these cover is there."""

    source: bytes
    destination: bytes
    whole: bool

    def checksum(self, octets: bytes, protocol: int, at: int) -> int | None:
        """The right one of what begins with these octets and has its checksum at `at`; None where nobody can tell."""
        if not self.whole or len(octets) < at + 2:
            return None
        header = pseudo_header(ip_address(self.source), ip_address(self.destination), protocol, len(octets))
        return internet_checksum(header + octets[:at] + bytes(2) + octets[at + 2 :])


def tcp(scan: Scanner, ends: Ends) -> None:
    right = ends.checksum(scan.peek(scan.left), ip.TCP, 16)
    with scan.group("TCP") as group:
        ports = f"{scan.bits('source port', 16)} to {scan.bits('destination port', 16)}"
        scan.bits("sequence", 32)
        scan.bits("acknowledgment", 32)
        words = scan.bits("header length", 4, meaning=lambda n: show.count(4 * n, "octet"), fault=_header_fault)
        scan.bits("reserved", 4)
        told = [name for name, _ in sorted(FLAGS.items(), key=lambda flag: -flag[1]) if scan.bits(name, 1)]
        group.meaning = " ".join([ports, *reversed(told)])
        scan.bits("window", 16)
        checksum(scan, right)
        scan.bits("urgent pointer", 16)
        if words > _TCP_HEADER // 4:
            with scan.group("options", 4 * words - _TCP_HEADER, more="padding"):
                options(scan, names.TCP_OPTIONS, _value)
    scan.rest("data")


def _header_fault(words: int) -> str:
    return "" if words >= 5 else "at least 5 expected"


def _value(scan: Scanner, kind: int, size: int) -> None:
    fields, octets = _WORDS.get(kind, ((), 0))
    if size == octets:
        for name, width in fields:
            scan.bits(name, width)


def udp(scan: Scanner, ends: Ends) -> None:
    """Length 0 is a jumbogram's; what follows the length is nobody's."""
    length = int.from_bytes(scan.peek(6)[4:], "big")
    size = length if 8 <= length <= scan.left else scan.left
    right = ends.checksum(scan.peek(size), ip.UDP, 6)
    with scan.group("", size):
        with scan.group("UDP") as group:
            group.meaning = f"{scan.bits('source port', 16)} to {scan.bits('destination port', 16)}"
            available = scan.left + 4 if ends.whole else 1 << 16
            scan.bits("length", 16, fault=lambda n: _length_fault(n, available))
            # A computed 0 is sent as its other form, since 0 says that there is none.
            checksum(scan, 0xFFFF if right == 0 else right, optional=True)
        scan.rest("data")


def _length_fault(length: int, available: int) -> str:
    if length < 8:
        return "at least 8 expected"
    return "" if length <= available else f"{available} octets are here"


def checksum(scan: Scanner, right: int | None, optional: bool = False) -> None:
    """`right` None: it covers more than is here."""
    meaning: Callable[[int], str] | str = ""
    fault: Callable[[int], str] | str = ""
    if optional and not any(scan.peek(2)):
        meaning = "none was made"
    elif right is not None:
        meaning, fault = show.right(right), show.unless(right, show.hex16(right))
    scan.bits("checksum", 16, show.hex16, meaning, fault)
