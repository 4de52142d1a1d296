"""ICMP errors: about what went to the client, about what NAT sent to the server, about a tunnel's own packets."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from scapy.layers.inet import ICMP, IP, IPOption_NOP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    ICMPv6Unknown,
    IPv6,
)
from scapy.packet import Raw

from tests.golden.services import METHODS
from tests.golden.talk import ROUTER, TEXT, Play, Script, Talk
from tests.support.packets import FAMILIES, HEADER

_KINDS: Final[dict[int, dict[str, Any]]] = {
    4: {
        **{f"unreachable-{code}": ICMP(type=3, code=code) for code in (0, 1, 2, 3, 9, 13)},
        "frag-needed": ICMP(type=3, code=4, nexthopmtu=1400),
        "source-quench": ICMP(type=4),
        "redirect": ICMP(type=5, code=1, gw="192.0.2.1"),
        "time-exceeded": ICMP(type=11, code=0),
        "reassembly-time-exceeded": ICMP(type=11, code=1),
        "parameter-problem": ICMP(type=12, ptr=20),
        "unknown-type": ICMP(type=40),
    },
    6: {
        **{f"unreachable-{code}": ICMPv6DestUnreach(code=code) for code in (0, 1, 3, 4, 5)},
        "too-big": ICMPv6PacketTooBig(mtu=1400),
        "time-exceeded": ICMPv6TimeExceeded(code=0),
        "reassembly-time-exceeded": ICMPv6TimeExceeded(code=1),
        "parameter-problem": ICMPv6ParamProblem(code=0, ptr=6),
        "unknown-error": ICMPv6Unknown(type=100, code=0, msgbody=b""),
        "unknown-information": ICMPv6Unknown(type=200, code=0, msgbody=b""),
    },
}
_TOO_BIG: Final = {4: "frag-needed", 6: "too-big"}
_SHORT, _LONG = 8, 60
"Bytes of the quote behind its IP header: 8 are all that RFC 792 asks for."


def error(talk: Talk, kind: str, quoted: bytes, source: str, destination: str, **fields: Any) -> Any:
    head = _KINDS[talk.family][kind].copy()
    if isinstance(head, ICMPv6Unknown):
        # This one has no field of four bytes before the quote.
        return talk.ip(src=source, dst=destination, **fields) / head / Raw(bytes(4) + quoted)
    return talk.ip(src=source, dst=destination, **fields) / head / Raw(quoted)


def _cut(talk: Talk, packet: Any, length: int) -> bytes:
    return bytes(packet)[: HEADER[talk.family] + length]


def reply_of(talk: Talk, transport: str) -> Any:
    """A packet that went from the VIP to the client."""
    head = talk.ip(src=talk.vip, dst=talk.client, **talk.whole())
    ports = {"sport": talk.service.port, "dport": talk.port}
    return head / (talk.tcp("PA", **ports) if transport == "tcp" else talk.udp(**ports)) / Raw(TEXT * 4)


def request_of(talk: Talk, transport: str) -> Any:
    """A packet as NAT had sent it on to the server."""
    head = talk.ip(dst=talk.server, **talk.whole())
    ports = {"sport": talk.port, "dport": talk.service.server_port}
    return head / (talk.tcp("PA", **ports) if transport == "tcp" else talk.udp(**ports)) / Raw(TEXT * 4)


def _begin(talk: Talk, transport: str) -> None:
    if transport == "tcp":
        talk.says("syn", talk.segment("S"))
    else:
        talk.says("request", talk.datagram())


def about_reply(talk: Talk, kind: str, length: int = _LONG, transport: str = "tcp") -> None:
    _begin(talk, transport)
    quoted = _cut(talk, reply_of(talk, transport), length)
    talk.router_says("error", error(talk, kind, quoted, ROUTER[talk.family], talk.vip))


def about_request(talk: Talk, kind: str, length: int = _LONG, transport: str = "tcp", source: str = "") -> None:
    """From the server's side, on its way to the client, whose address the quoted packet has."""
    _begin(talk, transport)
    quoted = _cut(talk, request_of(talk, transport), length)
    talk.hears("error", error(talk, kind, quoted, source or talk.server, talk.client))


def about_nothing(talk: Talk) -> None:
    quoted = _cut(talk, reply_of(talk, "tcp"), _LONG)
    talk.router_says("to-vip", error(talk, _TOO_BIG[talk.family], quoted, ROUTER[talk.family], talk.vip))
    quoted = _cut(talk, request_of(talk, "tcp"), _LONG)
    talk.hears("to-client", error(talk, _TOO_BIG[talk.family], quoted, talk.server, talk.client))


def odd_quotes(talk: Talk) -> None:
    """Each about a connection that is there."""
    _begin(talk, "tcp")
    kind, router = _TOO_BIG[talk.family], ROUTER[talk.family]
    reply = reply_of(talk, "tcp")
    for length in (0, 3, 4, 7):
        quoted = _cut(talk, reply, length)
        talk.router_says(f"{length}-bytes-of-tcp", error(talk, kind, quoted, router, talk.vip))
    talk.router_says("no-quote", error(talk, kind, b"", router, talk.vip))
    request = talk.segment("PA", TEXT * 4)
    talk.router_says("of-a-request", error(talk, kind, _cut(talk, request, _LONG), router, talk.vip))
    talk.router_says(
        "to-somebody-else",
        error(talk, kind, _cut(talk, reply, _LONG), router, "203.0.113.77" if talk.family == 4 else "2001:db8:f::77"),
    )
    wrong = bytearray(bytes(error(talk, kind, _cut(talk, reply, _LONG), router, talk.vip)))
    wrong[HEADER[talk.family] + 2] ^= 0xFF
    talk.router_says("wrong-sum", bytes(wrong))
    if talk.family == 4:
        with_options = IP(src=talk.vip, dst=talk.client, options=[IPOption_NOP()] * 4, id=talk.port) / reply.payload
        talk.router_says("quote-with-options", error(talk, kind, bytes(with_options)[:84], router, talk.vip))
        later = IP(src=talk.vip, dst=talk.client, frag=10, proto=6, id=talk.port) / reply.payload
        talk.router_says("quote-of-later-fragment", error(talk, kind, bytes(later)[:80], router, talk.vip))
        talk.router_says("with-ttl-1", error(talk, kind, _cut(talk, reply, _LONG), router, talk.vip, ttl=1))
    else:
        talk.router_says("with-ttl-1", error(talk, kind, _cut(talk, reply, _LONG), router, talk.vip, hlim=1))


def about_tunnel(talk: Talk, kind: str, length: int) -> None:
    """From a router on the way to the server, about the tunnel's packet, to the tunnel's beginning."""
    _begin(talk, "tcp")
    outer_family = 6 if ":" in talk.server else 4
    own = {4: "10.0.0.1", 6: "2001:db8:1::1"}[outer_family]
    router = {4: "10.0.0.254", 6: "2001:db8:1::fe"}[outer_family]
    inner = bytes(talk.segment("PA", TEXT * 4))
    if outer_family == 4:
        protocol = 4 if talk.family == 4 else 41
        outer = IP(src=own, dst=talk.server, proto=protocol, flags="DF", id=talk.port) / Raw(inner)
        packet = IP(src=router, dst=own, id=talk.port) / _KINDS[4][kind] / Raw(bytes(outer)[: 20 + length])
    else:
        outer = IPv6(src=own, dst=talk.server, nh=4 if talk.family == 4 else 41) / Raw(inner)
        packet = IPv6(src=router, dst=own) / _KINDS[6][kind] / Raw(bytes(outer)[: 40 + length])
    talk.hears("error", packet)


def _about_requests(family: int) -> Iterator[tuple[str, Script]]:
    for kind in _KINDS[family]:
        yield kind, partial(about_request, kind=kind)
    kind = _TOO_BIG[family]
    gateway = {4: "10.0.0.254", 6: "2001:db8:1::fe"}[family]
    yield f"{kind}-short", partial(about_request, kind=kind, length=_SHORT)
    yield f"{kind}-of-udp", partial(about_request, kind=kind, transport="udp")
    yield f"{kind}-from-router", partial(about_request, kind=kind, source=gateway)


def _about_replies(family: int) -> Iterator[tuple[str, Script]]:
    for kind in _KINDS[family]:
        yield kind, partial(about_reply, kind=kind)
    kind = _TOO_BIG[family]
    yield f"{kind}-short", partial(about_reply, kind=kind, length=_SHORT)
    yield f"{kind}-of-udp", partial(about_reply, kind=kind, transport="udp")
    yield f"{kind}-short-of-udp", partial(about_reply, kind=kind, length=_SHORT, transport="udp")


def plays() -> Iterator[Play]:
    for family in FAMILIES:
        for method in METHODS:
            service = f"{method}{family}"
            for name, script in _about_replies(family):
                yield Play(f"{service}/icmp/about-reply/{name}", service, script)
            yield Play(f"{service}/icmp/odd-quotes", service, odd_quotes)
        for name, script in _about_requests(family):
            yield Play(f"nat{family}/icmp/about-request/{name}", f"nat{family}", script)
        yield Play(f"any{family}/icmp-about-nothing", f"nat{family}", about_nothing)
        for method in ("tun", "cross"):
            outer = family if method == "tun" else 10 - family
            for kind in (_TOO_BIG[outer], "unreachable-1", "time-exceeded"):
                for length in (28, 80):
                    script = partial(about_tunnel, kind=kind, length=length)
                    yield Play(f"{method}{family}/icmp/about-tunnel/{kind}-{length}", f"{method}{family}", script)
