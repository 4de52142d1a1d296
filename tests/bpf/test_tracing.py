"""What a tracer is told of packets: as they came, how they ended and why; and what it is not told, which is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6PacketTooBig
from scapy.layers.l2 import ARP, Dot1Q
from scapy.packet import Raw

from tests.support.bpf import XDP_DROP, on_one_processor
from tests.support.packets import (
    CLIENT_PORT,
    FAMILIES,
    PORT,
    PROTOCOLS,
    answer,
    framed,
    ip,
    later,
    length,
    request,
    segment,
    tcp,
    udp,
)
from tests.support.tables import TCP, Director
from tests.support.tables import UDP as UDP_NUMBER
from tests.support.wires import CLIENT, CLIENT_MAC, STRANGER, VIP, server, server_mac
from vipd.dataplane import _abi, _abi_trace
from vipd.dataplane.records import HEAD, NAMES
from vipd.dataplane.tracing import Tracer
from vipd.model.director import Endpoint, Method, Scheduler, Transport
from vipd.model.outcome import CHANGED, OUTCOMES
from vipd.model.trace import FRAME_BYTES, Asked, Flow, Fragment, Traced

SOURCE: Final = {4: "172.16.0.1", 6: "100::1"}
EVERYTHING: Final = Asked(frame=FRAME_BYTES)
TRANSPORTS: Final = {TCP: Transport.TCP, UDP_NUMBER: Transport.UDP}


@contextmanager
def tracing(director: Director, asked: Asked = EVERYTHING) -> Iterator[Tracer]:
    tracer = Tracer(director.maps, Path("pinned-nowhere"))
    tracer.start(asked)
    try:
        yield tracer
    finally:
        tracer.close()


def told(tracer: Tracer) -> Traced:
    """Of the only packet."""
    [found] = tracer.poll(0)
    return found


def serve(director: Director, family: int, protocol: int, method: _abi.Method, port: int = PORT) -> int:
    service = director.service(VIP[family], port, protocol, _abi.Scheduler.RR)
    only = director.server(service, server(family, 1), method, source=SOURCE[family])
    director.serve(service, [only])
    if method == _abi.Method.NAT:
        director.nat_source(server(family, 1), port, protocol, only)
    return only


def flow(family: int, protocol: int, port: int = PORT) -> Flow:
    return Flow(protocol, ip_address(CLIENT[family]), CLIENT_PORT, ip_address(VIP[family]), port)


def endpoint(family: int, protocol: int, port: int = PORT) -> Endpoint:
    return Endpoint(ip_address(VIP[family]), port, port, TRANSPORTS[protocol])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("method", [_abi.Method.NAT, _abi.Method.DR, _abi.Method.TUN])
def test_a_new_and_a_known_connection_are_told_whole(
    director: Director, family: int, protocol: int, method: _abi.Method
) -> None:
    serve(director, family, protocol, method)
    for packet, known in ((request(family, protocol), False), (later(family, protocol), True)):
        frame = framed(packet, director.wires.out)
        with tracing(director) as tracer:
            result = director.run(frame)
            found = told(tracer)
        assert result.outcomes == {found.outcome.upper(): 1}
        assert found.outcome == f"forward_{method.name.lower()}"
        assert {event.upper() for event in found.events} == result.events.keys()
        assert (found.flow, found.known, found.about) == (flow(family, protocol), known, None)
        assert found.segment == (("ack" if known else "syn") if protocol == TCP else None)
        assert (found.service, found.scheduler) == (endpoint(family, protocol), Scheduler.RR)
        assert (found.server, found.server_port) == (ip_address(server(family, 1)), None)
        assert (found.method, found.local, found.reply) == (Method[method.name], False, False)
        assert (found.ingress, found.egress) == (director.wires.out.ifindex, director.wires.inner.ifindex)
        assert (found.source_mac, found.destination_mac) == (director.wires.inner.mac, server_mac(1))
        assert (found.length, found.sent_length) == (length(packet), len(result.frame))
        assert (found.frame, found.frame_length) == (frame, len(frame))
        assert found.state == (None if not known else "udp" if protocol == UDP_NUMBER else "established")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_reply_is_told_with_its_clients_state(director: Director, family: int, protocol: int) -> None:
    serve(director, family, protocol, _abi.Method.NAT)
    director.run(framed(request(family, protocol), director.wires.out))
    packet = answer(family, protocol, server(family, 1), flags="SA")
    frame = framed(packet, director.wires.inner, source=server_mac(1))
    with tracing(director) as tracer:
        director.run(frame, director.wires.inner)
        found = told(tracer)
    assert found.outcome == "forward_nat_reply"
    assert (found.reply, found.known, found.egress) == (True, True, director.wires.out.ifindex)
    assert (found.server, found.service) == (ip_address(server(family, 1)), endpoint(family, protocol))
    assert found.destination_mac == CLIENT_MAC
    assert found.state == ("syn_recv" if protocol == TCP else "udp")
    assert found.frame == frame


def error_about(family: int, quoted: Any) -> Any:
    kind: Any = ICMP(type=3, code=4, nexthopmtu=1300) if family == 4 else ICMPv6PacketTooBig(mtu=1300)
    return ip(family, src=STRANGER[family]) / kind / Raw(bytes(quoted))


@pytest.mark.parametrize("family", FAMILIES)
def test_an_icmp_error_is_told_with_the_connection_that_it_is_about(director: Director, family: int) -> None:
    serve(director, family, TCP, _abi.Method.NAT)
    director.run(framed(request(family, TCP), director.wires.out))
    quoted = ip(family, src=VIP[family], dst=CLIENT[family]) / tcp("A", sport=PORT, dport=CLIENT_PORT) / Raw(bytes(20))
    frame = framed(error_about(family, quoted), director.wires.out)
    client = Asked(client=ip_network(CLIENT[family]), frame=FRAME_BYTES)
    with tracing(director, client) as tracer:
        director.run(frame)
        found = told(tracer)
    assert found.outcome == "forward_icmp_error"
    assert found.flow == Flow({4: 1, 6: 58}[family], ip_address(STRANGER[family]), 0, ip_address(VIP[family]), 0)
    assert found.about == flow(family, TCP)
    assert (found.known, found.segment, found.frame) == (True, None, frame)


UNTOUCHED: Final[dict[str, Callable[[], Any]]] = {
    "pass_not_ip": ARP,
    "pass_vlan": lambda: Dot1Q(vlan=5) / request(4, TCP),
    "pass_not_ours": lambda: ip(4, dst=STRANGER[4]) / udp(),
    "pass_no_service": lambda: request(4, TCP, dport=9),
    "pass_icmp": lambda: ip(4) / ICMP() / Raw(bytes(16)),
    "pass_protocol": lambda: ip(4, proto=132) / Raw(bytes(24)),
    "drop_malformed": lambda: ip(4) / udp(len=7) / Raw(b"short"),
    "drop_tcp_flags": lambda: segment(4, "SF"),
    "drop_martian": lambda: ip(4, src="127.0.0.1") / tcp(),
}


@pytest.mark.parametrize("outcome", UNTOUCHED)
def test_a_packet_that_stays_as_it_came_is_told_with_what_was_found_out(director: Director, outcome: str) -> None:
    serve(director, 4, TCP, _abi.Method.DR)
    packet = UNTOUCHED[outcome]()
    frame = framed(packet, director.wires.out)
    with tracing(director) as tracer:
        result = director.run(frame)
        found = told(tracer)
    assert result.outcomes == {outcome.upper(): 1}
    assert (found.outcome, found.frame, found.frame_length) == (outcome, frame, len(frame))
    assert (found.server, found.egress, found.destination_mac) == (None, None, None)
    if IP in packet and outcome != "pass_vlan":
        assert found.flow is not None
        assert (str(found.flow.source), str(found.flow.destination)) == (packet[IP].src, packet[IP].dst)
        assert found.length == (0 if outcome == "pass_not_ours" else len(bytes(packet)))
    else:
        assert (found.flow, found.length) == (None, 0)
    assert (found.service is None) == (outcome not in ("drop_tcp_flags", "drop_martian"))


def test_a_frame_shorter_than_a_header_is_told_too(director: Director) -> None:
    frame = framed(ip(4) / udp(), director.wires.out)[:20]
    with tracing(director) as tracer:
        director.run(frame)
        found = told(tracer)
    assert (found.outcome, found.flow, found.frame) == ("pass_not_ours", None, frame)


def test_flags_that_no_stack_sends_are_told_with_the_service_of_their_connection(director: Director) -> None:
    serve(director, 4, TCP, _abi.Method.DR)
    director.run(framed(request(4, TCP), director.wires.out))
    with tracing(director) as tracer:
        director.run(framed(segment(4, "SF"), director.wires.out))
        assert told(tracer).service == endpoint(4, TCP)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_the_director_answers_itself_is_told_as_it_came(director: Director, family: int, protocol: int) -> None:
    director.serve(director.service(VIP[family], PORT, protocol), [])
    frame = framed(request(family, protocol, bytes(300)), director.wires.out)
    with tracing(director) as tracer:
        result = director.run(frame)
        found = told(tracer)
    assert found.outcome in ("reply_reset_no_server", "reply_unreachable_no_server")
    assert (found.frame, found.sent_length) == (frame, len(result.frame))
    assert (found.server, found.service) == (None, endpoint(family, protocol))


def test_fragments_are_told_apart(director: Director) -> None:
    serve(director, 4, UDP_NUMBER, _abi.Method.DR)
    first = ip(4, flags="MF", id=5) / udp(len=64) / Raw(bytes(24))
    rest = ip(4, frag=4, id=5, proto=17) / Raw(bytes(32))
    with tracing(director) as tracer:
        for packet in (first, rest):
            director.run(framed(packet, director.wires.out))
        assert [found.fragment for found in tracer.poll(0)] == [Fragment.FIRST, Fragment.LATER]


def test_a_full_table_is_told_with_each_packet_that_meets_it(small: Director) -> None:
    serve(small, 4, UDP_NUMBER, _abi.Method.DR)
    with tracing(small) as tracer:
        for number in range(20):
            small.run(framed(request(4, UDP_NUMBER, sport=1000 + number), small.wires.out))
        met = [set(found.events) - {"next_hop_refreshed"} for found in tracer.poll(0)]
    assert met == [{"connection_new"}] * 16 + [{"table_full", "stateless"}] * 4


NETWORKS: Final = {
    4: ["198.51.100.7/32", "198.51.100.0/24", "198.0.0.0/8", "0.0.0.0/0"],
    6: ["2001:db8:7::7/128", "2001:db8:7::/64", "2001:db8:7::/48", "2000::/3", "::/0"],
}
OTHERS: Final = {
    4: ["198.51.100.6/32", "198.51.101.0/24", "::/128", "2001:db8:7::/64", "10.1.0.0/16"],
    6: ["2001:db8:7::6/128", "2001:db8:7:1::/64", "198.51.100.0/24", "fe80::/10", "0.0.0.0/0"],
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_client_is_told_by_its_network_in_both_directions(director: Director, family: int) -> None:
    serve(director, family, TCP, _abi.Method.NAT)
    there = framed(request(family, TCP), director.wires.out)
    back = framed(answer(family, TCP, server(family, 1)), director.wires.inner)
    for texts, expected in ((NETWORKS, 2), (OTHERS, 0)):
        for text in texts[family]:
            with tracing(director, Asked(client=ip_network(text))) as tracer:
                director.run(there)
                director.run(back, director.wires.inner)
                assert len(tracer.poll(0)) == tracer.counts().matched == expected, text


def test_a_service_is_told_and_no_other_nor_what_is_of_none(director: Director) -> None:
    serve(director, 4, TCP, _abi.Method.DR)
    serve(director, 4, TCP, _abi.Method.DR, port=81)
    with tracing(director, Asked(services=frozenset({endpoint(4, TCP, 81)}))) as tracer:
        for port in (80, 81, 82):
            director.run(framed(request(4, TCP, dport=port), director.wires.out))
            director.run(framed(later(4, TCP, dport=port), director.wires.out))
        assert [found.service for found in tracer.poll(0)] == [endpoint(4, TCP, 81)] * 2


def test_services_whose_numbers_end_alike_are_told_apart(director: Director) -> None:
    first, *_, last = [director.service(VIP[4], 100 + n, TCP) for n in range(65)]
    assert first % 64 == last % 64
    for number in (first, last):
        director.serve(number, [director.server(number, server(4, 1), _abi.Method.DR)])
    with tracing(director, Asked(services=frozenset({endpoint(4, TCP, 100)}))) as tracer:
        for port in (164, 100):
            director.run(framed(request(4, TCP, dport=port), director.wires.out))
        assert told(tracer).service == endpoint(4, TCP, 100)


def test_a_service_that_comes_later_is_told_from_the_next_beat_on(director: Director) -> None:
    with tracing(director, Asked(services=frozenset({endpoint(4, TCP)}))) as tracer:
        serve(director, 4, TCP, _abi.Method.DR)
        director.run(framed(request(4, TCP), director.wires.out))
        assert tracer.poll(0) == []
        tracer.beat()
        director.run(framed(later(4, TCP), director.wires.out))
        assert told(tracer).service == endpoint(4, TCP)


def test_a_server_is_told_with_its_frames_and_no_other(director: Director) -> None:
    service = director.service(VIP[4], PORT, TCP)
    director.serve(service, [director.server(service, server(4, n), _abi.Method.NAT) for n in (1, 2, 3)])
    frames = [framed(request(4, TCP, sport=1000 + n), director.wires.out) for n in range(9)]
    with tracing(director, Asked(servers=frozenset({ip_address(server(4, 2))}), frame=FRAME_BYTES)) as tracer:
        for frame in frames:
            director.run(frame)
        director.run(framed(request(4, TCP, dport=9), director.wires.out))
        found = tracer.poll(0)
    assert {str(each.server) for each in found} == {server(4, 2)}
    assert [each.frame for each in found] == frames[1::3]


@pytest.mark.parametrize("asked", [frozenset({"forward_dr"}), CHANGED, frozenset(OUTCOMES) - CHANGED, frozenset()])
def test_only_outcomes_that_are_asked_for_are_told(director: Director, asked: frozenset[str]) -> None:
    serve(director, 4, TCP, _abi.Method.DR)
    with tracing(director, Asked(outcomes=asked)) as tracer:
        director.run(framed(request(4, TCP), director.wires.out))
        director.run(framed(request(4, TCP, dport=9), director.wires.out))
        assert {found.outcome for found in tracer.poll(0)} == asked & {"forward_dr", "pass_no_service"}
        assert tracer.beat(), "the data plane had stopped"


def test_one_of_so_many_is_told(director: Director) -> None:
    serve(director, 4, TCP, _abi.Method.DR)
    with on_one_processor(), tracing(director, Asked(sample=3)) as tracer:
        for number in range(10):
            director.run(framed(request(4, TCP, sport=1000 + number), director.wires.out))
        assert [found.flow and found.flow.source_port for found in tracer.poll(0)] == [1002, 1005, 1008]
        counts = tracer.counts()
    assert (counts.passed, counts.matched, counts.sampled_out, counts.limited, counts.lost) == (10, 10, 7, 0, 0)
    assert counts.told == 3


def test_no_more_than_the_rate_is_told(director: Director) -> None:
    """Nobody beats here, so that the first tenth of a second never ends."""
    serve(director, 4, TCP, _abi.Method.DR)
    with tracing(director, Asked(rate=40)) as tracer:
        for number in range(10):
            director.run(framed(request(4, TCP, sport=1000 + number), director.wires.out))
        assert len(tracer.poll(0)) == 4
        counts = tracer.counts()
    assert (counts.matched, counts.limited, counts.lost, counts.told) == (10, 6, 0, 4)


def test_a_slow_reader_loses_records_and_no_packet_waits(director: Director) -> None:
    serve(director, 4, UDP_NUMBER, _abi.Method.NAT)
    frame = framed(request(4, UDP_NUMBER, bytes(1400)), director.wires.out)
    expected = director.run(frame)
    room = _abi_trace.TraceLimits.ROOM // (HEAD.size + len(frame))
    many = room + 300
    with tracing(director) as tracer:
        for _ in range(many):
            result = director.run(frame)
            assert (result.action, result.frame) == (expected.action, expected.frame)
        counts = tracer.counts()
        found = tracer.poll(0)
        assert counts.lost >= 250
        assert len(found) == counts.told == many - counts.lost
        assert {each.frame for each in found} == {frame}
        director.run(frame)
        assert told(tracer).frame == frame


def test_as_much_of_a_frame_is_kept_as_was_asked_for(director: Director) -> None:
    serve(director, 4, UDP_NUMBER, _abi.Method.TUN)
    long = framed(request(4, UDP_NUMBER, bytes(range(256)) * 5), director.wires.out)
    for wanted in (14, 15, 64, len(long) - 1, len(long), len(long) + 1, FRAME_BYTES):
        with tracing(director, Asked(frame=wanted)) as tracer:
            director.run(long)
            found = told(tracer)
        assert (found.frame, found.frame_length) == (long[:wanted], len(long)), wanted


def test_of_a_jumbo_frame_the_beginning_is_kept(director: Director) -> None:
    serve(director, 4, UDP_NUMBER, _abi.Method.LOCAL)
    frame = framed(request(4, UDP_NUMBER, bytes(8000)), director.wires.out)
    with tracing(director) as tracer:
        director.run(frame)
        found = told(tracer)
    assert (found.outcome, found.local) == ("pass_local_server", True)
    assert (found.frame, found.frame_length) == (frame[:FRAME_BYTES], len(frame))


def test_without_frames_asked_for_none_is_kept(director: Director) -> None:
    serve(director, 4, TCP, _abi.Method.DR)
    with tracing(director) as tracer:
        director.run(framed(request(4, TCP), director.wires.out))
        assert told(tracer).frame
    with tracing(director, Asked()) as tracer:
        director.run(framed(later(4, TCP), director.wires.out))
        director.run(framed(request(4, TCP, dport=9), director.wires.out))
        assert [(found.frame, found.frame_length) for found in tracer.poll(0)] == [(b"", 0)] * 2


def test_once_closed_nothing_is_told_and_nothing_old_is(director: Director) -> None:
    serve(director, 4, TCP, _abi.Method.DR)
    with tracing(director) as tracer:
        director.run(framed(request(4, TCP), director.wires.out))
    director.run(framed(later(4, TCP), director.wires.out))
    with tracing(director) as tracer:
        assert tracer.poll(0) == []
        assert tracer.counts().matched == 0


def test_what_is_dropped_is_dropped_traced_or_not(director: Director) -> None:
    frame = framed(ip(4) / UDP(len=7), director.wires.out)
    director.notice(VIP[4])
    with tracing(director):
        assert director.run(frame).action == XDP_DROP
    assert director.run(frame).action == XDP_DROP


def test_records_are_read_where_the_data_plane_writes_them() -> None:
    assert HEAD.size == _abi_trace.TRACED.itemsize
    assert len(set(NAMES)) == len(NAMES)
    assert int(_abi_trace.TraceLimits.FRAME) == FRAME_BYTES
