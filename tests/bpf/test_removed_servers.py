"""A server that is gone: its clients are told, moved or kept, at once; and its number may be another's."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.packet import Raw

from tests.support.bpf import XDP_DROP, XDP_REDIRECT, XDP_TX
from tests.support.marks import each_family, each_protocol
from tests.support.packets import (
    CLIENT_PORT,
    PORT,
    altered,
    answer,
    framed,
    ip,
    later,
    request,
    segment,
    sent,
    tcp,
    udp,
)
from tests.support.tables import TCP as TCP_NUMBER
from tests.support.tables import UDP, Director, Load
from tests.support.wires import CLIENT, CLIENT_MAC, VIP, server, server_mac
from vipd.dataplane._abi import ConnectionState, Method, ServerStatus

each_method = pytest.mark.parametrize("method", list(Method), ids=lambda each: each.name.lower())


def connected(director: Director, family: int, protocol: int, method: Method = Method.DR) -> tuple[int, int]:
    """Two servers, one of them with a connection; it is not chosen any more."""
    service = director.service(VIP[family], PORT, protocol)
    old, new = (director.server(service, server(family, n), method) for n in (1, 2))
    director.serve(service, [old])
    director.run(framed(request(family, protocol), director.wires.out))
    director.serve(service, [new])
    return old, new


def reset(family: int, offending: Any) -> Any:
    """RFC 9293 3.10.7.1, as a closed port answers."""
    segment = offending[TCP]
    ends = {"src": offending.dst, "dst": offending.src}
    head: Any = IP(**ends, id=0, flags="DF", ttl=64) if family == 4 else IPv6(**ends, hlim=64)
    ports = {"sport": segment.dport, "dport": segment.sport, "window": 0}
    if segment.flags.A:
        return head / TCP(**ports, flags="R", seq=segment.ack, ack=0)
    used = len(segment.payload) + bool(segment.flags.S) + bool(segment.flags.F)
    return head / TCP(**ports, flags="RA", seq=0, ack=(segment.seq + used) % 2**32)


def unreachable(family: int, offending: Any) -> Any:
    raw = bytes(offending)
    ends = {"src": offending.dst, "dst": offending.src}
    if family == 4:
        quote = Raw(raw[: min(len(raw) & ~3, 576 - 28)])
        return IP(**ends, id=0, flags="DF", ttl=64, tos=0xC0) / ICMP(type=3, code=3) / quote
    quote = Raw(raw[: min(len(raw) & ~3, 1280 - 48)])
    return IPv6(**ends, hlim=64) / ICMPv6DestUnreach(code=4) / quote


@each_family
@each_method
@pytest.mark.parametrize(
    "transport",
    [
        tcp("A"),
        tcp("PA") / Raw(b"data"),
        tcp("PA", options=[("Timestamp", (1, 2))]) / Raw(b"odd"),
        tcp("FA"),
    ],
    ids=["ack", "data", "options", "fin"],
)
def test_the_next_segment_is_answered_with_a_reset(
    director: Director, family: int, method: Method, transport: Any
) -> None:
    old, _ = connected(director, family, TCP_NUMBER, method)
    director.change_server(old, status=ServerStatus.REMOVED_RESET)
    packet = ip(family) / transport
    result = director.run(framed(packet, director.wires.out))
    assert (result.action, result.outcomes) == (XDP_TX, {"REPLY_RESET_SERVER_REMOVED": 1})
    assert result.frame == sent(reset(family, packet), director.wires.out, CLIENT_MAC)
    assert director.entries() == []
    assert director.load(old) == Load(0, 0)


@each_family
@each_method
@pytest.mark.parametrize("size", [0, 1, 3, 100, 548, 600, 1232, 1300, 1460])
def test_the_next_datagram_is_answered_with_port_unreachable(
    director: Director, family: int, method: Method, size: int
) -> None:
    old, _ = connected(director, family, UDP, method)
    director.change_server(old, status=ServerStatus.REMOVED_RESET)
    packet = ip(family) / udp() / Raw((bytes(range(256)) * 6)[:size])
    result = director.run(framed(packet, director.wires.out))
    assert (result.action, result.outcomes) == (XDP_TX, {"REPLY_UNREACHABLE_SERVER_REMOVED": 1})
    assert result.frame == sent(unreachable(family, packet), director.wires.out, CLIENT_MAC)
    assert director.entries() == []
    assert director.load(old) == Load(0, 0)


@each_family
def test_a_syn_of_the_same_flow_is_a_new_connections(director: Director, family: int) -> None:
    """The client has begun anew, and the director never heard that the old one had ended."""
    old, new = connected(director, family, TCP_NUMBER)
    director.change_server(old, status=ServerStatus.REMOVED_RESET)
    result = director.run(framed(request(family, TCP_NUMBER), director.wires.out))
    assert (result.action, result.outcomes) == (XDP_REDIRECT, {"FORWARD_DR": 1})
    assert [entry.real_server for entry in director.entries()] == [new]
    assert director.load(old) == Load(0, 0)


@each_family
@pytest.mark.parametrize("flags", ["R", "RA"])
def test_a_reset_is_never_answered(director: Director, family: int, flags: str) -> None:
    old, _ = connected(director, family, TCP_NUMBER)
    director.change_server(old, status=ServerStatus.REMOVED_RESET)
    result = director.run(framed(segment(family, flags), director.wires.out))
    assert (result.action, result.outcomes) == (XDP_DROP, {"DROP_NO_SERVER": 1})
    assert director.entries() == []


@each_family
@each_protocol
@pytest.mark.parametrize("status", [ServerStatus.REMOVED_RESET, ServerStatus.REMOVED_RESCHEDULE])
def test_after_that_the_same_port_reaches_another_server_at_once(
    director: Director, family: int, protocol: int, status: ServerStatus
) -> None:
    old, new = connected(director, family, protocol)
    director.change_server(old, status=status)
    if status == ServerStatus.REMOVED_RESET:
        director.run(framed(later(family, protocol), director.wires.out))
    result = director.run(framed(request(family, protocol), director.wires.out))
    assert (result.action, result.frame[:6].hex(":")) == (XDP_REDIRECT, server_mac(2))
    assert result.events["CONNECTION_NEW"] == 1
    assert director.connection().real_server == new


@each_family
@each_protocol
@each_method
def test_reschedule_moves_a_flow_in_the_middle(director: Director, family: int, protocol: int, method: Method) -> None:
    """A datagram goes on elsewhere; a segment makes its new server answer with a reset."""
    old, new = connected(director, family, protocol, method)
    director.change_server(old, status=ServerStatus.REMOVED_RESCHEDULE)
    result = director.run(framed(later(family, protocol), director.wires.out))
    assert result.events["CONNECTION_NEW"] == 1
    entry = director.connection()
    assert entry.real_server == new
    assert entry.state == (ConnectionState.ESTABLISHED if protocol == TCP_NUMBER else ConnectionState.UDP)
    assert director.load(old) == Load(0, 0)
    assert sum((director.load(new).active, director.load(new).inactive)) == 1


@each_family
@each_protocol
@each_method
def test_keep_lets_known_connections_go_on(director: Director, family: int, protocol: int, method: Method) -> None:
    old, new = connected(director, family, protocol, method)
    director.change_server(old, status=ServerStatus.REMOVED_KEEP)
    result = director.run(framed(later(family, protocol), director.wires.out))
    assert "CONNECTION_NEW" not in result.events
    assert director.connection().real_server == old
    other = director.run(framed(request(family, protocol, sport=9), director.wires.out))
    assert other.events["CONNECTION_NEW"] == 1
    assert {entry.real_server for entry in director.connections()} == {old, new}


@each_family
@each_protocol
def test_datagrams_in_flight_do_not_keep_a_dead_server_alive(director: Director, family: int, protocol: int) -> None:
    """Whatever the entry's expiry says."""
    old, _ = connected(director, family, protocol)
    packet = framed(later(family, protocol), director.wires.out)
    for _ in range(5):
        assert director.run(packet).outcomes == {"FORWARD_DR": 1}
    director.change_server(old, status=ServerStatus.REMOVED_RESET)
    [outcome] = director.run(packet).outcomes
    assert outcome.startswith("REPLY_")


@each_family
@each_protocol
@each_method
@pytest.mark.parametrize("status", [ServerStatus.PRESENT, ServerStatus.REMOVED_KEEP])
def test_a_number_that_another_service_has_now_is_not_the_server(
    director: Director, family: int, protocol: int, method: Method, status: ServerStatus
) -> None:
    old, new = connected(director, family, protocol, method)
    stranger = director.service(VIP[family], PORT + 1, protocol)
    director.change_server(old, service=stranger, status=status)
    result = director.run(framed(later(family, protocol), director.wires.out))
    assert result.events["CONNECTION_NEW"] == 1
    assert director.connection().real_server == new


@each_family
def test_a_freed_number_is_not_the_server(director: Director, family: int) -> None:
    old, new = connected(director, family, TCP_NUMBER)
    director.change_server(old, status=ServerStatus.FREE)
    director.run(framed(segment(family, "A"), director.wires.out))
    assert director.connection().real_server == new


@each_family
@each_protocol
def test_replies_of_a_removed_server_still_carry_the_vip(director: Director, family: int, protocol: int) -> None:
    old, _ = connected(director, family, protocol, Method.NAT)
    for status in (ServerStatus.REMOVED_RESET, ServerStatus.REMOVED_RESCHEDULE, ServerStatus.REMOVED_KEEP):
        director.change_server(old, status=status)
        packet = answer(family, protocol, server(family, 1))
        result = director.run(framed(packet, director.wires.inner), director.wires.inner)
        expected = altered(packet, 1, src=VIP[family], sport=PORT)
        assert result.frame == sent(expected, director.wires.out, CLIENT_MAC)


@each_family
def test_an_expired_connection_to_a_removed_server_is_scheduled_like_any_other(director: Director, family: int) -> None:
    old, new = connected(director, family, TCP_NUMBER)
    director.change_server(old, status=ServerStatus.REMOVED_RESET)
    director.set_life(director.connection(), expires=director.connection().expires - 100_000)
    result = director.run(framed(segment(family), director.wires.out))
    assert result.outcomes == {"FORWARD_DR": 1}
    assert director.connection().real_server == new


@each_family
@pytest.mark.parametrize("flags", ["FA", "A"])
def test_a_reset_of_a_jumbo_segment_is_small(director: Director, family: int, flags: str) -> None:
    old, _ = connected(director, family, TCP_NUMBER)
    director.change_server(old, status=ServerStatus.REMOVED_RESET)
    packet = segment(family, flags, bytes(9000))
    result = director.run(framed(packet, director.wires.out))
    assert result.frame == sent(reset(family, packet), director.wires.out, CLIENT_MAC)
    assert (packet.dst, packet.sport) == (VIP[family], CLIENT_PORT)
    assert packet.src == CLIENT[family]
