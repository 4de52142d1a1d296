"""Fragments: all of a datagram at one server, none read as if it had ports, both directions, all methods."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, fragment6
from scapy.packet import Raw

from tests.support.bpf import XDP_DROP, XDP_PASS, XDP_REDIRECT
from tests.support.marks import each_family
from tests.support.packets import (
    CLIENT_PORT,
    HEADER,
    PORT,
    framed,
    ip,
    sent,
    tcp,
    udp,
)
from tests.support.tables import TCP as TCP_NUMBER
from tests.support.tables import UDP as UDP_NUMBER
from tests.support.tables import Director
from tests.support.wires import CLIENT, CLIENT_MAC, VIP, server, server_mac
from vipd.dataplane import _abi
from vipd.dataplane._abi import ConnectionState, Method, ServerStatus

ID: Final = 0xCAFE
DATA: Final = bytes(range(256)) * 16


def whole(family: int, source: str, destination: str, sport: int, dport: int) -> Any:
    return ip(family, src=source, dst=destination) / UDP(sport=sport, dport=dport) / Raw(DATA)


def fragments(packet: Any, size: int = 1200) -> list[Any]:
    """As a sender makes them: scapy's own."""
    if IP in packet:
        packet.id = ID
        made: list[Any] = packet.fragment(fragsize=size)
        return [IP(bytes(each)) for each in made]
    head = IPv6(src=packet.src, dst=packet.dst, hlim=packet.hlim)
    return [IPv6(bytes(each)) for each in fragment6(head / IPv6ExtHdrFragment(id=ID) / packet.payload, size)]


def payload_of(pieces: list[bytes], family: int) -> bytes:
    """Put together by offset, as a receiver does."""
    parts: dict[int, bytes] = {}
    for raw in pieces:
        packet = (IP if family == 4 else IPv6)(raw)
        if family == 4:
            parts[packet.frag * 8] = bytes(packet.payload)
        else:
            head = packet[IPv6ExtHdrFragment]
            parts[head.offset * 8] = bytes(head.payload)
    return b"".join(parts[offset] for offset in sorted(parts))


def serve(director: Director, family: int, method: Method, protocol: int = UDP_NUMBER, port: int = 0) -> None:
    service = director.service(VIP[family], PORT, protocol)
    source = {4: "172.16.0.1", 6: "100::1"}[family]
    servers = [director.server(service, server(family, n), method, port=port, source=source) for n in (1, 2, 3)]
    director.serve(service, servers)


def from_client(family: int, port: int = CLIENT_PORT) -> Any:
    return whole(family, CLIENT[family], VIP[family], port, PORT)


@each_family
@pytest.mark.parametrize(
    ("method", "outcome"),
    [
        (Method.DR, "FORWARD_DR"),
        (Method.NAT, "FORWARD_NAT"),
        (Method.TUN, "FORWARD_TUN"),
        (Method.LOCAL, "PASS_LOCAL_SERVER"),
    ],
)
def test_all_fragments_follow_the_first(director: Director, family: int, method: Method, outcome: str) -> None:
    serve(director, family, method)
    for n in range(3):
        pieces = fragments(from_client(family, 1000 + n))
        assert len(pieces) == 4
        for piece in pieces:
            result = director.run(framed(piece, director.wires.out))
            assert result.outcomes == {outcome: 1}
            if method != Method.LOCAL:
                assert result.frame[5] == 0x11 + n
    assert len(director.connections()) == 3


@each_family
def test_under_nat_the_datagram_arrives_whole_with_a_right_sum(director: Director, family: int) -> None:
    serve(director, family, Method.NAT, port=8080)
    out = [director.run(framed(piece, director.wires.out)).frame[14:] for piece in fragments(from_client(family))]
    expected = whole(family, CLIENT[family], server(family, 1), CLIENT_PORT, 8080)
    assert payload_of(out, family) == bytes(expected)[HEADER[family] :]
    for raw, piece in zip(out, fragments(expected), strict=True):
        wanted = piece.copy()
        if family == 4:
            wanted.ttl -= 1
            del wanted.chksum
        else:
            wanted.hlim -= 1
        assert raw == bytes(wanted)


@each_family
def test_fragments_of_replies_go_back_with_the_vip(director: Director, family: int) -> None:
    serve(director, family, Method.NAT, port=8080)
    for piece in fragments(from_client(family)):
        director.run(framed(piece, director.wires.out))
    back = whole(family, server(family, 1), CLIENT[family], 8080, CLIENT_PORT)
    out = []
    for piece in fragments(back):
        result = director.run(framed(piece, director.wires.inner), director.wires.inner)
        assert (result.action, result.outcomes) == (XDP_REDIRECT, {"FORWARD_NAT_REPLY": 1})
        assert result.frame[:6].hex(":") == CLIENT_MAC
        out.append(result.frame[14:])
    expected = whole(family, VIP[family], CLIENT[family], PORT, CLIENT_PORT)
    assert payload_of(out, family) == bytes(expected)[HEADER[family] :]


@each_family
@pytest.mark.parametrize("method", [Method.DR, Method.NAT, Method.TUN])
def test_a_fragment_that_comes_before_the_first_is_the_kernels(director: Director, family: int, method: Method) -> None:
    serve(director, family, method)
    first, second, *_ = fragments(from_client(family))
    frame = framed(second, director.wires.out)
    result = director.run(frame)
    assert (result.action, result.frame, result.outcomes) == (XDP_PASS, frame, {"PASS_EARLY_FRAGMENT": 1})
    assert director.entries() == []
    director.run(framed(first, director.wires.out))
    assert "PASS_EARLY_FRAGMENT" not in director.run(frame).outcomes


@each_family
@pytest.mark.parametrize("change", ["id", "source", "destination"])
def test_fragments_of_different_datagrams_are_kept_apart(director: Director, family: int, change: str) -> None:
    serve(director, family, Method.DR)
    director.notice("203.0.113.99", "2001:db8:f::99")
    first, second, *_ = fragments(from_client(family))
    director.run(framed(first, director.wires.out))
    other = second.copy()
    if change == "source":
        other.src = {4: "198.51.100.8", 6: "2001:db8:7::8"}[family]
    elif change == "destination":
        other.dst = {4: "203.0.113.99", 6: "2001:db8:f::99"}[family]
    elif family == 4:
        other.id += 1
    else:
        other[IPv6ExtHdrFragment].id += 1
    if family == 4:
        del other.chksum
    assert director.run(framed(other, director.wires.out)).outcomes == {"PASS_EARLY_FRAGMENT": 1}


@each_family
def test_what_is_known_of_a_first_fragment_is_forgotten_after_half_a_minute(director: Director, family: int) -> None:
    serve(director, family, Method.DR)
    first, second, *_ = fragments(from_client(family))
    director.run(framed(first, director.wires.out))
    [key] = director.maps["fragments"].keys()
    known = np.frombuffer(director.maps["fragments"].lookup(key), _abi.FRAGMENT)
    assert (int(known["source_port"][0]), int(known["destination_port"][0])) == (CLIENT_PORT, PORT)
    for age, outcome in ((29, "FORWARD_DR"), (31, "PASS_EARLY_FRAGMENT")):
        older = known.copy()
        older["seen_at"] -= age * 1_000_000_000
        director.maps["fragments"].update(key, older.tobytes())
        assert director.run(framed(second, director.wires.out)).outcomes == {outcome: 1}


@each_family
def test_a_later_fragment_makes_no_connection(director: Director, family: int) -> None:
    serve(director, family, Method.DR)
    first, second, *_ = fragments(from_client(family))
    director.run(framed(first, director.wires.out))
    director.table[:] = 0  # the connection is gone meanwhile
    result = director.run(framed(second, director.wires.out))
    assert result.events["STATELESS"] == 1
    assert director.entries() == []


@each_family
@pytest.mark.parametrize("method", [Method.DR, Method.NAT])
def test_a_later_fragment_changes_no_state(director: Director, family: int, method: Method) -> None:
    """Else a SYN in pieces would leave a connection that is established, for a quarter of an hour."""
    serve(director, family, method, TCP_NUMBER)
    first, second, *_ = fragments(ip(family) / tcp("S") / Raw(DATA))
    director.run(framed(first, director.wires.out))
    before = director.connection()
    assert before.state == ConnectionState.SYN_RECV
    result = director.run(framed(second, director.wires.out))
    assert list(result.outcomes) == [f"FORWARD_{method.name}"]
    assert director.connection() == before


@each_family
def test_a_later_fragment_of_a_reply_changes_no_state(director: Director, family: int) -> None:
    serve(director, family, Method.NAT, TCP_NUMBER)
    director.run(framed(ip(family) / tcp("S"), director.wires.out))
    back = ip(family, src=server(family, 1), dst=CLIENT[family]) / tcp("SA", sport=PORT, dport=CLIENT_PORT) / Raw(DATA)
    first, second, *_ = fragments(back)
    director.run(framed(first, director.wires.inner), director.wires.inner)
    [before] = director.connections()
    [reply] = [entry for entry in director.entries() if entry.is_reply]
    overdue = director.set_life(reply, expires=reply.expires - 100)
    result = director.run(framed(second, director.wires.inner), director.wires.inner)
    assert result.outcomes == {"FORWARD_NAT_REPLY": 1}
    assert director.connections() == [before]
    assert [entry for entry in director.entries() if entry.is_reply] == [overdue]


@pytest.mark.parametrize("size", [8, 12, 16])
def test_a_first_fragment_too_small_for_tcp_is_dropped(director: Director, size: int) -> None:
    """RFC 1858 3: its flags would come with another fragment."""
    serve(director, 4, Method.DR, TCP_NUMBER)
    piece = ip(4, flags="MF", id=ID, proto=6) / Raw(bytes(tcp("S"))[:size])
    result = director.run(framed(piece, director.wires.out))
    assert (result.action, result.outcomes) == (XDP_DROP, {"DROP_MALFORMED": 1})


def test_a_fragment_that_would_overwrite_tcps_flags_is_dropped(director: Director) -> None:
    """RFC 1858 3.2.2: an offset of one, whether its first fragment is known or not."""
    serve(director, 4, Method.DR, TCP_NUMBER)
    overlap = framed(ip(4, frag=1, id=ID, proto=6) / Raw(bytes(32)), director.wires.out)
    assert director.run(overlap).outcomes == {"DROP_MALFORMED": 1}
    director.run(framed(ip(4, flags="MF", id=ID) / tcp("S") / Raw(bytes(20)), director.wires.out))
    result = director.run(overlap)
    assert (result.action, result.outcomes) == (XDP_DROP, {"DROP_MALFORMED": 1})
    # A datagram has no flags to protect.
    director.clear()
    serve(director, 4, Method.DR)
    director.run(framed(ip(4, flags="MF", id=ID) / udp(len=100) / Raw(bytes(8)), director.wires.out))
    result = director.run(framed(ip(4, frag=1, id=ID, proto=17) / Raw(bytes(32)), director.wires.out))
    assert result.outcomes == {"FORWARD_DR": 1}


def test_an_ipv6_fragment_that_would_overwrite_tcps_flags_is_dropped(director: Director) -> None:
    serve(director, 6, Method.DR, TCP_NUMBER)
    director.run(framed(ip(6) / IPv6ExtHdrFragment(id=ID, m=1, nh=6) / tcp("S") / Raw(bytes(20)), director.wires.out))
    for offset, outcome in ((1, "DROP_MALFORMED"), (2, "FORWARD_DR")):
        piece = ip(6) / IPv6ExtHdrFragment(id=ID, offset=offset, nh=6) / Raw(bytes(32))
        assert director.run(framed(piece, director.wires.out)).outcomes == {outcome: 1}


@pytest.mark.parametrize("head", [IPv6ExtHdrFragment(id=ID), IPv6ExtHdrFragment(id=0, nh=17)])
@pytest.mark.parametrize("method", [Method.DR, Method.NAT])
def test_an_atomic_fragment_is_a_whole_packet(director: Director, head: Any, method: Method) -> None:
    """RFC 6946: offset 0 and no more to come."""
    serve(director, 6, method)
    packet = ip(6) / head / udp() / Raw(b"all of it")
    result = director.run(framed(packet, director.wires.out))
    assert result.outcomes == {"FORWARD_DR" if method == Method.DR else "FORWARD_NAT": 1}
    expected = packet.copy()
    if method == Method.NAT:
        expected.dst, expected.hlim = server(6, 1), 63
    assert result.frame == sent(expected, director.wires.inner, server_mac(1))
    assert list(director.maps["fragments"].keys()) == []


def test_fragments_with_more_headers_behind_the_fragment_header_pass_together(director: Director) -> None:
    """The later ones do not show what protocol they carry: none is forwarded."""
    serve(director, 6, Method.DR)
    head = IPv6ExtHdrFragment(id=ID, m=1, nh=60)
    first = ip(6) / head / IPv6ExtHdrDestOpt(nh=17) / udp(len=2000) / Raw(bytes(1000))
    later = ip(6) / IPv6ExtHdrFragment(id=ID, offset=128, nh=60) / Raw(bytes(1000))
    for packet in (first, later):
        frame = framed(packet, director.wires.out)
        result = director.run(frame)
        assert (result.action, result.frame, result.outcomes) == (XDP_PASS, frame, {"PASS_EXTENSION_HEADER": 1})
    assert director.entries() == []


@each_family
def test_a_first_fragment_carries_a_datagrams_whole_length(director: Director, family: int) -> None:
    serve(director, family, Method.DR)
    first = fragments(from_client(family))[0]
    assert (first[UDP] if UDP in first else UDP(bytes(first[IPv6ExtHdrFragment].payload))).len == len(DATA) + 8
    assert director.run(framed(first, director.wires.out)).outcomes == {"FORWARD_DR": 1}
    assert TCP not in first


@each_family
def test_a_later_fragment_is_not_rescheduled(director: Director, family: int) -> None:
    """Without its first one it is of no use to another server; the next whole packet moves the flow."""
    serve(director, family, Method.DR)
    first, second, *_ = fragments(from_client(family))
    director.run(framed(first, director.wires.out))
    director.change_server(director.connection().real_server, status=ServerStatus.REMOVED_RESCHEDULE)
    assert "CONNECTION_NEW" not in director.run(framed(second, director.wires.out)).events
    assert director.entries() == []
