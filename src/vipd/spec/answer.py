"""What the director answers itself, back the way the packet came: TCP resets and ICMP errors."""

from __future__ import annotations

from typing import Final

from vipd.spec.packet import Journey, Link, Part
from vipd.spec.reason import rules_of
from vipd.wire import icmp, ip, transport
from vipd.wire.headers import TcpAt
from vipd.wire.icmp import Icmp
from vipd.wire.transport import Tcp

TTL: Final = 64
_QUOTE: Final = {4: 576 - 28, 6: 1280 - 48}
"All of an error fits into 576 bytes (RFC 1812 4.3.2.3), of ICMPv6 into 1,280 (RFC 4443 2.4 c)."
_TRAFFIC_CLASS: Final = {4: 0xC0, 6: 0}
"Errors go as internetwork control (RFC 1812 4.3.2.5)."
_UNREACHABLE: Final = {4: (icmp.UNREACHABLE, icmp.PORT_UNREACHABLE), 6: (icmp.V6_UNREACHABLE, icmp.V6_PORT_UNREACHABLE)}
_TOO_BIG: Final = {4: (icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED), 6: (icmp.V6_TOO_BIG, 0)}
_EXCEEDED: Final = {4: (icmp.TIME_EXCEEDED, 0), 6: (icmp.V6_TIME_EXCEEDED, 0)}

_rule = rules_of("answer")
RESET = _rule("reset", "nobody serves this: a reset, as a closed port sends it", "RFC 9293 3.10.7.1")
UNREACHABLE = _rule("unreachable", "nobody serves this: port unreachable", "RFC 1122 3.2.2.1, RFC 4443 3.1")
TOO_BIG = _rule("too_big", "packet too big, and that {mtu} bytes fit", "RFC 792, RFC 1191 4, RFC 4443 3.2")
EXCEEDED = _rule("exceeded", "time exceeded", "RFC 792, RFC 4443 3.3")
NO_ANSWER = _rule(
    "no_answer",
    "no answer to a reset, to an error, or to a fragment other than the first",
    "RFC 9293 3.5.2, RFC 1122 3.2.2, RFC 4443 2.4 e",
)


def refuse(journey: Journey, why: str) -> str:
    """Nobody serves this: say so at once, so that the client need not wait."""
    if journey.tcp is not None and journey.segment != "rst":
        journey.because(RESET)
        _reset(journey, journey.tcp)
        return f"reply_reset_{why}"
    if journey.udp is not None:
        journey.because(UNREACHABLE)
        _error(journey, _UNREACHABLE, 0)
        return f"reply_unreachable_{why}"
    journey.because(NO_ANSWER)
    return "drop_no_server"


def too_big(journey: Journey, mtu: int) -> str:
    if journey.part is Part.LATER or journey.is_icmp:
        journey.because(NO_ANSWER)
        return "drop_too_big"
    journey.because(TOO_BIG, mtu=mtu)
    _error(journey, _TOO_BIG, mtu)
    return "reply_too_big"


def time_exceeded(journey: Journey) -> str:
    if journey.part is Part.LATER or journey.is_icmp:
        journey.because(NO_ANSWER)
        return "drop_ttl"
    journey.because(EXCEEDED)
    _error(journey, _EXCEEDED, 0)
    return "reply_time_exceeded"


def _reset(journey: Journey, given: TcpAt) -> None:
    """In the sequence that the segment acknowledges; else with 0, acknowledging all of the segment."""
    if given.flags & transport.ACK:
        sequence, acknowledgment, flags = given.acknowledgment, 0, transport.RST
    else:
        length = journey.network.length - journey.offset - given.header + bool(given.flags & transport.SYN)
        sequence, acknowledgment, flags = 0, (given.sequence + length) % (1 << 32), transport.RST | transport.ACK
    flow = journey.flow
    made = Tcp(flow.destination_port, flow.source_port, flags, sequence=sequence, acknowledgment=acknowledgment)
    _back(journey, ip.TCP, made.encode(flow.destination, flow.source), 0)


def _error(journey: Journey, kinds: dict[int, tuple[int, int]], word: int) -> None:
    """About as much of the packet as an error may bring back, in whole words."""
    flow, version = journey.flow, journey.network.version
    quote = bytes(journey.packet[: min(journey.network.length, _QUOTE[version]) & ~3])
    message = Icmp(*kinds[version], word, quote)
    _back(journey, journey.network.icmp, message.encode(flow.destination, flow.source), _TRAFFIC_CLASS[version])


def _back(journey: Journey, protocol: int, payload: bytes, traffic_class: int) -> None:
    """From whom the packet was for to whom it came from, and out of where it came in."""
    flow = journey.flow
    journey.packet[:] = ip.build(flow.destination, flow.source, protocol, payload, TTL, traffic_class).encode()
    journey.egress = journey.ingress.ifindex
    if journey.link is not None:
        journey.link = Link(journey.link.source, journey.link.destination, journey.link.type)
