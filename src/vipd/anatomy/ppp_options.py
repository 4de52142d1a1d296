"""The options of LCP (RFC 1661 6, RFC 1662 7, RFC 1570), IPCP (RFC 1332, RFC 1877) and IPV6CP (RFC 5072)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from vipd.anatomy import show
from vipd.anatomy.names import ppp_protocol
from vipd.anatomy.scan import Scanner
from vipd.wire.async_hdlc import controls
from vipd.wire.ppp import Protocol
from vipd.wire.ppp_options import SIZES, Ipcp, Ipv6cp, Lcp, option_name

_ALGORITHMS: Final = {5: "MD5", 6: "SHA-1", 128: "MS-CHAP", 129: "MS-CHAPv2"}
_CHECKS: Final = {1: "null", 2: "FCS-16", 4: "FCS-32"}
_DISCRIMINATORS: Final = {0: "null", 1: "local", 2: "IP address", 3: "MAC", 4: "magic number", 5: "telephone number"}

_SHORT: Final = frozenset({"accm", "dns", "fcs", "mrru", "mru", "nbns"})

Value = Callable[[Scanner], object]


def options(scan: Scanner, protocol: int) -> None:
    while scan.left:
        kind = scan.peek(1)[0]
        with scan.group(_name(protocol, kind)):
            scan.bits("type", 8)
            expected = SIZES.get(protocol, {}).get(kind)
            length = scan.bits("length", 8, fault=partial(_length_fault, expected))
            if length < 2:
                scan.rest("data")
                return
            with scan.group("", length - 2):
                if expected is None or expected == length - 2:
                    _VALUES.get((protocol, kind), _data)(scan)


def _name(protocol: int, kind: int) -> str:
    if protocol not in SIZES:
        return f"option {kind}"
    words = option_name(protocol, kind).split()
    return " ".join(word.upper() if word in _SHORT else word for word in words)


def _length_fault(size: int | None, length: int) -> str:
    if length < 2:
        return "at least 2 expected"
    return "" if size is None or size == length - 2 else f"{size + 2} expected"


def _data(scan: Scanner) -> None:
    scan.rest("data")


def _number(name: str, width: int, text: Callable[[int], str] = show.decimal, meaning: str = "") -> Value:
    return lambda scan: scan.bits(name, width, text, meaning)


def _accm(scan: Scanner) -> None:
    scan.bits("map", 32, show.hex32, _controls_meaning)


def _controls_meaning(accm: int) -> str:
    escaped = controls(accm)
    if not escaped:
        return "no control character is escaped"
    return "all control characters are escaped" if len(escaped) == 32 else f"escaped: {escaped.hex(' ')}"


def _authentication(scan: Scanner) -> None:
    protocol = scan.bits("protocol", 16, show.hex16, ppp_protocol)
    if protocol == Protocol.CHAP:
        scan.bits("algorithm", 8, meaning=show.named(_ALGORITHMS))


def _quality(scan: Scanner) -> None:
    if scan.bits("protocol", 16, show.hex16, ppp_protocol) == Protocol.LINK_QUALITY_REPORT:
        scan.bits("period", 32, meaning=lambda n: f"a report every {n / 100:g} s" if n else "answers only")


def _checks(scan: Scanner) -> None:
    scan.bits("checks", 8, show.binary(8), lambda n: ", ".join(name for bit, name in _CHECKS.items() if n & bit))


def _discriminator(scan: Scanner) -> None:
    scan.bits("class", 8, meaning=show.named(_DISCRIMINATORS))
    scan.rest("address")


def _compression(scan: Scanner) -> None:
    if scan.bits("protocol", 16, show.hex16, ppp_protocol) == Protocol.VAN_JACOBSON_COMPRESSED:
        scan.bits("highest slot", 8)
        scan.bits("slot compressed", 8, meaning=show.flag)


def _addresses(scan: Scanner) -> None:
    scan.octets("source", 4, show.ipv4)
    scan.octets("destination", 4, show.ipv4)


def _address(scan: Scanner) -> None:
    scan.octets("address", 4, show.ipv4, lambda value: "" if any(value) else "please assign one")


def _identifier(scan: Scanner) -> None:
    scan.octets("identifier", 8, _identifier_text, lambda value: "" if any(value) else "please assign one")


def _identifier_text(value: bytes) -> str:
    return ":".join(value[at : at + 2].hex() for at in range(0, 8, 2))


_VALUES: Final[Mapping[tuple[int, int], Value]] = {
    (Protocol.LCP, Lcp.MRU): _number("octets", 16),
    (Protocol.LCP, Lcp.ACCM): _accm,
    (Protocol.LCP, Lcp.AUTHENTICATION): _authentication,
    (Protocol.LCP, Lcp.QUALITY): _quality,
    (Protocol.LCP, Lcp.MAGIC): _number("number", 32, show.hex32),
    (Protocol.LCP, Lcp.FCS_ALTERNATIVES): _checks,
    (Protocol.LCP, Lcp.SELF_DESCRIBING_PADDING): _number("most", 8),
    (Protocol.LCP, Lcp.MULTILINK_MRRU): _number("octets", 16),
    (Protocol.LCP, Lcp.ENDPOINT_DISCRIMINATOR): _discriminator,
    (Protocol.IPCP, Ipcp.ADDRESSES): _addresses,
    (Protocol.IPCP, Ipcp.COMPRESSION): _compression,
    **{
        (Protocol.IPCP, kind): _address
        for kind in (Ipcp.ADDRESS, Ipcp.PRIMARY_DNS, Ipcp.PRIMARY_NBNS, Ipcp.SECONDARY_DNS, Ipcp.SECONDARY_NBNS)
    },
    (Protocol.IPV6CP, Ipv6cp.IDENTIFIER): _identifier,
}
