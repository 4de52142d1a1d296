"""Links without Ethernet headers: answers over them, sizes, fragments, errors, and what is left alone."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6
from scapy.packet import Raw

from tests.bpf.test_fragments import fragments, whole
from tests.bpf.test_icmp_errors import reply_quote
from tests.support.bpf import XDP_DROP, XDP_PASS, XDP_REDIRECT, XDP_TX
from tests.support.lined import from_line, served, whole_only
from tests.support.marks import each_family, each_protocol, either_neighbour
from tests.support.packets import (
    CLIENT_PORT,
    HEADER,
    PAYLOAD,
    PORT,
    altered,
    answer,
    framed,
    ip,
    later,
    length,
    request,
    sent,
    tcp,
    udp,
)
from tests.support.tables import TCP as TCP_NUMBER
from tests.support.tables import UDP, Director
from tests.support.wires import (
    CLIENT,
    LINE_CLIENT,
    LINE_MTU,
    LINE_SERVER,
    VIP,
    server,
    server_mac,
)
from vipd.dataplane._abi import Method


@each_family
@each_protocol
def test_a_refusal_goes_back_over_the_line(director: Director, family: int, protocol: int) -> None:
    director.serve(director.service(VIP[family], PORT, protocol), [])
    packet = from_line(family, protocol)
    result = director.run(bytes(packet), director.wires.line)
    assert result.action == XDP_TX
    told = (IP if family == 4 else IPv6)(result.frame)
    assert (told.src, told.dst) == (VIP[family], LINE_CLIENT[family])
    assert bytes(told) == result.frame
    if protocol == TCP_NUMBER:
        assert result.outcomes == {"REPLY_RESET_NO_SERVER": 1}
        back = whole_only(family, src=VIP[family], dst=LINE_CLIENT[family], **({"id": 0} if family == 4 else {}))
        port = {"sport": PORT, "dport": CLIENT_PORT}
        reset = TCP(**port, seq=0, ack=0x11223345 + len(PAYLOAD), flags="RA", window=0)
        assert result.frame == bytes(back / reset)
    else:
        assert result.outcomes == {"REPLY_UNREACHABLE_NO_SERVER": 1}
        assert bytes(told.payload.payload) == bytes(packet)[: len(bytes(packet)) & ~3]
        assert ICMP in told if family == 4 else ICMPv6DestUnreach in told


@each_family
@pytest.mark.parametrize("method", [Method.NAT, Method.TUN])
def test_the_end_of_the_ttl_is_told_over_the_line(director: Director, family: int, method: Method) -> None:
    served(director, family, server(family, 1), method)
    packet = ip(family, 1, src=LINE_CLIENT[family]) / udp()
    result = director.run(bytes(packet), director.wires.line)
    assert (result.action, result.outcomes) == (XDP_TX, {"REPLY_TIME_EXCEEDED": 1})
    told = (IP if family == 4 else IPv6)(result.frame)
    assert told[ICMP].type == 11 if family == 4 else ICMPv6TimeExceeded in told


@each_family
@pytest.mark.parametrize(("method", "fits"), [(Method.NAT, LINE_MTU), (Method.TUN, LINE_MTU - 20)])
@either_neighbour
def test_the_client_hears_what_fits_through_the_line(
    director: Director, family: int, method: Method, fits: int
) -> None:
    where = LINE_SERVER[family if method == Method.NAT else 4]
    served(director, family, where, method)
    size = fits - HEADER[family] - 8
    packet = whole_only(family) / udp() / Raw(bytes(size))
    assert director.run(framed(packet, director.wires.out)).action == XDP_PASS
    result = director.run(framed(whole_only(family) / udp() / Raw(bytes(size + 1)), director.wires.out))
    assert (result.action, result.outcomes) == (XDP_TX, {"REPLY_TOO_BIG": 1})
    told = (IP if family == 4 else IPv6)(result.frame[14:])
    assert (told[ICMP].nexthopmtu if family == 4 else told[ICMPv6PacketTooBig].mtu) == fits


@either_neighbour
def test_what_may_be_fragmented_is_for_the_kernel_to_fragment(director: Director) -> None:
    served(director, 4, LINE_SERVER[4], Method.NAT)
    packet = ip(4) / udp() / Raw(bytes(LINE_MTU))
    assert director.run(framed(packet, director.wires.out)).outcomes == {"ROUTE_NAT": 1}


@each_family
@either_neighbour
def test_the_server_hears_what_fits_through_the_clients_line(director: Director, family: int) -> None:
    served(director, family, server(family, 1), Method.NAT)
    director.run(bytes(from_line(family)), director.wires.line)
    reply = whole_only(family, src=server(family, 1), dst=LINE_CLIENT[family])
    ports = {"sport": PORT, "dport": CLIENT_PORT}
    fitting = reply / udp(**ports) / Raw(bytes(LINE_MTU - HEADER[family] - 8))
    assert director.run(framed(fitting, director.wires.inner), director.wires.inner).outcomes == {"ROUTE_NAT_REPLY": 1}
    frame = framed(reply / udp(**ports) / Raw(bytes(LINE_MTU)), director.wires.inner)
    result = director.run(frame, director.wires.inner)
    # As it came, so that the kernel's answer quotes what the server sent.
    assert (result.action, result.outcomes, result.frame) == (XDP_PASS, {"PASS_TOO_BIG": 1}, frame)


@each_family
def test_fragments_from_a_line_follow_the_first(director: Director, family: int) -> None:
    served(director, family, server(family, 1), Method.DR)
    for piece in fragments(whole(family, LINE_CLIENT[family], VIP[family], CLIENT_PORT, PORT)):
        result = director.run(bytes(piece), director.wires.line)
        assert (result.action, result.outcomes) == (XDP_REDIRECT, {"FORWARD_DR": 1})
        assert result.frame == sent(piece, director.wires.inner, server_mac(1))


@each_family
@pytest.mark.parametrize("method", [Method.NAT, Method.TUN])
def test_errors_from_a_line_reach_the_server(director: Director, family: int, method: Method) -> None:
    served(director, family, server(family, 1), method)
    director.run(framed(request(family, UDP), director.wires.out))
    kind = ICMP(type=3, code=1) if family == 4 else ICMPv6DestUnreach(code=0)
    error = ip(family, src=LINE_CLIENT[family]) / kind / Raw(bytes(reply_quote(family, UDP)))
    result = director.run(bytes(error), director.wires.line)
    assert (result.action, result.outcomes) == (XDP_REDIRECT, {"FORWARD_ICMP_ERROR": 1})
    assert result.frame[:12].hex(":") == f"{server_mac(1)}:{director.wires.inner.mac}"


@each_family
@either_neighbour
def test_errors_for_a_server_behind_a_line_are_the_kernels_to_send(director: Director, family: int) -> None:
    served(director, family, LINE_SERVER[family], Method.NAT)
    director.run(framed(request(family, UDP), director.wires.out))
    kind = ICMP(type=3, code=1) if family == 4 else ICMPv6DestUnreach(code=0)
    error = ip(family) / kind / Raw(bytes(reply_quote(family, UDP)))
    result = director.run(framed(error, director.wires.out))
    assert (result.action, result.outcomes) == (XDP_PASS, {"ROUTE_ICMP_ERROR": 1})


@each_family
def test_what_is_not_ours_leaves_as_it_came(director: Director, family: int) -> None:
    served(director, family, server(family, 1), Method.NAT)
    for packet, outcome in (
        (bytes(ip(family, src=LINE_CLIENT[family], dst=CLIENT[family]) / udp()), "PASS_NOT_OURS"),
        (bytes(ip(family, src=LINE_CLIENT[family]) / udp(dport=PORT + 1)), "PASS_NO_SERVICE"),
        (b"\x50" + bytes(39), "PASS_NOT_IP"),
        (bytes(40), "PASS_NOT_IP"),
        (bytes(from_line(family))[:16], "PASS_NOT_OURS"),
    ):
        result = director.run(packet, director.wires.line)
        assert (result.action, result.outcomes, result.frame) == (XDP_PASS, {outcome: 1}, packet)


@each_family
@each_protocol
def test_a_packet_cut_at_any_byte_is_never_forwarded(director: Director, family: int, protocol: int) -> None:
    served(director, family, server(family, 1), Method.NAT, protocol)
    packet = altered(later(family, protocol), src=LINE_CLIENT[family])
    for size in range(14, length(packet)):
        cut = bytes(packet)[:size]
        result = director.run(cut, director.wires.line)
        assert result.action in (XDP_PASS, XDP_DROP)
        assert result.frame == cut or result.action == XDP_DROP


@each_family
def test_a_packet_for_ethernet_is_not_taken_on_the_line_and_the_other_way_round(
    director: Director, family: int
) -> None:
    """Each program on the other's interface: what it reads is no header of its kind."""
    served(director, family, server(family, 1), Method.NAT)
    packet = request(family, UDP)
    for frame, at, program in (
        (framed(packet, director.wires.out), director.wires.out, "director_point_to_point"),
        (bytes(packet), director.wires.line, "director"),
    ):
        result = director.bpf.run(frame, at.ifindex, program=program)
        assert (result.action, result.frame) == (XDP_PASS, frame)


def test_tcp_handshakes_over_the_line_are_followed(director: Director) -> None:
    served(director, 4, server(4, 1), Method.NAT, TCP_NUMBER)
    client = ip(4, src=LINE_CLIENT[4])
    director.run(bytes(client / tcp("S")), director.wires.line)
    reply = answer(4, TCP_NUMBER, server(4, 1), flags="SA", to=LINE_CLIENT[4])
    director.run(framed(reply, director.wires.inner), director.wires.inner)
    director.run(bytes(client / tcp("A")), director.wires.line)
    assert director.connection().state.name == "ESTABLISHED"
