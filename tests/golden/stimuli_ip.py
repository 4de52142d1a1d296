"""What IP's own headers carry: TTL, DSCP and ECN, identifiers, options, extension headers, lengths, sources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from scapy.layers.inet import (
    IP,
    IPOption_LSRR,
    IPOption_NOP,
    IPOption_Router_Alert,
    IPOption_RR,
    IPOption_Security,
    IPOption_SSRR,
    IPOption_Timestamp,
)
from scapy.layers.inet6 import (
    HBHOptUnknown,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
    RouterAlert,
)
from scapy.packet import Raw

from tests.golden.services import METHODS
from tests.golden.talk import TEXT, Play, Script, Talk
from tests.support.packets import FAMILIES

_TTL: Final = {4: "ttl", 6: "hlim"}
_CLASS: Final = {4: "tos", 6: "tc"}
_MARTIANS: Final = {
    4: ("0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "203.0.113.10"),
    6: ("::", "::1", "ff02::1", "2001:db8:f::10", "::ffff:198.51.100.7"),
}
_OPTIONS: Final[dict[str, list[Any]]] = {
    "no-operation": [IPOption_NOP()] * 4,
    "record-route": [IPOption_RR(length=11, pointer=4, routers=["0.0.0.0", "0.0.0.0"])],
    # Full: what a router writes into it is not the time, but that it had no room.
    "timestamp": [IPOption_Timestamp(length=8, pointer=9, flg=0, timestamp=0)],
    "router-alert": [IPOption_Router_Alert()],
    "loose-source-route": [IPOption_LSRR(length=7, pointer=8, routers=["192.0.2.9"])],
    "loose-source-route-unfinished": [IPOption_LSRR(length=7, pointer=4, routers=["192.0.2.9"])],
    "strict-source-route": [IPOption_SSRR(length=7, pointer=8, routers=["192.0.2.9"])],
    "security": [IPOption_Security()],
    "cut": [b"\x83\x27\x04\0"],
}


def _headers() -> dict[str, Any]:
    option = HBHOptUnknown(otype=0x1E, optdata=b"1234")
    drop = HBHOptUnknown(otype=0x5E, optdata=b"1234")
    tell = HBHOptUnknown(otype=0xDE, optdata=b"1234")
    return {
        "hop-by-hop": IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)]),
        "router-alert": IPv6ExtHdrHopByHop(options=[RouterAlert()]),
        "hop-by-hop-to-skip": IPv6ExtHdrHopByHop(options=[option]),
        "hop-by-hop-to-drop": IPv6ExtHdrHopByHop(options=[drop]),
        "hop-by-hop-to-tell": IPv6ExtHdrHopByHop(options=[tell]),
        "destination": IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)]),
        "destination-to-drop": IPv6ExtHdrDestOpt(options=[drop]),
        "routing-done": IPv6ExtHdrRouting(type=2, segleft=0, addresses=["2001:db8:5::5"]),
        "routing-0-left": IPv6ExtHdrRouting(type=0, segleft=1, addresses=["2001:db8:5::5"]),
        "routing-2-left": IPv6ExtHdrRouting(type=2, segleft=1, addresses=["2001:db8:5::5"]),
        "all": IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)])
        / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 12)])
        / IPv6ExtHdrRouting(type=2, segleft=0, addresses=["2001:db8:5::5"])
        / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)]),
        "eight": _many(8),
        "hop-by-hop-second": IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)]) / IPv6ExtHdrHopByHop(),
        "atomic-fragment": IPv6ExtHdrFragment(offset=0, m=0, id=0x1234),
        "atomic-fragment-behind-options": IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)])
        / IPv6ExtHdrFragment(offset=0, m=0, id=0x1234),
    }


def _many(count: int) -> Any:
    headers = IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)])
    for _ in range(count - 1):
        headers = headers / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)])
    return headers


def hops(talk: Talk) -> None:
    for left in (255, 2, 1, 0):
        talk.says(f"ttl-{left}", talk.ip(**{_TTL[talk.family]: left}) / talk.udp() / Raw(TEXT))
    if talk.service.method == "nat":
        for left in (255, 2, 1, 0):
            packet = talk.from_server(**{_TTL[talk.family]: left}) / talk.udp(**talk.back()) / Raw(TEXT)
            talk.hears(f"reply-ttl-{left}", packet)


def classes(talk: Talk) -> None:
    for value in (0, 1, 2, 3, 0xB8, 0xBB, 0xFF):
        talk.says(f"class-{value:02x}", talk.ip(**{_CLASS[talk.family]: value}) / talk.udp() / Raw(TEXT))
    if talk.family == 6:
        talk.says("flow-label", talk.ip(fl=0x12345) / talk.udp() / Raw(TEXT))
    if talk.service.method == "nat":
        packet = talk.from_server(**{_CLASS[talk.family]: 0xB9}) / talk.udp(**talk.back()) / Raw(TEXT)
        talk.hears("reply-class-b9", packet)


def identifiers(talk: Talk) -> None:
    kinds: dict[str, dict[str, Any]] = {
        "zero": {"id": 0},
        "zero-df": {"id": 0, "flags": "DF"},
        "all-ones": {"id": 0xFFFF},
        "df": {"id": 0x1234, "flags": "DF"},
        "evil": {"flags": "evil"},
    }
    for name, fields in kinds.items():
        talk.says(name, talk.ip(**fields) / talk.udp() / Raw(TEXT))


def options(talk: Talk) -> None:
    for name, value in _OPTIONS.items():
        if isinstance(value[0], bytes):
            head = bytearray(bytes(talk.ip(ihl=6, options=[IPOption_NOP()] * 4) / talk.udp() / Raw(TEXT)))
            head[20:24] = value[0]
            packet: Any = IP(bytes(head))
            del packet.chksum
        else:
            packet = talk.ip(options=value) / talk.udp() / Raw(TEXT)
        talk.says(name, packet)


def extension_headers(talk: Talk) -> None:
    for name, header in _headers().items():
        talk.says(name, talk.ip() / header / talk.udp() / Raw(TEXT))
    talk.says("no-next-header", talk.ip(nh=59) / Raw(TEXT))
    talk.says("unknown-header", talk.ip(nh=254) / Raw(bytes(40)))
    talk.says("header-longer-than-packet", talk.ip() / IPv6ExtHdrDestOpt(nh=17, len=30) / Raw(TEXT))


def lengths(talk: Talk) -> None:
    packet = bytes(talk.datagram())
    talk.says("padded", talk.ip() / talk.udp() / Raw(b"1"), padding=bytes(17))
    talk.says("cut-in-payload", packet[:-5])
    talk.says("cut-in-udp", packet[: len(packet) - len(TEXT) - 4])
    talk.says("cut-in-ip", packet[:18])
    if talk.family == 4:
        short = talk.ip(len=19) / talk.udp() / Raw(TEXT)
        talk.says("length-below-header", short)
        talk.says("short-header", talk.ip(ihl=4) / talk.udp() / Raw(TEXT))
        talk.says("wrong-sum", talk.ip(chksum=0x1234) / talk.udp() / Raw(TEXT))
    talk.says("wrong-version", talk.ip(version=5) / talk.udp() / Raw(TEXT))


def martians(talk: Talk) -> None:
    own = [talk.server] if talk.service.method != "tun" or (":" in talk.server) == (talk.family == 6) else []
    for source in (*_MARTIANS[talk.family], *own):
        talk.says(f"from-{source}", talk.ip(src=source) / talk.udp() / Raw(TEXT))


def frames(talk: Talk) -> None:
    talk.says("to-another-mac", talk.datagram(), to="02:00:00:00:99:99")
    talk.says("broadcast-mac", talk.datagram(), to="ff:ff:ff:ff:ff:ff")


_SCRIPTS: Final[dict[str, Script]] = {
    "hops": hops,
    "classes": classes,
    "lengths": lengths,
    "martians": martians,
    "frames": frames,
}


def plays() -> Iterator[Play]:
    for family in FAMILIES:
        own: dict[str, Script] = (
            {"identifiers": identifiers, "options": options}
            if family == 4
            else {"extension-headers": extension_headers}
        )
        for method in METHODS:
            for name, script in {**_SCRIPTS, **own}.items():
                yield Play(f"{method}{family}/ip/{name}", f"{method}{family}", script)
