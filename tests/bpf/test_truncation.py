"""Every kind of packet cut at every byte: one outcome each, nothing forwarded that claims more than it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from scapy.layers.inet import ICMP, IP, IPOption_NOP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import ARP, Dot1Q
from scapy.packet import Raw

from tests.support.bpf import XDP_DROP, XDP_PASS, XDP_REDIRECT, XDP_TX
from tests.support.packets import CLIENT_PORT, FAMILIES, HEADER, answer, framed, ip, request, tcp, udp
from tests.support.tables import TCP, UDP, Director
from tests.support.wires import CLIENT, STRANGER, VIP, Wire, server
from vipd.dataplane._abi import Method, ServerStatus, ServiceFlag

SOURCE: Final = {4: "172.16.0.1", 6: "100::1"}
METHOD_PORT: Final = {Method.NAT: 80, Method.DR: 81, Method.TUN: 82, Method.LOCAL: 83}
GONE: Final = 84
"The port of services whose server was removed."
PASSED: Final = ("PASS_", "ROUTE_")
SENT: Final = ("FORWARD_", "REPLY_")


def first(family: int, protocol: int, port: int) -> Any:
    return request(family, protocol, b"", dport=port)


def data(family: int, protocol: int, port: int) -> Any:
    transport = tcp("PA", dport=port) if protocol == TCP else udp(dport=port)
    return ip(family) / transport / Raw(b"0123456")


def quote(family: int, source: str, destination: str, sport: int, dport: int) -> Any:
    return ip(family, src=source, dst=destination) / udp(sport=sport, dport=dport) / Raw(b"x" * 20)


def too_big(family: int, quoted: Any, source: str, destination: str) -> Any:
    kind: Any = ICMP(type=3, code=4, nexthopmtu=1300) if family == 4 else ICMPv6PacketTooBig(mtu=1300)
    return ip(family, src=source, dst=destination) / kind / Raw(bytes(quoted))


def kinds() -> dict[str, tuple[int, Any]]:
    """Name to the family and the packet; those of `reply` come from the servers' side."""
    made: dict[str, tuple[int, Any]] = {}
    for family in FAMILIES:
        for name, protocol in (("tcp", TCP), ("udp", UDP)):
            for method, port in METHOD_PORT.items():
                made[f"{name}{family}-{method.name.lower()}-new"] = family, first(family, protocol, port)
                made[f"{name}{family}-{method.name.lower()}-known"] = family, data(family, protocol, port)
            made[f"{name}{family}-gone"] = family, data(family, protocol, GONE)
            made[f"{name}{family}-reply"] = family, answer(family, protocol, server(family, 1))
            made[f"{name}{family}-no-service"] = family, first(family, protocol, 9)
            made[f"{name}{family}-stranger"] = (
                family,
                first(family, protocol, 9).__class__(bytes(ip(family, dst=STRANGER[family]) / udp())),
            )
        back = quote(family, VIP[family], CLIENT[family], METHOD_PORT[Method.NAT], CLIENT_PORT)
        there = quote(family, CLIENT[family], server(family, 1), METHOD_PORT[Method.NAT], 0)
        made[f"icmp{family}-to-server"] = family, too_big(family, back, STRANGER[family], VIP[family])
        made[f"icmp{family}-reply-to-client"] = family, too_big(family, there, server(family, 1), CLIENT[family])
        options = tcp("S", dport=METHOD_PORT[Method.TUN], options=[("NOP", None), ("MSS", 1460), ("WScale", 7)])
        made[f"tcp{family}-options"] = family, ip(family) / options
        made[f"ttl{family}"] = family, ip(family, 1) / udp(dport=METHOD_PORT[Method.NAT]) / Raw(b"abcdef")
        made[f"large{family}"] = family, ip(family) / udp(dport=METHOD_PORT[Method.TUN]) / Raw(bytes(1460))
    made |= {
        "ip-options": (4, ip(4, options=[IPOption_NOP()] * 8) / udp() / Raw(b"abc")),
        "fragment-first": (4, ip(4, flags="MF", id=5) / udp(len=64) / Raw(bytes(24))),
        "fragment-later": (4, ip(4, frag=4, id=5, proto=17) / Raw(bytes(32))),
        "fragment-first6": (6, ip(6) / IPv6ExtHdrFragment(id=5, m=1) / udp(len=64) / Raw(bytes(24))),
        "fragment-later6": (6, ip(6) / IPv6ExtHdrFragment(id=5, offset=4, nh=17) / Raw(bytes(32))),
        "extension": (6, ip(6) / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / udp() / Raw(b"abc")),
        "routing": (6, ip(6) / IPv6ExtHdrRouting(segleft=1, addresses=["2001:db8::1"]) / udp()),
        "none": (6, ip(6, nh=59) / Raw(bytes(8))),
        "sctp": (4, ip(4, proto=132) / Raw(bytes(24))),
        "ping": (4, ip(4) / ICMP() / Raw(bytes(16))),
        "ping6": (6, ip(6) / ICMPv6EchoRequest(data=bytes(16))),
        "arp": (4, ARP()),
        "tagged": (4, Dot1Q(vlan=5) / request(4, UDP)),
    }
    return made


KINDS: Final = kinds()


def prepare(director: Director, family: int) -> None:
    """Services of all methods, with the connections that the known kinds belong to."""
    for protocol in (TCP, UDP):
        for method, port in (*METHOD_PORT.items(), (Method.DR, GONE)):
            service = director.service(VIP[family], port, protocol, flags=ServiceFlag.CLAMP_MSS)
            only = director.server(service, server(family, 1), method, source=SOURCE[family])
            director.serve(service, [only])
            director.run(framed(first(family, protocol, port), director.wires.out))
            if port == GONE:
                director.change_server(only, status=ServerStatus.REMOVED_RESET)
    head = ip(4, flags="MF", id=5) if family == 4 else ip(6) / IPv6ExtHdrFragment(id=5, m=1)
    director.run(framed(head / udp(len=64) / Raw(bytes(24)), director.wires.out))


def wire_of(director: Director, name: str) -> Wire:
    return director.wires.inner if "reply" in name else director.wires.out


def action_fits(action: int, outcome: str) -> bool:
    if outcome.startswith(PASSED):
        return action == XDP_PASS
    if outcome.startswith(SENT):
        return action in (XDP_TX, XDP_REDIRECT)
    return outcome.startswith("DROP_") and action == XDP_DROP


def lengths(size: int) -> list[int]:
    """All there are; of a large packet those of the headers, and some of the rest."""
    return list(range(14, min(size, 160))) + list(range(160, size, 97)) + list(range(max(14, size - 3), size))


def test_there_are_enough_kinds() -> None:
    assert len(KINDS) >= 40
    assert len({bytes(packet) for _, packet in KINDS.values()}) > 40


@pytest.mark.parametrize("name", KINDS)
def test_a_packet_cut_short_is_never_forwarded(director: Director, name: str) -> None:
    family, packet = KINDS[name]
    prepare(director, family)
    wire = wire_of(director, name)
    frame = framed(packet, wire)
    for length in lengths(len(frame)):
        cut = frame[:length]
        result = director.run(cut, wire)
        [(outcome, count)] = result.outcomes.items()
        assert count == 1, length
        assert outcome.startswith(("PASS_", "DROP_")), (length, outcome)
        assert action_fits(result.action, outcome), (length, outcome)
        assert result.frame == cut, (length, outcome)
    assert sum(director.run(frame, wire).outcomes.values()) == 1


def shortened(packet: Any, by: int) -> Any:
    made = packet.copy()
    if IP in made and made.len is None:
        made.len = len(bytes(packet)) - by
    elif IPv6 in made and made.plen is None:
        made.plen = len(bytes(packet)) - 40 - by
    return made


@pytest.mark.parametrize("name", [name for name, (_, packet) in KINDS.items() if IP in packet or IPv6 in packet])
def test_an_ip_length_at_every_value_rewrites_nothing_beyond_it(director: Director, name: str) -> None:
    """The frame is long enough each time: what IP does not claim, Ethernet added, and it comes out as it was."""
    family, packet = KINDS[name]
    prepare(director, family)
    wire = wire_of(director, name)
    size = len(bytes(packet)) - (0 if family == 4 else 40)
    for by in range(min(size, 90) + 1):
        frame = framed(shortened(packet, by), wire)
        result = director.run(frame, wire)
        [(outcome, count)] = result.outcomes.items()
        assert count == 1, by
        assert action_fits(result.action, outcome), (by, outcome)
        assert by == 0 or result.frame[len(result.frame) - by :] == frame[len(frame) - by :] or outcome[:5] == "REPLY"
        if outcome.startswith(("PASS_", "DROP_")):
            assert result.frame == frame, (by, outcome)


CLAIMS: Final[dict[str, Callable[[int], Any]]] = {
    "udp-longer": lambda family: ip(family) / udp(len=100) / Raw(b"short"),
    "udp-shorter-than-its-header": lambda family: ip(family) / udp(len=7) / Raw(b"short"),
    "udp-zero": lambda family: ip(family) / udp(len=0) / Raw(b"short"),
    "tcp-offset-past-the-end": lambda family: ip(family) / tcp("S", dataofs=15) / Raw(b"short"),
    "tcp-offset-too-small": lambda family: ip(family) / tcp("S", dataofs=4) / Raw(bytes(60)),
    "tcp-offset-zero": lambda family: ip(family) / tcp("S", dataofs=0) / Raw(bytes(60)),
    "ip-longer": lambda family: ip(family, **{"len" if family == 4 else "plen": 1000}) / udp(),
    "ip-longest": lambda family: ip(family, **{"len" if family == 4 else "plen": 65535}) / udp(),
    "version": lambda family: ip(family, version=10 - family) / udp() / Raw(bytes(60)),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", CLAIMS)
def test_headers_that_claim_what_is_not_there_are_dropped(director: Director, family: int, name: str) -> None:
    prepare(director, family)
    frame = framed(CLAIMS[name](family), director.wires.out)
    result = director.run(frame)
    assert (result.action, result.frame, result.outcomes) == (XDP_DROP, frame, {"DROP_MALFORMED": 1})


@pytest.mark.parametrize("ihl", range(5))
def test_an_ipv4_header_shorter_than_itself_is_dropped(director: Director, ihl: int) -> None:
    prepare(director, 4)
    frame = framed(ip(4, ihl=ihl) / udp() / Raw(bytes(60)), director.wires.out)
    assert director.run(frame).outcomes == {"DROP_MALFORMED": 1}


@pytest.mark.parametrize("name", [name for name in KINDS if "large" not in name])
def test_every_flipped_bit_has_one_outcome(director: Director, name: str) -> None:
    family, packet = KINDS[name]
    prepare(director, family)
    wire = wire_of(director, name)
    frame = framed(packet, wire)
    for bit in range(96, min(len(frame), 14 + HEADER[family] + 60) * 8, 3):
        wrong = bytearray(frame)
        wrong[bit // 8] ^= 0x80 >> bit % 8
        result = director.run(bytes(wrong), wire)
        [(outcome, count)] = result.outcomes.items()
        assert count == 1, bit
        assert action_fits(result.action, outcome), (bit, outcome)
        if outcome.startswith(("PASS_", "DROP_")):
            assert result.frame == wrong, (bit, outcome)
