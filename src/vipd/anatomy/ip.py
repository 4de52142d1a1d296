"""IP packets, as deep as one lies in the other, down to what they carry."""

from __future__ import annotations

from enum import IntEnum
from functools import partial
from typing import Final

from vipd.anatomy import names, show
from vipd.anatomy.icmp import icmp, icmpv6
from vipd.anatomy.options import options
from vipd.anatomy.scan import Scanner
from vipd.anatomy.transport import Ends, tcp, udp
from vipd.wire import ip
from vipd.wire.checksum import internet_checksum

MAX_PACKETS: Final = 8
"One within the other; deeper ones are data."
_V4_HEADER: Final = 20
_V6_HEADER: Final = 40


class Part(IntEnum):
    """Of a datagram; only the first two begin with what the datagram carries."""

    LATER = 0
    FIRST = 1
    WHOLE = 2


def packet(scan: Scanner) -> None:
    """An IP packet of the version that it says, and whatever it holds."""
    if not scan.left:
        scan.bits("version", 4)
    version = scan.peek(1)[0] >> 4
    if version not in (4, 6):
        scan.rest("data", fault=f"no IP packet: version {version}, 4 or 6 expected")
    elif scan.packets == MAX_PACKETS:
        scan.rest("data", meaning="an IP packet, too deep to be taken apart")
    else:
        scan.packets += 1
        (_ipv4 if version == 4 else _ipv6)(scan)


def _ipv4(scan: Scanner) -> None:
    start = scan.peek(4)
    length, header = int.from_bytes(start[2:4], "big"), (start[0] & 15) * 4
    # What follows is Ethernet's padding, unless the length is nonsense.
    with scan.group("", length if header <= length <= scan.left else scan.left):
        protocol, source, destination, part = _ipv4_header(scan, header)
        _carried(scan, protocol, Ends(source, destination, part is Part.WHOLE and not scan.open_ended), part)


def _ipv4_header(scan: Scanner, size: int) -> tuple[int, bytes, bytes, Part]:
    available, octets = scan.left, scan.peek(max(size, _V4_HEADER))
    right = internet_checksum(octets[:10] + bytes(2) + octets[12:])
    with scan.group("IPv4") as group:
        scan.bits("version", 4)
        scan.bits("header length", 4, meaning=lambda n: show.count(4 * n, "octet"), fault=_header_fault)
        _traffic_class(scan)
        scan.bits("total length", 16, fault=partial(_length_fault, size, 1 << 16 if scan.open_ended else available))
        scan.bits("identification", 16, show.hex16)
        scan.bits("reserved", 1, fault=show.unless(0, "0"))
        scan.bits("don't fragment", 1, meaning=show.flag)
        more = scan.bits("more fragments", 1, meaning=show.flag)
        offset = scan.bits("fragment offset", 13, meaning=_offset_meaning)
        scan.bits("time to live", 8)
        protocol = scan.bits("protocol", 8, meaning=show.named(names.IP_PROTOCOLS))
        scan.bits("header checksum", 16, show.hex16, show.right(right), show.unless(right, show.hex16(right)))
        source, destination = scan.octets("source", 4, show.ipv4), scan.octets("destination", 4, show.ipv4)
        group.meaning = f"{show.ipv4(source)} to {show.ipv4(destination)}"
        if size > _V4_HEADER:
            with scan.group("options", size - _V4_HEADER, more="padding"):
                options(scan, names.IPV4_OPTIONS)
    return protocol, source, destination, _part(offset, more)


def _header_fault(words: int) -> str:
    return "" if words >= 5 else "at least 5 expected"


def _length_fault(header: int, available: int, length: int) -> str:
    if length < header:
        return f"less than the header's {header}"
    return "" if length <= available else f"{available} octets are here"


def _offset_meaning(units: int) -> str:
    return f"octet {8 * units} of the datagram" if units else ""


def _traffic_class(scan: Scanner) -> None:
    scan.bits("DSCP", 6)
    scan.bits("ECN", 2, meaning=show.named(names.ECN))


def _part(offset: int, more: int) -> Part:
    return Part.LATER if offset else Part.FIRST if more else Part.WHOLE


def _ipv6(scan: Scanner) -> None:
    length = _V6_HEADER + int.from_bytes(scan.peek(6)[4:6], "big")
    available = 1 << 16 if scan.open_ended else max(0, scan.left - _V6_HEADER)
    with scan.group("", min(length, scan.left)):
        with scan.group("IPv6") as group:
            scan.bits("version", 4)
            _traffic_class(scan)
            scan.bits("flow label", 20, show.hexadecimal(20))
            scan.bits("payload length", 16, fault=partial(_length_fault, 0, available))
            following = scan.bits("next header", 8, meaning=show.named(names.IP_PROTOCOLS))
            scan.bits("hop limit", 8)
            source, destination = scan.octets("source", 16, show.ipv6), scan.octets("destination", 16, show.ipv6)
            group.meaning = f"{show.ipv6(source)} to {show.ipv6(destination)}"
        part = Part.WHOLE
        while following in ip.EXTENSIONS and part is not Part.LATER:
            following, its = _extension(scan, following)
            part = min(part, its)
        _carried(scan, following, Ends(source, destination, part is Part.WHOLE and not scan.open_ended), part)


def _extension(scan: Scanner, kind: int) -> tuple[int, Part]:
    """What follows, and which part of a datagram the packet is."""
    with scan.group(names.IP_PROTOCOLS[kind]):
        following = scan.bits("next header", 8, meaning=show.named(names.IP_PROTOCOLS))
        if kind != ip.FRAGMENT:
            units = scan.bits("length", 8, meaning=lambda n: show.count(8 * (n + 1), "octet"))
            scan.octets("route" if kind == ip.ROUTING else "options", 8 * units + 6)
            return following, Part.WHOLE
        scan.bits("reserved", 8)
        offset = scan.bits("fragment offset", 13, meaning=_offset_meaning)
        scan.bits("reserved", 2)
        more = scan.bits("more fragments", 1, meaning=show.flag)
        scan.bits("identification", 32, show.hex32)
    return following, _part(offset, more)


def _carried(scan: Scanner, protocol: int, ends: Ends, part: Part) -> None:
    if part is Part.LATER:
        scan.rest("fragment")
        return
    match protocol:
        case ip.TCP:
            tcp(scan, ends)
        case ip.UDP:
            udp(scan, ends)
        case ip.ICMP:
            icmp(scan, ends, _quoted)
        case ip.ICMPV6:
            icmpv6(scan, ends, _quoted)
        case ip.IP_IN_IP | ip.IPV6_IN_IP:
            packet(scan)
        case _:
            scan.rest("data")


def _quoted(scan: Scanner) -> None:
    """The packet that an error is about."""
    if scan.left:
        with scan.quote("quoted packet"):
            packet(scan)
