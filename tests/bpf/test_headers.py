"""Odd headers: each is read right, or left to the kernel, or dropped, under a name of its own."""

from __future__ import annotations

from typing import Any, Final

import pytest
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP, IPOption_Router_Alert, IPOption_Timestamp
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Raw

from tests.support.bpf import XDP_DROP, XDP_PASS, XDP_REDIRECT
from tests.support.marks import each_family
from tests.support.packets import PORT, altered, framed, ip, request, segment, sent, tcp, udp
from tests.support.tables import TCP as TCP_NUMBER
from tests.support.tables import UDP as UDP_NUMBER
from tests.support.tables import Director, row
from tests.support.wires import CLIENT, CLIENT_MAC, STRANGER, VIP, server, server_mac
from vipd.dataplane import _abi
from vipd.dataplane._abi import Method

LONG: Final = PadN(optdata=bytes(250))


def serve(director: Director, family: int, method: Method = Method.NAT) -> None:
    for protocol in (TCP_NUMBER, UDP_NUMBER):
        service = director.service(VIP[family], PORT, protocol)
        director.serve(service, [director.server(service, server(family, 1), method)])


def passed(director: Director, frame: bytes, outcome: str) -> None:
    result = director.run(frame)
    assert (result.action, result.frame, result.outcomes) == (XDP_PASS, frame, {outcome: 1})
    assert director.entries() == []


def dropped(director: Director, frame: bytes, outcome: str) -> None:
    result = director.run(frame)
    assert (result.action, result.frame, result.outcomes) == (XDP_DROP, frame, {outcome: 1})
    assert director.entries() == []


@pytest.mark.parametrize("protocol", [TCP_NUMBER, UDP_NUMBER], ids=["tcp", "udp"])
@pytest.mark.parametrize(
    "options",
    [[IPOption_NOP()] * 4, [IPOption_Router_Alert()], [IPOption_Timestamp()], [IPOption_NOP()] * 40],
    ids=["four-nops", "router-alert", "timestamp", "forty-nops"],
)
def test_ipv4_options_move_the_ports(director: Director, protocol: int, options: list[Any]) -> None:
    serve(director, 4)
    packet = request(4, protocol)
    packet.options = options
    result = director.run(framed(packet, director.wires.out))
    assert (result.action, result.outcomes) == (XDP_REDIRECT, {"FORWARD_NAT": 1})
    assert result.frame == sent(altered(packet, 1, dst=server(4, 1)), director.wires.inner, server_mac(1))


HEADERS: Final[dict[str, Any]] = {
    "hop-by-hop": IPv6ExtHdrHopByHop(),
    "destination": IPv6ExtHdrDestOpt(),
    "routing-done": IPv6ExtHdrRouting(type=4, segleft=0, addresses=["2001:db8::1"]),
    "three": IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / IPv6ExtHdrRouting(segleft=0),
    "seven": IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt()
    / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt(),
    "long": IPv6ExtHdrHopByHop(options=[LONG, LONG]),
}  # fmt: skip


@pytest.mark.parametrize("transport", [tcp("S"), udp()], ids=["tcp", "udp"])
@pytest.mark.parametrize("name", HEADERS)
def test_ipv6_extension_headers_are_walked(director: Director, transport: Any, name: str) -> None:
    serve(director, 6)
    packet = ip(6) / HEADERS[name] / transport / Raw(b"data")
    result = director.run(framed(packet, director.wires.out))
    assert (result.action, result.outcomes) == (XDP_REDIRECT, {"FORWARD_NAT": 1})
    assert result.frame == sent(altered(packet, 1, dst=server(6, 1)), director.wires.inner, server_mac(1))


def many(count: int) -> Any:
    head = ip(6)
    for _ in range(count):
        head /= IPv6ExtHdrDestOpt()
    return head / udp()


@pytest.mark.parametrize(
    ("packet", "outcome"),
    [
        (many(8), "PASS_EXTENSION_HEADER"),
        (many(20), "PASS_EXTENSION_HEADER"),
        (ip(6) / IPv6ExtHdrRouting(type=0, segleft=1, addresses=["2001:db8::1"]) / udp(), "PASS_EXTENSION_HEADER"),
        (ip(6) / IPv6ExtHdrHopByHop(options=[LONG] * 8) / udp(), "PASS_EXTENSION_HEADER"),
        (ip(6, plen=0) / IPv6ExtHdrHopByHop() / udp(), "PASS_EXTENSION_HEADER"),
        (ip(6, nh=59), "PASS_PROTOCOL"),
        (ip(6, nh=59) / Raw(bytes(64)), "PASS_PROTOCOL"),
        (ip(6) / IPv6ExtHdrDestOpt(nh=59), "PASS_PROTOCOL"),
        (ip(6, nh=50) / Raw(bytes(64)), "PASS_PROTOCOL"),
        (ip(6, nh=51) / Raw(bytes(64)), "PASS_PROTOCOL"),
        (ip(6, nh=135) / Raw(bytes(64)), "PASS_PROTOCOL"),
        (ip(6) / IPv6ExtHdrHopByHop() / ICMPv6EchoRequest(), "PASS_ICMP"),
    ],
    ids=[
        "eight",
        "twenty",
        "routing-0",
        "far",
        "jumbogram",
        "none",
        "none-more",
        "none-last",
        "esp",
        "ah",
        "mobility",
        "mld",
    ],
)
def test_what_the_walk_does_not_follow_is_the_kernels(director: Director, packet: Any, outcome: str) -> None:
    serve(director, 6)
    passed(director, framed(packet, director.wires.out), outcome)


@pytest.mark.parametrize("length", [1, 5, 255])
def test_an_extension_header_longer_than_its_packet_is_dropped(director: Director, length: int) -> None:
    serve(director, 6)
    frame = framed(ip(6, nh=60) / Raw(bytes([17, length])) / Raw(bytes(6)) / udp(), director.wires.out)
    dropped(director, frame, "DROP_MALFORMED")
    # Not even where Ethernet's trailer would be long enough for it.
    dropped(director, frame + bytes(3000), "DROP_MALFORMED")


@pytest.mark.parametrize("following", [17, 59, 60])
def test_a_routing_header_longer_than_its_packet_is_dropped_wherever_it_leads(
    director: Director, following: int
) -> None:
    serve(director, 6)
    frame = framed(ip(6, nh=43) / Raw(bytes([following, 6, 0, 1])) / Raw(bytes(4)) / udp(), director.wires.out)
    dropped(director, frame, "DROP_MALFORMED")
    dropped(director, frame + bytes(3000), "DROP_MALFORMED")


@each_family
@pytest.mark.parametrize("tags", [1, 2, 3])
@pytest.mark.parametrize("layer", [Dot1Q, Dot1AD])
def test_tagged_frames_are_the_kernels(director: Director, family: int, tags: int, layer: Any) -> None:
    serve(director, family)
    frame = Ether(src=CLIENT_MAC, dst=director.wires.out.mac)
    for n in range(tags):
        frame /= layer(vlan=5 + n)
    passed(director, bytes(frame / request(family, UDP_NUMBER)), "PASS_VLAN")


@each_family
@pytest.mark.parametrize(
    "mac", ["02:00:00:00:0a:02", "02:00:00:00:0a:00", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "33:33:00:00:00:01"]
)
def test_a_frame_for_another_mac_is_not_balanced(director: Director, family: int, mac: str) -> None:
    serve(director, family)
    passed(director, bytes(Ether(src=CLIENT_MAC, dst=mac) / request(family, UDP_NUMBER)), "PASS_OTHER_MAC")


@each_family
def test_an_interface_that_shares_its_place_with_another_is_not_mistaken(director: Director, family: int) -> None:
    serve(director, family)
    out = director.wires.out
    mac = list(bytes.fromhex(out.mac.replace(":", "")))
    director.put("interfaces", out.ifindex, row(_abi.INTERFACE, ifindex=out.ifindex + 65536, mac=[mac], flags=3))
    passed(director, framed(request(family, UDP_NUMBER), out), "PASS_OTHER_MAC")


SOURCES: Final = {
    4: ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", VIP[4]],
    6: ["::", "::1", "ff02::1", "ff0e::5", "::ffff:198.51.100.7", VIP[6]],
}  # fmt: skip


@pytest.mark.parametrize(("family", "source"), [(family, each) for family, all_ in SOURCES.items() for each in all_])
@pytest.mark.parametrize("transport", [tcp("S"), tcp("A"), udp()], ids=["syn", "ack", "udp"])
@pytest.mark.parametrize("method", [Method.NAT, Method.DR])
def test_martians_and_land_are_dropped(
    director: Director, family: int, source: str, transport: Any, method: Method
) -> None:
    serve(director, family, method)
    dropped(director, framed(ip(family, src=source) / transport, director.wires.out), "DROP_MARTIAN")


@each_family
@pytest.mark.parametrize("transport", [tcp("S"), tcp("A"), udp()], ids=["syn", "ack", "udp"])
@pytest.mark.parametrize("method", list(Method), ids=lambda each: each.name.lower())
def test_no_server_gets_what_comes_from_its_own_address(
    director: Director, family: int, transport: Any, method: Method
) -> None:
    """Its kernel would throw it away without a word; here it is counted."""
    serve(director, family, method)
    dropped(director, framed(ip(family, src=server(family, 1)) / transport, director.wires.out), "DROP_MARTIAN")
    neighbour = framed(ip(family, src=server(family, 2)) / transport, director.wires.out)
    assert "DROP_MARTIAN" not in director.run(neighbour).outcomes


def test_an_ipv6_packet_does_not_pass_for_ipv4(director: Director) -> None:
    """In the tables ::ffff:a.b.c.d is IPv4: on the wire it must not become a flow of IPv4."""
    serve(director, 4)
    director.run(framed(request(4, UDP_NUMBER), director.wires.out))
    [known] = director.connections()
    packet = IPv6(src=f"::ffff:{CLIENT[4]}", dst=f"::ffff:{VIP[4]}") / udp()
    frame = framed(packet, director.wires.out)
    result = director.run(frame)
    assert (result.action, result.frame, result.outcomes) == (XDP_DROP, frame, {"DROP_MARTIAN": 1})
    assert director.connections() == [known]


def carrying(family: int, protocol: int) -> Any:
    return ip(family, **{"proto" if family == 4 else "nh": protocol})


@each_family
@pytest.mark.parametrize(
    ("packet", "outcome"),
    [
        (lambda family: carrying(family, 132) / SCTP(sport=1, dport=PORT), "PASS_PROTOCOL"),
        (lambda family: carrying(family, 47) / Raw(bytes(60)), "PASS_PROTOCOL"),
        (lambda family: carrying(family, 4) / ip(4) / udp(), "PASS_PROTOCOL"),
        (lambda family: carrying(family, 136) / udp(), "PASS_PROTOCOL"),
        (lambda family: carrying(family, 253) / Raw(b""), "PASS_PROTOCOL"),
        (lambda family: ip(family) / udp(dport=PORT + 1), "PASS_NO_SERVICE"),
        (lambda family: ip(family) / tcp("S", dport=PORT + 1), "PASS_NO_SERVICE"),
        (lambda family: altered(request(family, UDP_NUMBER), dst=STRANGER[family]), "PASS_NOT_OURS"),
        (lambda _: ARP(), "PASS_NOT_IP"),
    ],
    ids=["sctp", "gre", "ipip", "udplite", "experiment", "udp-port", "tcp-port", "elsewhere", "arp"],
)
def test_what_nobody_here_serves_passes_untouched(director: Director, family: int, packet: Any, outcome: str) -> None:
    serve(director, family)
    passed(director, framed(packet(family), director.wires.out), outcome)


@each_family
def test_protocols_are_different_services(director: Director, family: int) -> None:
    service = director.service(VIP[family], PORT, TCP_NUMBER)
    director.serve(service, [director.server(service, server(family, 1), Method.NAT)])
    passed(director, framed(request(family, UDP_NUMBER), director.wires.out), "PASS_NO_SERVICE")


FLAGS: Final = {
    "null": 0x00, "psh": 0x08, "urg": 0x20, "fin": 0x01, "xmas": 0x29, "fin-psh": 0x09, "syn-fin": 0x03,
    "syn-fin-ack": 0x13, "syn-rst": 0x06, "syn-rst-ack": 0x16, "fin-rst": 0x05, "fin-rst-ack": 0x15, "all": 0x3F,
}  # fmt: skip
MAKES_NONE: Final = {"syn-ack": 0x12, "ack": 0x10, "psh-ack": 0x18, "fin-ack": 0x11, "rst": 0x04, "rst-ack": 0x14}


@each_family
@pytest.mark.parametrize("name", FLAGS)
def test_segments_that_no_stack_sends_are_dropped(director: Director, family: int, name: str) -> None:
    serve(director, family)
    odd = framed(ip(family) / TCP(sport=9, dport=PORT, flags=FLAGS[name]), director.wires.out)
    dropped(director, odd, "DROP_TCP_FLAGS")
    # Known connections are not told by them either.
    director.run(framed(segment(family, sport=9), director.wires.out))
    before = director.entries()
    assert director.run(odd).outcomes == {"DROP_TCP_FLAGS": 1}
    assert director.entries() == before


@each_family
@pytest.mark.parametrize("name", MAKES_NONE)
def test_only_a_pure_syn_makes_a_connection(director: Director, family: int, name: str) -> None:
    serve(director, family, Method.DR)
    result = director.run(framed(ip(family) / TCP(sport=9, dport=PORT, flags=MAKES_NONE[name]), director.wires.out))
    assert (result.outcomes, result.events) == ({"FORWARD_DR": 1}, {"STATELESS": 1, "NEXT_HOP_REFRESHED": 1})
    assert director.entries() == []


@each_family
@pytest.mark.parametrize("flags", ["S", "SE", "SEC", "SP", "SU"])
def test_a_syn_may_carry_more(director: Director, family: int, flags: str) -> None:
    serve(director, family)
    result = director.run(framed(segment(family, flags, b"early data"), director.wires.out))
    assert result.events["CONNECTION_NEW"] == 1


@each_family
@pytest.mark.parametrize("transport", [TCP, UDP])
def test_port_0_is_a_port(director: Director, family: int, transport: Any) -> None:
    protocol = TCP_NUMBER if transport is TCP else UDP_NUMBER
    service = director.service(VIP[family], 0, protocol)
    director.serve(service, [director.server(service, server(family, 1), Method.NAT, port=8080)])
    made = tcp("S", sport=0, dport=0) if transport is TCP else udp(sport=0, dport=0)
    packet = ip(family) / made
    result = director.run(framed(packet, director.wires.out))
    expected = altered(packet, 1, dst=server(family, 1), dport=8080)
    assert result.frame == sent(expected, director.wires.inner, server_mac(1))
    assert (director.connection().source_port, director.connection().destination_port) == (0, 0)


@each_family
@pytest.mark.parametrize("padding", [1, 6, 18, 100])
@pytest.mark.parametrize("method", [Method.DR, Method.NAT])
def test_what_ethernet_added_stays_as_it_is(director: Director, family: int, padding: int, method: Method) -> None:
    serve(director, family, method)
    packet = ip(family) / udp()
    result = director.run(framed(packet, director.wires.out) + bytes(range(padding)))
    expected = packet if method == Method.DR else altered(packet, 1, dst=server(family, 1))
    assert result.frame == sent(expected, director.wires.inner, server_mac(1)) + bytes(range(padding))


@each_family
def test_addresses_that_only_share_a_bit_with_ours_pass(director: Director, family: int) -> None:
    """The filter may be wrong in this direction only."""
    serve(director, family)
    director.notice(STRANGER[family])
    strange = altered(request(family, UDP_NUMBER), dst=STRANGER[family])
    passed(director, framed(strange, director.wires.out), "PASS_NO_SERVICE")
    strange = altered(request(family, UDP_NUMBER), src=STRANGER[family], dst=CLIENT[family])
    passed(director, framed(strange, director.wires.out), "PASS_NOT_OURS")


@pytest.mark.parametrize("length", [0, 1, 19])
def test_malformed_icmp_of_strangers_is_not_ours_to_drop(director: Director, length: int) -> None:
    serve(director, 4)
    packet = IP(src=STRANGER[4], dst=CLIENT[4], len=length, proto=1) / Raw(bytes(8))
    passed(director, framed(packet, director.wires.out), "PASS_NOT_OURS")
    serve(director, 6)
    packet = IPv6(src=STRANGER[6], dst=CLIENT[6], plen=2000, nh=58) / Raw(bytes(8))
    passed(director, framed(packet, director.wires.out), "PASS_NOT_OURS")
