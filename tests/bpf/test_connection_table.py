"""The table when it gets tight: full, crowded buckets, replies that meet, and the two entries of NAT."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

import pytest

from tests.support.bpf import XDP_DROP, XDP_PASS, XDP_REDIRECT, XDP_TX
from tests.support.hashes import buckets_of, client_slot, flow_hash
from tests.support.marks import each_family, each_protocol
from tests.support.packets import (
    CLIENT_PORT,
    PORT,
    altered,
    answer,
    framed,
    request,
    segment,
    sent,
)
from tests.support.tables import MAGLEV, TCP, UDP, Director, Load, now, ticks
from tests.support.wires import CLIENT, CLIENT_MAC, VIP, server, server_mac
from vipd.dataplane._abi import ConnectionState, Method

SECOND_VIP: Final = {4: "203.0.113.20", 6: "2001:db8:f::20"}
BUCKETS: Final = 64


def serve(director: Director, family: int, method: Method, protocol: int = TCP, port: int = 0) -> list[int]:
    service = director.service(VIP[family], PORT, protocol)
    servers = [director.server(service, server(family, n), method, port=port) for n in (1, 2, 3)]
    director.serve(service, servers)
    if method == Method.NAT:
        for n, number in enumerate(servers, start=1):
            director.nat_source(server(family, n), port or PORT, protocol, number)
    return servers


def fill(director: Director, family: int, protocol: int = TCP) -> list[int]:
    """Until a connection finds no room; the ports of those that did."""
    for port in range(1000, 1100):
        result = director.run(framed(request(family, protocol, sport=port), director.wires.out))
        if "TABLE_FULL" in result.events:
            return list(range(1000, port))
    raise AssertionError("the table is never full")


@each_family
@each_protocol
def test_a_full_table_forwards_new_flows_without_memory(small: Director, family: int, protocol: int) -> None:
    serve(small, family, Method.DR, protocol)
    assert len(fill(small, family, protocol)) == 16
    before = small.entries()
    for port in range(2000, 2020):
        wanted = server_mac(1 + client_slot(CLIENT[family], port, MAGLEV) % 3)
        packets = [request(family, protocol, sport=port)]
        if protocol == TCP:
            packets += [segment(family, flags, b"data", sport=port) for flags in ("A", "PA", "FA", "R")]
        for n, packet in enumerate(packets):
            result = small.run(framed(packet, small.wires.out))
            assert (result.action, result.outcomes) == (XDP_REDIRECT, {"FORWARD_DR": 1})
            assert result.frame == sent(packet, small.wires.inner, wanted)
            assert result.events == ({"STATELESS": 1} if n else {"STATELESS": 1, "TABLE_FULL": 1})
    assert small.entries() == before


@each_family
@pytest.mark.parametrize("method", [Method.DR, Method.NAT])
def test_a_full_table_leaves_old_connections_alone(small: Director, family: int, method: Method) -> None:
    servers = serve(small, family, method)
    ports = fill(small, family)
    assert len(ports) == (16 if method == Method.DR else 8)
    loads = [small.load(number) for number in servers]
    for port in range(3000, 3200):
        small.run(framed(segment(family, sport=port), small.wires.out))
    for n, port in enumerate(ports):
        result = small.run(framed(segment(family, "A", sport=port), small.wires.out))
        assert result.events == {}
        assert result.frame[5] == 0x11 + n % 3
    assert [small.load(number) for number in servers] == loads
    assert len(small.entries()) == 16


@each_family
@each_protocol
@pytest.mark.parametrize("port", [0, 8080])
def test_nat_works_both_ways_without_memory(small: Director, family: int, protocol: int, port: int) -> None:
    serve(small, family, Method.NAT, protocol, port)
    fill(small, family, protocol)
    number = 1 + client_slot(CLIENT[family], CLIENT_PORT, MAGLEV) % 3
    there = request(family, protocol)
    result = small.run(framed(there, small.wires.out))
    assert result.events["STATELESS"] == 1
    expected = altered(there, 1, dst=server(family, number), dport=port or PORT)
    assert result.frame == sent(expected, small.wires.inner, server_mac(number))
    back = answer(family, protocol, server(family, number), port or PORT)
    result = small.run(framed(back, small.wires.inner, server_mac(number)), small.wires.inner)
    assert (result.action, result.outcomes) == (XDP_REDIRECT, {"FORWARD_NAT_REPLY": 1})
    assert result.frame == sent(altered(back, 1, src=VIP[family], sport=PORT), small.wires.out, CLIENT_MAC)
    assert len(small.entries()) == 16


@each_family
@each_protocol
def test_nat_that_no_reply_could_come_back_from_is_refused(small: Director, family: int, protocol: int) -> None:
    service = small.service(VIP[family], PORT, protocol)
    small.serve(service, [small.server(service, server(family, 1), Method.NAT)])
    small.nat_source(server(family, 1), PORT, protocol, 0)  # it serves two
    fill(small, family, protocol)
    result = small.run(framed(request(family, protocol), small.wires.out))
    assert result.action == XDP_TX
    assert result.outcomes == {"REPLY_RESET_NO_CONNECTION" if protocol == TCP else "REPLY_UNREACHABLE_NO_CONNECTION": 1}
    back = framed(answer(family, protocol, server(family, 1)), small.wires.inner)
    result = small.run(back, small.wires.inner)
    assert (result.action, result.outcomes) == (XDP_DROP, {"DROP_UNKNOWN_REPLY": 1})


@each_family
def test_a_servers_own_connections_are_not_taken_for_replies(director: Director, family: int) -> None:
    serve(director, family, Method.NAT)
    own = framed(answer(family, TCP, server(family, 1), flags="S"), director.wires.inner)
    result = director.run(own, director.wires.inner)
    assert (result.action, result.frame, result.outcomes) == (XDP_PASS, own, {"PASS_NOT_OURS": 1})


@cache
def hashes(family: int) -> dict[int, int]:
    """Client port to the hash of its flow."""
    return {port: flow_hash(CLIENT[family], VIP[family], port, PORT, TCP) for port in range(1024, 40000)}


def crowd(family: int, bucket: int) -> Iterator[int]:
    """Client ports of flows whose first bucket is this one."""
    return (port for port, value in hashes(family).items() if buckets_of(value, BUCKETS)[0] == bucket)


@each_family
def test_a_crowded_bucket_lets_flows_live_in_their_second(director: Director, family: int) -> None:
    serve(director, family, Method.DR)
    ports = crowd(family, 5)
    chosen = [next(ports) for _ in range(40)]
    for port in chosen:
        assert director.run(framed(segment(family, sport=port), director.wires.out)).events["CONNECTION_NEW"] == 1
    where = {entry.source_port: entry.position // 16 for entry in director.entries()}
    assert sorted(where) == sorted(chosen)
    assert [port for port in chosen if where[port] == 5] == chosen[:16]
    for n, port in enumerate(chosen):
        assert where[port] in buckets_of(hashes(family)[port], BUCKETS)
        result = director.run(framed(segment(family, "A", sport=port), director.wires.out))
        assert result.events == {}
        assert result.frame[5] == 0x11 + n % 3


@each_family
def test_two_full_buckets_are_a_full_table_for_their_flows(director: Director, family: int) -> None:
    serve(director, family, Method.DR)
    both = [port for port, value in hashes(family).items() if buckets_of(value, BUCKETS) == (5, 9)]
    for port in [*crowd(family, 9)][:16] + [*crowd(family, 5)][:16]:
        director.run(framed(segment(family, sport=port), director.wires.out))
    occupied = [sum(entry.position // 16 == bucket for entry in director.entries()) for bucket in (5, 9)]
    assert occupied == [16, 16]
    known = {entry.source_port for entry in director.entries()}
    fresh = next(port for port in both if port not in known)
    result = director.run(framed(segment(family, sport=fresh), director.wires.out))
    assert result.events["TABLE_FULL"] == result.events["STATELESS"] == 1
    # A flow with a free bucket is not concerned.
    other = next(port for port in crowd(family, 20))
    assert director.run(framed(segment(family, sport=other), director.wires.out)).events["CONNECTION_NEW"] == 1


@each_family
def test_equal_tags_do_not_confuse_flows(director: Director, family: int) -> None:
    """Many flows share a bucket and the byte that is compared first; each finds its own server."""
    serve(director, family, Method.DR)
    first = hashes(family)[1024]
    where, tag = buckets_of(first, BUCKETS)[0], first & 0xFF
    alike = [
        port for port, value in hashes(family).items() if buckets_of(value, BUCKETS)[0] == where and value & 0xFF == tag
    ][:8]
    assert len(alike) > 2
    for port in alike:
        director.run(framed(segment(family, sport=port), director.wires.out))
    for n, port in enumerate(alike):
        result = director.run(framed(segment(family, "A", sport=port), director.wires.out))
        assert (result.frame[5], result.events) == (0x11 + n % 3, {})


def two_services(director: Director, family: int) -> tuple[int, int]:
    """On two VIPs, of one server: the same client port gives the same reply."""
    numbers = []
    for vip in (VIP, SECOND_VIP):
        service = director.service(vip[family], PORT, TCP)
        numbers.append(director.server(service, server(family, 1), Method.NAT))
        director.serve(service, [numbers[-1]])
    return numbers[0], numbers[1]


@each_family
def test_replies_that_could_not_be_told_apart_are_not_begun(director: Director, family: int) -> None:
    first, second = two_services(director, family)
    director.run(framed(segment(family), director.wires.out))
    before = director.entries()
    other = altered(segment(family), dst=SECOND_VIP[family])
    result = director.run(framed(other, director.wires.out))
    assert (result.action, result.outcomes) == (XDP_DROP, {"DROP_COLLISION": 1})
    assert director.entries() == before
    assert (director.load(first), director.load(second)) == (Load(1, 0), Load(0, 0))


@each_family
@pytest.mark.parametrize("how", ["closing", "expired"])
def test_a_connection_near_its_end_makes_room_for_the_reply(director: Director, family: int, how: str) -> None:
    first, second = two_services(director, family)
    director.run(framed(segment(family), director.wires.out))
    entry = director.connection()
    if how == "closing":
        director.set_life(entry, state=ConnectionState.TIME_WAIT)
    else:
        director.set_life(entry, expires=now() - 1)
    other = altered(segment(family), dst=SECOND_VIP[family])
    result = director.run(framed(other, director.wires.out))
    assert result.outcomes == {"FORWARD_NAT": 1}
    assert [each.real_server for each in director.entries()] == [second, second]
    assert (director.load(first), director.load(second)) == (Load(0, 0), Load(1, 0))
    back = answer(family, TCP, server(family, 1), flags="SA")
    result = director.run(framed(back, director.wires.inner), director.wires.inner)
    assert result.frame == sent(altered(back, 1, src=SECOND_VIP[family]), director.wires.out, CLIENT_MAC)


@each_family
@each_protocol
def test_both_entries_of_nat_end_together(director: Director, family: int, protocol: int) -> None:
    """No reply ever leaves with the server's own address because one of the two is gone."""
    serve(director, family, Method.NAT, protocol)
    for port in range(1000, 1200):
        director.run(framed(request(family, protocol, sport=port), director.wires.out))
    pairs = {entry.position: entry.twin for entry in director.entries()}
    assert len(pairs) == 400
    assert all(pairs[twin] == position for position, twin in pairs.items() if twin is not None)
    for n, entry in enumerate(director.connections()):
        if n % 2:
            director.set_life(entry, expires=now() - ticks(1))
    for port in range(1000, 1200):  # every second one finds that it is over
        director.run(framed(request(family, protocol, sport=port), director.wires.out))
    entries = director.entries()
    pairs = {entry.position: entry.twin for entry in entries}
    assert len(entries) == 400
    assert all(pairs[twin] == position for position, twin in pairs.items() if twin is not None)


@each_family
def test_without_room_for_the_reply_no_half_connection_stays(small: Director, family: int) -> None:
    servers = serve(small, family, Method.NAT)
    dr = small.service(VIP[family], PORT + 1, TCP)
    small.serve(dr, [small.server(dr, server(family, 1), Method.DR)])
    for port in range(15):
        small.run(framed(segment(family, sport=1000 + port, dport=PORT + 1), small.wires.out))
    result = small.run(framed(segment(family), small.wires.out))
    assert result.events["TABLE_FULL"] == 1
    assert len(small.entries()) == 15
    assert [small.load(number) for number in servers] == [Load(0, 0)] * 3
    # The one free slot is free again.
    again = small.run(framed(segment(family, sport=9, dport=PORT + 1), small.wires.out))
    assert again.events["CONNECTION_NEW"] == 1


@each_family
def test_an_expired_entry_of_a_full_table_makes_room_when_its_own_flow_comes(small: Director, family: int) -> None:
    serve(small, family, Method.DR, UDP)
    [*ports] = fill(small, family, UDP)
    victim = next(entry for entry in small.entries() if entry.source_port == ports[3])
    small.set_life(victim, expires=now() - 1)
    result = small.run(framed(request(family, UDP, sport=ports[3]), small.wires.out))
    assert result.events == {"CONNECTION_EXPIRED": 1, "CONNECTION_NEW": 1}
    assert len(small.entries()) == 16
