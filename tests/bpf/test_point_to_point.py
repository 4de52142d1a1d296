"""Links without Ethernet headers, on either side: whole packets in and out, and what only the kernel can send."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6

from tests.support.bpf import XDP_DROP, XDP_PASS, XDP_REDIRECT
from tests.support.lined import from_line, label_of, outer, served
from tests.support.marks import each_family, each_pair, each_protocol, either_neighbour
from tests.support.packets import (
    HEADER,
    PORT,
    altered,
    answer,
    framed,
    ip,
    length,
    request,
    segment,
    sent,
    udp,
)
from tests.support.tables import TCP as TCP_NUMBER
from tests.support.tables import UDP, Director, Traffic
from tests.support.wires import (
    CLIENT_MAC,
    FAR_SERVER,
    GATEWAY_MAC,
    LINE_CLIENT,
    LINE_SERVER,
    SIDE_MAC,
    SIDE_SERVER,
    VIP,
    server,
    server_mac,
)
from vipd.dataplane._abi import Method, ServiceFlag

# Clients that come over the line, to servers on Ethernet.


@each_family
@each_protocol
def test_dr_serves_clients_behind_a_line(director: Director, family: int, protocol: int) -> None:
    only = served(director, family, server(family, 1), Method.DR, protocol)
    packet = from_line(family, protocol)
    result = director.run(bytes(packet), director.wires.line)
    assert (result.action, result.outcomes) == (XDP_REDIRECT, {"FORWARD_DR": 1})
    assert result.frame == sent(packet, director.wires.inner, server_mac(1))
    assert director.traffic(only) == Traffic(1, 1, length(packet))


@each_family
def test_a_line_can_send_where_other_interfaces_cannot(director: Director, family: int) -> None:
    """XDP is generic there, and that needs no driver's help."""
    served(director, family, SIDE_SERVER[family], Method.DR)
    packet = from_line(family)
    result = director.run(bytes(packet), director.wires.line)
    assert (result.action, result.outcomes) == (XDP_REDIRECT, {"FORWARD_DR": 1})
    assert result.frame == sent(packet, director.wires.side, SIDE_MAC)
    across = director.run(framed(request(family, UDP), director.wires.out))
    assert (across.action, across.outcomes) == (XDP_DROP, {"DROP_NO_ETHERNET": 1})


@each_family
@each_protocol
@either_neighbour
def test_nat_serves_clients_behind_a_line_in_both_directions(director: Director, family: int, protocol: int) -> None:
    served(director, family, server(family, 1), Method.NAT, protocol)
    packet = from_line(family, protocol)
    result = director.run(bytes(packet), director.wires.line)
    assert (result.action, result.outcomes) == (XDP_REDIRECT, {"FORWARD_NAT": 1})
    assert result.frame == sent(altered(packet, 1, dst=server(family, 1)), director.wires.inner, server_mac(1))
    reply = answer(family, protocol, server(family, 1), to=LINE_CLIENT[family])
    frame = framed(reply, director.wires.inner)
    result = director.run(frame, director.wires.inner)
    # The kernel sends it, and takes one from the TTL.
    assert (result.action, result.outcomes) == (XDP_PASS, {"ROUTE_NAT_REPLY": 1})
    assert result.frame == frame[:14] + bytes(altered(reply, src=VIP[family]))


@each_pair
def test_tun_serves_clients_behind_a_line(director: Director, inside: int, outside: int) -> None:
    served(director, inside, FAR_SERVER[outside], Method.TUN)
    packet = from_line(inside)
    result = director.run(bytes(packet), director.wires.line)
    assert (result.action, result.outcomes) == (XDP_REDIRECT, {"FORWARD_TUN": 1})
    expected = outer(altered(packet, 1), FAR_SERVER[outside], label_of(result.frame[14:]))
    assert result.frame == sent(expected, director.wires.inner, GATEWAY_MAC)


@each_family
def test_the_mss_of_a_syn_from_a_line_is_lowered(director: Director, family: int) -> None:
    served(director, family, FAR_SERVER[4], Method.TUN, TCP_NUMBER, ServiceFlag.CLAMP_MSS)
    packet = altered(segment(family, options=[("MSS", 1460)]), src=LINE_CLIENT[family])
    result = director.run(bytes(packet), director.wires.line)
    assert result.events["MSS_CLAMPED"] == 1
    inner = (IP if family == 4 else IPv6)(result.frame[14 + 20 :])
    assert inner[TCP].options == [("MSS", 1500 - 20 - HEADER[family] - 20)]


# Servers behind the line.


@each_family
@each_protocol
@either_neighbour
def test_nat_leaves_packets_for_the_line_to_the_kernel(director: Director, family: int, protocol: int) -> None:
    only = served(director, family, LINE_SERVER[family], Method.NAT, protocol)
    packet = request(family, protocol)
    frame = framed(packet, director.wires.out)
    result = director.run(frame)
    assert (result.action, result.outcomes) == (XDP_PASS, {"ROUTE_NAT": 1})
    assert result.frame == frame[:14] + bytes(altered(packet, dst=LINE_SERVER[family]))
    assert director.traffic(only) == Traffic(1, 1, length(packet))


@each_family
@each_protocol
def test_replies_from_the_line_get_an_ethernet_header(director: Director, family: int, protocol: int) -> None:
    only = served(director, family, LINE_SERVER[family], Method.NAT, protocol)
    first = request(family, protocol)
    director.run(framed(first, director.wires.out))
    packet = answer(family, protocol, LINE_SERVER[family])
    result = director.run(bytes(packet), director.wires.line)
    assert (result.action, result.outcomes) == (XDP_REDIRECT, {"FORWARD_NAT_REPLY": 1})
    assert result.frame == sent(altered(packet, 1, src=VIP[family]), director.wires.out, CLIENT_MAC)
    assert director.traffic(only) == Traffic(1, 1, length(first), 1, length(packet))


@each_pair
@either_neighbour
def test_tun_leaves_packets_for_the_line_to_the_kernel(director: Director, inside: int, outside: int) -> None:
    served(director, inside, LINE_SERVER[outside], Method.TUN)
    packet = request(inside, UDP)
    frame = framed(packet, director.wires.out)
    result = director.run(frame)
    assert (result.action, result.outcomes) == (XDP_PASS, {"ROUTE_TUN": 1})
    assert result.frame[:12] == frame[:12]
    assert result.frame[12:14] == {4: b"\x08\x00", 6: b"\x86\xdd"}[outside]
    expected = outer(altered(packet, 1), LINE_SERVER[outside], label_of(result.frame[14:]))
    assert result.frame[14:] == bytes(expected)


@each_family
@either_neighbour
def test_dr_over_a_line_is_dropped_by_that_name(director: Director, family: int) -> None:
    served(director, family, LINE_SERVER[family], Method.DR)
    for frame, at in ((framed(request(family, UDP), director.wires.out), director.wires.out),
                      (bytes(from_line(family)), director.wires.line)):  # fmt: skip
        result = director.run(frame, at)
        assert (result.action, result.outcomes) == (XDP_DROP, {"DROP_NO_ETHERNET": 1})


# Both behind the line: nothing that leaves has an Ethernet header.


@each_family
@either_neighbour
def test_nat_from_line_to_line_is_the_kernels_both_ways(director: Director, family: int) -> None:
    served(director, family, LINE_SERVER[family], Method.NAT)
    packet = from_line(family)
    result = director.run(bytes(packet), director.wires.line)
    assert (result.action, result.outcomes) == (XDP_PASS, {"ROUTE_NAT": 1})
    assert result.frame == bytes(altered(packet, dst=LINE_SERVER[family]))
    reply = answer(family, UDP, LINE_SERVER[family], to=LINE_CLIENT[family])
    result = director.run(bytes(reply), director.wires.line)
    assert (result.action, result.outcomes) == (XDP_PASS, {"ROUTE_NAT_REPLY": 1})
    assert result.frame == bytes(altered(reply, src=VIP[family]))


@each_pair
def test_tun_from_line_to_line_is_the_kernels(director: Director, inside: int, outside: int) -> None:
    served(director, inside, LINE_SERVER[outside], Method.TUN)
    packet = from_line(inside)
    result = director.run(bytes(packet), director.wires.line)
    assert (result.action, result.outcomes) == (XDP_PASS, {"ROUTE_TUN": 1})
    assert result.frame == bytes(outer(altered(packet, 1), LINE_SERVER[outside], label_of(result.frame)))


@pytest.mark.parametrize("mark", [0, 0x10])
@pytest.mark.parametrize(("inside", "outside"), [(4, 6), (6, 4)])
def test_a_tunnel_that_the_kernel_would_take_for_the_other_version_is_dropped(
    director: Director, inside: int, outside: int, mark: int
) -> None:
    """Its first bytes look to the kernel like those of the packet as it came: same group bit, same type."""
    client = {4: "1.0.0.1", 6: "2001:db8:ac10::1"}[inside]
    source = {4: "172.16.0.1", 6: "2001:db8:100::1"}[outside]
    service = director.service(VIP[inside], PORT, UDP)
    director.serve(service, [director.server(service, LINE_SERVER[outside], Method.TUN, source=source)])
    packet = ip(inside, src=client, **{"tos" if inside == 4 else "tc": mark}) / udp()
    result = director.run(bytes(packet), director.wires.line)
    expected = {0: {"ROUTE_TUN": 1}, 0x10: {"DROP_NO_ETHERNET": 1}}[mark]
    assert (result.action, result.outcomes) == (XDP_DROP if mark else XDP_PASS, expected)
    # A client with another address is told apart whatever the mark.
    packet = ip(inside, src=LINE_CLIENT[inside], **{"tos" if inside == 4 else "tc": mark}) / udp()
    assert director.run(bytes(packet), director.wires.line).outcomes == {"ROUTE_TUN": 1}
