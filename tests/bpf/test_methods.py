"""Each method, family and transport: the whole frame that leaves, its outcome, the entry, the counts."""

from __future__ import annotations

from typing import Final

import pytest

from tests.support.bpf import XDP_PASS, XDP_REDIRECT, XDP_TX
from tests.support.marks import each_family, each_protocol
from tests.support.packets import (
    CLIENT_PORT,
    PORT,
    altered,
    answer,
    framed,
    ip,
    later,
    length,
    request,
    segment,
    sent,
    udp,
)
from tests.support.tables import TCP, UDP, Director, Load, Traffic
from tests.support.wires import (
    BESIDE_MAC,
    BESIDE_SERVER,
    CLIENT,
    CLIENT_MAC,
    FAR_SERVER,
    GATEWAY_MAC,
    ROUTER_MAC,
    STRANGER,
    VIP,
    server,
    server_mac,
)
from vipd.dataplane._abi import ConnectionFlag, ConnectionState, Method, Scheduler

NEW: Final = {"CONNECTION_NEW": 1, "NEXT_HOP_REFRESHED": 1}
FIRST_STATE: Final = {TCP: ConnectionState.SYN_RECV, UDP: ConnectionState.UDP}
FIRST_LOAD: Final = {TCP: Load(1, 0), UDP: Load(0, 1)}


def one_server(director: Director, family: int, protocol: int, method: Method, port: int = 0) -> tuple[int, int]:
    service = director.service(VIP[family], PORT, protocol)
    only = director.server(service, server(family, 1), method, port=port)
    director.serve(service, [only])
    return service, only


@each_family
@each_protocol
def test_dr_changes_the_macs_and_nothing_else(director: Director, family: int, protocol: int) -> None:
    service, only = one_server(director, family, protocol, Method.DR)
    total = 0
    for n, packet in enumerate([request(family, protocol), later(family, protocol)]):
        result = director.run(framed(packet, director.wires.out))
        assert (result.action, result.outcomes) == (XDP_REDIRECT, {"FORWARD_DR": 1})
        assert result.frame == sent(packet, director.wires.inner, server_mac(1))
        assert result.events == ({} if n else NEW)
        total += length(packet)
    entry = director.connection()
    assert (entry.source, entry.source_port, entry.destination, entry.destination_port, entry.protocol) == (
        CLIENT[family],
        CLIENT_PORT,
        VIP[family],
        PORT,
        protocol,
    )
    assert (entry.real_server, entry.service, entry.twin) == (only, service, None)
    assert director.traffic(only) == Traffic(1, 2, total)


@each_family
@each_protocol
@pytest.mark.parametrize("port", [0, 8080])
def test_nat_rewrites_destination_and_port_towards_the_server(
    director: Director, family: int, protocol: int, port: int
) -> None:
    service, only = one_server(director, family, protocol, Method.NAT, port)
    for n, packet in enumerate([request(family, protocol), later(family, protocol)]):
        result = director.run(framed(packet, director.wires.out))
        expected = altered(packet, 1, dst=server(family, 1), dport=port or PORT)
        assert (result.action, result.outcomes) == (XDP_REDIRECT, {"FORWARD_NAT": 1})
        assert result.frame == sent(expected, director.wires.inner, server_mac(1))
        assert result.events == ({} if n else NEW)
    entry = director.connection()
    [reply] = [each for each in director.entries() if each.is_reply]
    assert (entry.twin, reply.twin) == (reply.position, entry.position)
    assert (reply.source, reply.source_port) == (server(family, 1), port or PORT)
    assert (reply.destination, reply.destination_port, reply.service_port) == (CLIENT[family], CLIENT_PORT, PORT)
    assert (reply.real_server, reply.service) == (only, service)


@each_family
@each_protocol
@pytest.mark.parametrize("port", [0, 8080])
@pytest.mark.parametrize(("who", "mac"), [(CLIENT, CLIENT_MAC), (STRANGER, ROUTER_MAC)], ids=["near", "far"])
def test_nat_rewrites_the_source_of_replies(
    director: Director, family: int, protocol: int, port: int, who: dict[int, str], mac: str
) -> None:
    _, only = one_server(director, family, protocol, Method.NAT, port)
    first = altered(request(family, protocol), src=who[family])
    director.run(framed(first, director.wires.out))
    total = 0
    for flags in ("SA", "A", "PA", "PA"):
        packet = answer(family, protocol, server(family, 1), port or PORT, flags, who[family])
        result = director.run(framed(packet, director.wires.inner, server_mac(1)), director.wires.inner)
        expected = altered(packet, 1, src=VIP[family], sport=PORT)
        assert (result.action, result.outcomes) == (XDP_REDIRECT, {"FORWARD_NAT_REPLY": 1})
        assert result.frame == sent(expected, director.wires.out, mac)
        total += length(packet)
    assert director.traffic(only) == Traffic(1, 1, length(first), 4, total)
    assert director.connection().flags & ConnectionFlag.TWO_WAY


@each_family
@each_protocol
def test_routes_are_asked_once_for_many_replies(director: Director, family: int, protocol: int) -> None:
    one_server(director, family, protocol, Method.NAT)
    director.run(framed(request(family, protocol), director.wires.out))
    events = [
        director.run(
            framed(answer(family, protocol, server(family, 1)), director.wires.inner, server_mac(1)),
            director.wires.inner,
        ).events
        for _ in range(6)
    ]
    # The second may still fall into another tick than the first's note in the connection.
    assert events[0] == {"NEXT_HOP_REFRESHED": 1}
    assert events.count({}) >= 4


@each_family
@each_protocol
def test_a_local_server_gets_the_packet_through_the_kernel(director: Director, family: int, protocol: int) -> None:
    _, only = one_server(director, family, protocol, Method.LOCAL)
    packet = request(family, protocol)
    result = director.run(framed(packet, director.wires.out))
    assert (result.action, result.outcomes) == (XDP_PASS, {"PASS_LOCAL_SERVER": 1})
    assert result.frame == framed(packet, director.wires.out)
    assert director.traffic(only) == Traffic(1, 1, length(packet))


@each_family
@each_protocol
@pytest.mark.parametrize("method", list(Method), ids=lambda method: method.name.lower())
def test_a_new_connection_is_counted_by_its_state(
    director: Director, family: int, protocol: int, method: Method
) -> None:
    _, only = one_server(director, family, protocol, method)
    director.run(framed(request(family, protocol), director.wires.out))
    entry = director.connection()
    assert entry.state == FIRST_STATE[protocol]
    assert bool(entry.flags & ConnectionFlag.ACTIVE) == (protocol == TCP)
    assert director.load(only) == FIRST_LOAD[protocol]
    assert entry.left == pytest.approx(60 if protocol == TCP else 300, abs=5)


@each_family
@pytest.mark.parametrize(
    ("method", "outcome"), [(Method.DR, "FORWARD_DR"), (Method.NAT, "FORWARD_NAT"), (Method.TUN, "FORWARD_TUN")]
)
def test_a_server_on_the_clients_wire_gets_it_back_by_the_same_interface(
    director: Director, family: int, method: Method, outcome: str
) -> None:
    service = director.service(VIP[family], PORT, TCP)
    only = director.server(service, BESIDE_SERVER[family], method, source={4: "172.16.0.1", 6: "100::1"}[family])
    director.serve(service, [only])
    result = director.run(framed(segment(family), director.wires.out))
    assert (result.action, result.outcomes) == (XDP_TX, {outcome: 1})
    assert result.frame[:12].hex(":") == f"{BESIDE_MAC}:{director.wires.out.mac}"


@each_family
def test_nat_reaches_a_server_behind_a_router(director: Director, family: int) -> None:
    service = director.service(VIP[family], PORT, UDP)
    director.serve(service, [director.server(service, FAR_SERVER[family], Method.NAT, port=53)])
    packet = request(family, UDP)
    result = director.run(framed(packet, director.wires.out))
    expected = altered(packet, 1, dst=FAR_SERVER[family], dport=53)
    assert (result.action, result.frame) == (XDP_REDIRECT, sent(expected, director.wires.inner, GATEWAY_MAC))


@each_family
@pytest.mark.parametrize("ttl", [0, 1])
@pytest.mark.parametrize("method", [Method.DR, Method.LOCAL])
def test_dr_and_local_servers_leave_the_ttl_alone(director: Director, family: int, ttl: int, method: Method) -> None:
    one_server(director, family, UDP, method)
    packet = ip(family, ttl) / udp()
    result = director.run(framed(packet, director.wires.out))
    assert result.outcomes == {"FORWARD_DR" if method == Method.DR else "PASS_LOCAL_SERVER": 1}
    assert result.frame[14:] == bytes(packet)


@each_family
@pytest.mark.parametrize("ttl", [0, 1])
def test_a_reply_at_the_end_of_its_ttl_is_the_kernels_to_answer(director: Director, family: int, ttl: int) -> None:
    one_server(director, family, UDP, Method.NAT)
    director.run(framed(request(family, UDP), director.wires.out))
    packet = ip(family, ttl, src=server(family, 1), dst=CLIENT[family]) / udp(sport=PORT, dport=CLIENT_PORT)
    frame = framed(packet, director.wires.inner, server_mac(1))
    result = director.run(frame, director.wires.inner)
    assert (result.action, result.frame, result.outcomes) == (XDP_PASS, frame, {"PASS_TTL": 1})


@each_family
def test_a_service_of_many_ports_keeps_the_port(director: Director, family: int) -> None:
    service = director.service(VIP[family], 0, UDP, last_port=65535)
    only = director.server(service, server(family, 1), Method.NAT)
    director.serve(service, [only])
    for port in (0, 53, 65535):
        packet = request(family, UDP, dport=port)
        result = director.run(framed(packet, director.wires.out))
        expected = altered(packet, 1, dst=server(family, 1))
        assert result.frame == sent(expected, director.wires.inner, server_mac(1))
        back = answer(family, UDP, server(family, 1), port)
        result = director.run(framed(back, director.wires.inner, server_mac(1)), director.wires.inner)
        assert result.frame == sent(altered(back, 1, src=VIP[family]), director.wires.out, CLIENT_MAC)


@each_family
def test_one_port_of_its_own_goes_before_the_range(director: Director, family: int) -> None:
    wide = director.service(VIP[family], 0, TCP, last_port=65535)
    director.serve(wide, [director.server(wide, server(family, 1), Method.DR)])
    narrow = director.service(VIP[family], PORT, TCP)
    director.serve(narrow, [director.server(narrow, server(family, 2), Method.DR)])
    own = director.run(framed(segment(family), director.wires.out))
    other = director.run(framed(segment(family, dport=PORT + 1), director.wires.out))
    assert own.frame[:6].hex(":") == server_mac(2)
    assert other.frame[:6].hex(":") == server_mac(1)


@each_family
def test_servers_of_one_service_have_methods_of_their_own(director: Director, family: int) -> None:
    service = director.service(VIP[family], PORT, UDP, Scheduler.RR)
    methods = [Method.DR, Method.NAT, Method.TUN, Method.LOCAL]
    director.serve(service, [director.server(service, server(family, n + 1), m) for n, m in enumerate(methods)])
    outcomes = [director.run(framed(request(family, UDP, sport=n), director.wires.out)).outcomes for n in range(4)]
    assert outcomes == [{"FORWARD_DR": 1}, {"FORWARD_NAT": 1}, {"FORWARD_TUN": 1}, {"PASS_LOCAL_SERVER": 1}]
