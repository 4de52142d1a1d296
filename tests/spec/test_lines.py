"""Point-to-point devices by examples: a packet without Ethernet in, a frame or a packet out, and why."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from tests.spec.test_decide import director, send, sent, service, told
from tests.support.marks import each_family
from tests.support.oracle.network import PORTS
from tests.support.packets import altered, answer, ip, request, udp
from tests.support.tables import UDP
from tests.support.wires import CLIENT_MAC, LINE_CLIENT, LINE_SERVER, VIP, server, server_mac
from vipd.model.director import Method, RealServer, Transport


@each_family
@pytest.mark.parametrize("method", [Method.NAT, Method.DR])
def test_what_comes_by_a_line_leaves_by_ethernet_with_a_header(family: int, method: Method) -> None:
    made = director(service(family, method, transport=Transport.UDP))
    packet = altered(request(family, UDP), src=LINE_CLIENT[family])
    decision = made.send("line", bytes(packet))
    assert (decision.outcome, decision.egress) == (f"forward_{method}", PORTS["in"].ifindex)
    expected = packet if method is Method.DR else altered(packet, 1, dst=server(family, 1))
    assert decision.frame == sent(expected, "in", server_mac(1))


@each_family
def test_what_leaves_by_a_line_is_the_kernels_and_its_answer_is_not(family: int) -> None:
    far = RealServer(ip_address(LINE_SERVER[family]))
    made = director(service(family, Method.NAT, servers=(far,), transport=Transport.UDP))
    packet = request(family, UDP)
    there = send(made, packet)
    assert (there.outcome, there.egress) == ("route_nat", None)
    assert there.frame[14:] == bytes(altered(packet, dst=LINE_SERVER[family]))
    reply = answer(family, UDP, LINE_SERVER[family])
    back = made.send("line", bytes(reply))
    assert (back.outcome, back.frame) == (
        "forward_nat_reply",
        sent(altered(reply, 1, src=VIP[family]), "out", CLIENT_MAC),
    )


@each_family
def test_direct_routing_over_a_line_has_no_mac_address_to_send_to(family: int) -> None:
    far = RealServer(ip_address(LINE_SERVER[family]), method=Method.DR)
    decision = send(director(service(family, Method.DR, servers=(far,))), ip(family) / udp(dport=9))
    assert decision.outcome == "pass_no_service"
    made = director(service(family, Method.DR, servers=(far,), transport=Transport.UDP))
    assert send(made, request(family, UDP)).outcome == "drop_no_ethernet"


@each_family
def test_what_begins_like_no_ip_is_the_kernels(family: int) -> None:
    made = director(service(family, Method.NAT))
    for packet in (b"\x50" + bytes(39), bytes(20)):
        decision = made.send("line", packet)
        assert (decision.outcome, decision.frame) == ("pass_not_ip", packet)
        assert "begin like neither IPv4 nor IPv6" in told(decision)


@pytest.mark.parametrize(
    ("family", "client", "source"), [(4, "1.0.0.1", "2001:db8:100::1/128"), (6, "2001:db8:ac10::1", "172.16.0.1/32")]
)
def test_a_tunnel_that_looks_like_the_packet_it_holds_is_dropped(family: int, client: str, source: str) -> None:
    outside = 10 - family
    far = RealServer(ip_address(LINE_SERVER[outside]), method=Method.TUN, tunnel_source=ip_network(source))
    made = director(service(family, Method.TUN, servers=(far,), transport=Transport.UDP))
    for mark, outcome in ((0, "route_tun"), (0x10, "drop_no_ethernet")):
        packet = ip(family, src=client, **{"tos" if family == 4 else "tc": mark}) / udp()
        decision = made.send("line", bytes(packet))
        assert decision.outcome == outcome
        assert ("former version" in told(decision)) == bool(mark)
