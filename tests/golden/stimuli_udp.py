"""UDP, other transports, and what nobody serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scapy.layers.inet import ICMP
from scapy.layers.inet6 import ICMPv6EchoRequest
from scapy.packet import Raw

from tests.golden.services import METHODS
from tests.golden.talk import TEXT, Play, Script, Talk
from tests.support.packets import FAMILIES, HEADER


def request_and_reply(talk: Talk) -> None:
    talk.says("request", talk.datagram())
    if talk.service.method == "nat":
        talk.hears("reply", talk.from_server() / talk.udp(**talk.back()) / Raw(TEXT + TEXT))
    talk.says("even", talk.datagram(TEXT + b"!"))
    talk.says("empty", talk.datagram(b""))


def no_sum(talk: Talk) -> None:
    """Of IPv6, no valid one."""
    talk.says("request", talk.datagram(chksum=0))
    if talk.service.method == "nat":
        talk.hears("reply", talk.from_server() / talk.udp(chksum=0, **talk.back()) / Raw(TEXT))


def sum_that_comes_out_as_zero(talk: Talk) -> None:
    """Two bytes are chosen so that after NAT the sum over everything is 0, which must be sent as ffff."""
    after = {"dst": talk.server} if talk.service.method == "nat" else {}
    port = talk.service.server_port
    plain = bytes(talk.ip(**after) / talk.udp(dport=port) / Raw(b"\0\0"))
    its_sum = plain[HEADER[talk.family] + 6 :][:2]
    talk.says("request", talk.datagram(its_sum))


def wrong_sum(talk: Talk) -> None:
    talk.says("request", talk.datagram(chksum=0x1234))


def longer_than_packet(talk: Talk) -> None:
    talk.says("request", talk.datagram(len=200, chksum=0x1234))


def shorter_than_packet(talk: Talk) -> None:
    talk.says("request", talk.datagram(len=20))


def length_of_nothing(talk: Talk) -> None:
    talk.says("request", talk.datagram(len=0, chksum=0x1234))


def port_zero(talk: Talk) -> None:
    talk.says("request", talk.datagram(sport=0))


_SCRIPTS: Final[dict[str, Script]] = {
    "request-and-reply": request_and_reply,
    "no-sum": no_sum,
    "sum-that-comes-out-as-zero": sum_that_comes_out_as_zero,
    "wrong-sum": wrong_sum,
    "longer-than-packet": longer_than_packet,
    "shorter-than-packet": shorter_than_packet,
    "length-of-nothing": length_of_nothing,
    "port-zero": port_zero,
}


def no_service(talk: Talk) -> None:
    talk.says("syn", talk.segment("S", dport=7))
    talk.says("ack", talk.segment("A", dport=7))
    talk.says("datagram", talk.datagram(dport=7))


def ping(talk: Talk) -> None:
    kind = ICMP(type=8, id=talk.port) if talk.family == 4 else ICMPv6EchoRequest(id=talk.port)
    talk.says("echo", talk.ip() / kind / Raw(TEXT))


def other_protocols(talk: Talk) -> None:
    field = "proto" if talk.family == 4 else "nh"
    for number in (41, 47, 50, 132, 253):
        talk.says(f"protocol-{number}", talk.ip(**{field: number}) / Raw(bytes(40)))


def from_servers_own(talk: Talk) -> None:
    """The server's own traffic through the director, which is its gateway."""
    own = {"sport": 33_000, "dport": talk.port}
    talk.hears("syn", talk.from_server() / talk.tcp("S", **own))
    talk.hears("datagram", talk.from_server() / talk.udp(**own) / Raw(TEXT))
    kind = ICMP(type=8, id=talk.port) if talk.family == 4 else ICMPv6EchoRequest(id=talk.port)
    talk.hears("echo", talk.from_server() / kind / Raw(TEXT))


def unasked_answer(talk: Talk) -> None:
    """From the served port, of a connection that the director does not know."""
    talk.hears("ack", talk.answer("PA", TEXT))
    talk.hears("syn-ack", talk.answer("SA"))
    talk.hears("rst", talk.answer("R"))
    talk.hears("syn", talk.answer("S"))
    talk.hears("datagram", talk.from_server() / talk.udp(**talk.back()) / Raw(TEXT))


def refused(talk: Talk) -> None:
    """By a service without a server of weight above 0."""
    talk.says("syn", talk.segment("S"))
    talk.says("syn-with-payload", talk.segment("S", TEXT))
    talk.says("ack", talk.segment("A"))
    talk.says("rst", talk.segment("R"))
    talk.says("datagram", talk.datagram())


_ONCE: Final[dict[str, Script]] = {
    "no-service": no_service,
    "ping": ping,
    "other-protocols": other_protocols,
    "from-servers-own": from_servers_own,
    "unasked-answer": unasked_answer,
}


def plays() -> Iterator[Play]:
    for family in FAMILIES:
        for method in METHODS:
            for name, script in _SCRIPTS.items():
                yield Play(f"{method}{family}/udp/{name}", f"{method}{family}", script)
        for name, script in _ONCE.items():
            yield Play(f"any{family}/{name}", f"nat{family}", script)
        yield Play(f"any{family}/no-servers", f"empty{family}", refused)
        yield Play(f"any{family}/only-weight-0", f"quiesced{family}", refused)
        yield Play(f"any{family}/local-server", f"local{family}", refused)
