"""Where a packet cannot simply be sent: what each method makes of each kind of next hop, and how fast it is noticed."""

from __future__ import annotations

from typing import Any

import pytest
from pyroute2 import IPRoute

from tests.support.bpf import XDP_DROP, XDP_PASS, XDP_REDIRECT, XDP_TX
from tests.support.marks import each_family
from tests.support.packets import CLIENT_PORT, PORT, altered, answer, framed, ip, request, sent, udp
from tests.support.tables import NEXT_HOP_AGE, UDP, Director, Traffic, row
from tests.support.wires import (
    CLIENT_MAC,
    FAR_SERVER,
    GATEWAY_MAC,
    LOST_SERVER,
    SIDE_MAC,
    SIDE_SERVER,
    SILENT_SERVER,
    VIP,
    server,
    server_mac,
)
from vipd.dataplane import _abi
from vipd.dataplane._abi import Method, NextHopKind

AF_INET, AF_INET6 = 2, 10
OTHER_TABLE = 77
SOURCE = {4: "172.16.0.1", 6: "100::1"}


def one_server(director: Director, family: int, address: str, method: Method) -> int:
    service = director.service(VIP[family], PORT, UDP)
    only = director.server(service, address, method, source=SOURCE[family])
    director.serve(service, [only])
    return only


def hop_of(director: Director, number: int) -> Any:
    return director.get("next_hops", number, _abi.NEXT_HOP)


@each_family
@pytest.mark.parametrize(
    ("where", "outcome", "kind"),
    [
        (SILENT_SERVER, "DROP_NEIGHBOUR_UNRESOLVED", NextHopKind.UNRESOLVED),
        (SIDE_SERVER, "DROP_NO_ETHERNET", NextHopKind.BACK),
        (LOST_SERVER, "DROP_NO_ROUTE", NextHopKind.NO_ROUTE),
        (FAR_SERVER, "DROP_NO_ROUTE", NextHopKind.ETHERNET),
    ],
    ids=["unresolved", "kernel-only", "no-route", "behind-a-router"],
)
def test_dr_needs_the_servers_own_mac(
    director: Director, family: int, where: dict[int, str], outcome: str, kind: NextHopKind
) -> None:
    only = one_server(director, family, where[family], Method.DR)
    result = director.run(framed(request(family, UDP), director.wires.out))
    assert (result.action, result.outcomes) == (XDP_DROP, {outcome: 1})
    assert hop_of(director, only)["kind"] == kind
    assert director.traffic(only) == Traffic(1)


@each_family
@pytest.mark.parametrize("where", [SILENT_SERVER, SIDE_SERVER], ids=["unresolved", "kernel-only"])
def test_nat_leaves_to_the_kernel_what_xdp_cannot_send(director: Director, family: int, where: dict[int, str]) -> None:
    one_server(director, family, where[family], Method.NAT)
    packet = request(family, UDP)
    frame = framed(packet, director.wires.out)
    result = director.run(frame)
    assert (result.action, result.outcomes) == (XDP_PASS, {"ROUTE_NAT": 1})
    # The kernel is the router then: it takes one from the TTL, and it knows its own MAC.
    assert result.frame == frame[:14] + bytes(altered(packet, dst=where[family]))


@each_family
@pytest.mark.parametrize("where", [SILENT_SERVER, SIDE_SERVER], ids=["unresolved", "kernel-only"])
def test_tun_leaves_to_the_kernel_what_xdp_cannot_send(director: Director, family: int, where: dict[int, str]) -> None:
    one_server(director, family, where[family], Method.TUN)
    packet = request(family, UDP)
    frame = framed(packet, director.wires.out)
    result = director.run(frame)
    assert (result.action, result.outcomes) == (XDP_PASS, {"ROUTE_TUN": 1})
    assert result.frame[:12] == frame[:12]
    assert result.frame.endswith(bytes(altered(packet, 1)))
    assert len(result.frame) == len(frame) + (20 if family == 4 else 40)


@each_family
@pytest.mark.parametrize("method", [Method.NAT, Method.TUN])
def test_without_a_route_the_packet_is_dropped(director: Director, family: int, method: Method) -> None:
    only = one_server(director, family, LOST_SERVER[family], method)
    result = director.run(framed(request(family, UDP), director.wires.out))
    assert (result.action, result.outcomes) == (XDP_DROP, {"DROP_NO_ROUTE": 1})
    assert director.traffic(only) == Traffic(1)


@each_family
def test_a_hop_that_only_its_own_interface_can_reach_serves_each_packet_as_it_can(
    director: Director, family: int
) -> None:
    """The answer is remembered for packets of all interfaces: the first one's must not decide for the second."""
    one_server(director, family, SIDE_SERVER[family], Method.DR)
    packet = request(family, UDP)
    back = director.run(framed(packet, director.wires.side), director.wires.side)
    assert (back.action, back.outcomes) == (XDP_TX, {"FORWARD_DR": 1})
    assert back.frame == sent(packet, director.wires.side, SIDE_MAC)
    across = director.run(framed(packet, director.wires.out))
    assert (across.action, across.outcomes) == (XDP_DROP, {"DROP_NO_ETHERNET": 1})
    again = director.run(framed(packet, director.wires.side), director.wires.side)
    assert again.outcomes == {"FORWARD_DR": 1}


@each_family
def test_a_reply_to_a_client_that_only_the_kernel_can_reach_is_left_to_it(director: Director, family: int) -> None:
    one_server(director, family, server(family, 1), Method.NAT)
    client = SIDE_SERVER[family]
    director.run(framed(altered(request(family, UDP), src=client), director.wires.out))
    packet = answer(family, UDP, server(family, 1), to=client)
    frame = framed(packet, director.wires.inner)
    result = director.run(frame, director.wires.inner)
    assert (result.action, result.outcomes) == (XDP_PASS, {"ROUTE_NAT_REPLY": 1})
    assert result.frame == frame[:14] + bytes(altered(packet, src=VIP[family]))


@each_family
def test_a_reply_to_nowhere_is_dropped(director: Director, family: int) -> None:
    one_server(director, family, server(family, 1), Method.NAT)
    director.run(framed(altered(request(family, UDP), src=LOST_SERVER[family]), director.wires.out))
    packet = answer(family, UDP, server(family, 1), to=LOST_SERVER[family])
    result = director.run(framed(packet, director.wires.inner), director.wires.inner)
    assert (result.action, result.outcomes) == (XDP_DROP, {"DROP_NO_ROUTE": 1})


@each_family
def test_an_old_answer_is_asked_for_again(director: Director, family: int) -> None:
    only = one_server(director, family, server(family, 1), Method.DR)
    packet = framed(request(family, UDP), director.wires.out)
    assert director.run(packet).events["NEXT_HOP_REFRESHED"] == 1
    hop = director.maps["next_hops"].read(_abi.NEXT_HOP, only, 1)
    assert "NEXT_HOP_REFRESHED" not in director.run(packet).events
    # Another MAC, as before a server's machine was replaced.
    hop["destination"] = 7
    director.put("next_hops", only, hop)
    assert director.run(packet).frame[:6] == b"\x07" * 6
    hop["resolved_at"] -= NEXT_HOP_AGE + 1
    director.put("next_hops", only, hop)
    result = director.run(packet)
    assert result.events == {"NEXT_HOP_REFRESHED": 1}
    assert result.frame[:6].hex(":") == server_mac(1)


@each_family
def test_a_forgotten_neighbour_is_where_it_was_for_a_while(director: Director, family: int) -> None:
    only = one_server(director, family, server(family, 1), Method.DR)
    packet = framed(request(family, UDP), director.wires.out)
    expected = director.run(packet).frame
    director.change_server(only, address=row(_abi.REAL_SERVER, address=SILENT_SERVER[family])["address"])
    hop = director.maps["next_hops"].read(_abi.NEXT_HOP, only, 1)
    hop["resolved_at"] -= NEXT_HOP_AGE + 1
    director.put("next_hops", only, hop)
    for _ in range(2):
        result = director.run(packet)
        assert (result.action, result.outcomes) == (XDP_REDIRECT, {"FORWARD_DR": 1})
        assert result.events == {"NEXT_HOP_REFRESHED": 1}
        assert result.frame == expected
    hop["resolved_at"] -= NEXT_HOP_AGE << 5
    director.put("next_hops", only, hop)
    assert director.run(packet).outcomes == {"DROP_NEIGHBOUR_UNRESOLVED": 1}


@each_family
def test_a_neighbour_on_another_interface_is_not_where_it_was(director: Director, family: int) -> None:
    only = one_server(director, family, server(family, 1), Method.DR)
    packet = framed(request(family, UDP), director.wires.out)
    director.run(packet)
    director.change_server(only, address=row(_abi.REAL_SERVER, address=SILENT_SERVER[family])["address"])
    hop = director.maps["next_hops"].read(_abi.NEXT_HOP, only, 1)
    hop["resolved_at"] -= NEXT_HOP_AGE + 1
    hop["ifindex"] += 1000
    director.put("next_hops", only, hop)
    assert director.run(packet).outcomes == {"DROP_NEIGHBOUR_UNRESOLVED": 1}


@each_family
def test_an_unresolved_neighbour_is_asked_for_with_every_packet(director: Director, family: int) -> None:
    only = one_server(director, family, SILENT_SERVER[family], Method.DR)
    packet = framed(request(family, UDP), director.wires.out)
    for _ in range(3):
        assert director.run(packet).events["NEXT_HOP_REFRESHED"] == 1
    director.change_server(only, address=row(_abi.REAL_SERVER, address=server(family, 2))["address"])
    assert director.run(packet).outcomes == {"FORWARD_DR": 1}


@each_family
def test_a_way_back_is_remembered_by_number_and_forgotten_when_it_is_gone(director: Director, family: int) -> None:
    one_server(director, family, server(family, 1), Method.NAT)
    director.run(framed(request(family, UDP), director.wires.out))
    packet = framed(answer(family, UDP, server(family, 1)), director.wires.inner)
    assert director.run(packet, director.wires.inner).frame[:6].hex(":") == CLIENT_MAC
    [reply] = [entry for entry in director.entries() if entry.is_reply]
    held = director.get("return_hops", reply.return_hop, _abi.NEXT_HOP)
    assert reply.return_hop
    assert bytes(held["destination"]).hex(":") == CLIENT_MAC
    assert held["ifindex"] == director.wires.out.ifindex


@each_family
def test_a_way_back_that_is_no_more_is_not_remembered(director: Director, family: int) -> None:
    client = {4: "198.51.100.50", 6: "2001:db8:7::50"}[family]
    one_server(director, family, server(family, 1), Method.NAT)
    neighbour = {"ifindex": director.wires.out.ifindex, "dst": client, "lladdr": CLIENT_MAC, "state": 0x80}
    director.run(framed(altered(request(family, UDP), src=client), director.wires.out))
    packet = framed(answer(family, UDP, server(family, 1), to=client), director.wires.inner)
    with IPRoute() as netlink:
        netlink.neigh("add", **neighbour)
        assert director.run(packet, director.wires.inner).outcomes == {"FORWARD_NAT_REPLY": 1}
        netlink.neigh("del", **neighbour)
    [reply] = [entry for entry in director.entries() if entry.is_reply]
    held = director.maps["return_hops"].read(_abi.NEXT_HOP, reply.return_hop, 1)
    held["resolved_at"] -= NEXT_HOP_AGE + 1
    director.put("return_hops", reply.return_hop, held)
    for _ in range(2):
        assert director.run(packet, director.wires.inner).outcomes == {"ROUTE_NAT_REPLY": 1}
    assert [entry.return_hop for entry in director.entries() if entry.is_reply] == [0]


@each_family
def test_a_place_among_the_ways_back_that_is_taken_costs_time_only(director: Director, family: int) -> None:
    one_server(director, family, server(family, 1), Method.NAT)
    director.run(framed(request(family, UDP), director.wires.out))
    for number in range(_abi.Limits.RETURN_HOPS):  # all taken by others
        director.put("return_hops", number, row(_abi.NEXT_HOP, resolved_at=2, ifindex=999))
    packet = framed(answer(family, UDP, server(family, 1)), director.wires.inner)
    for _ in range(3):
        result = director.run(packet, director.wires.inner)
        assert (result.action, result.events) == (XDP_REDIRECT, {"NEXT_HOP_REFRESHED": 1})
        assert result.frame[:6].hex(":") == CLIENT_MAC


@each_family
@pytest.mark.parametrize(
    ("field", "value"),
    [("ifindex", 999), ("mtu", 1499), ("kind", NextHopKind.KERNEL), ("destination", 7), ("source", 7)],
)
def test_a_way_back_is_shared_only_if_all_of_it_is_right(
    director: Director, family: int, field: str, value: int
) -> None:
    one_server(director, family, server(family, 1), Method.NAT)
    director.run(framed(request(family, UDP), director.wires.out))
    packet = framed(answer(family, UDP, server(family, 1)), director.wires.inner)
    director.run(packet, director.wires.inner)
    [reply] = [entry for entry in director.entries() if entry.is_reply]
    held = director.maps["return_hops"].read(_abi.NEXT_HOP, reply.return_hop, 1)
    held[field] = value
    director.clear()
    for number in range(_abi.Limits.RETURN_HOPS):
        director.put("return_hops", number, held)
    one_server(director, family, server(family, 1), Method.NAT)
    director.run(framed(request(family, UDP), director.wires.out))
    for _ in range(2):
        result = director.run(packet, director.wires.inner)
        assert (result.action, result.events) == (XDP_REDIRECT, {"NEXT_HOP_REFRESHED": 1})
        assert result.frame[:6].hex(":") == CLIENT_MAC


@each_family
def test_nat_and_tun_cross_a_gateway_with_its_mac(director: Director, family: int) -> None:
    for port, method in ((1, Method.NAT), (2, Method.TUN)):
        service = director.service(VIP[family], port, UDP)
        director.serve(service, [director.server(service, FAR_SERVER[family], method, source=SOURCE[family])])
        packet = ip(family) / udp(sport=CLIENT_PORT, dport=port)
        assert director.run(framed(packet, director.wires.out)).frame[:6].hex(":") == GATEWAY_MAC


@each_family
def test_rules_of_routing_count_as_they_do_for_the_kernel(director: Director, family: int) -> None:
    """A rule leads to another table than the main one, and that leads over another machine."""
    only = one_server(director, family, FAR_SERVER[family], Method.NAT)
    network = {4: "10.9.0.0/16", 6: "2001:db8:9::/48"}[family]
    kind = {4: AF_INET, 6: AF_INET6}[family]
    rule = {"family": kind, "dst": network, "table": OTHER_TABLE, "priority": 100}
    with IPRoute() as netlink:
        inner = director.wires.inner.ifindex
        netlink.route("add", dst=network, gateway=server(family, 7), oif=inner, table=OTHER_TABLE, family=kind)
        netlink.rule("add", **rule)
        try:
            result = director.run(framed(request(family, UDP), director.wires.out))
        finally:
            netlink.rule("del", **rule)
            netlink.flush_routes(table=OTHER_TABLE, family=kind)
    assert result.outcomes == {"FORWARD_NAT": 1}
    assert hop_of(director, only)["destination"].tobytes() == bytes.fromhex(server_mac(7).replace(":", ""))
