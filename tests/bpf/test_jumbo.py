"""Frames larger than one buffer: forwarded and rewritten whole, cut to a quote, or answered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyroute2 import IPRoute
from scapy.layers.inet import IP
from scapy.packet import Raw

from tests.support.bpf import XDP_REDIRECT, XDP_TX
from tests.support.marks import each_family
from tests.support.packets import HEADER, PORT, altered, framed, ip, later, request, sent, udp
from tests.support.tables import UDP, Director
from tests.support.wires import CLIENT_MAC, VIP, Wires, server, server_mac
from vipd.dataplane._abi import Method

PAYLOAD = bytes(range(256)) * 35


@pytest.fixture
def jumbo(director: Director) -> Iterator[Director]:
    """All wires take 9,000 bytes."""
    set_mtu(director.wires, 9000)
    yield director
    set_mtu(director.wires, 1500)


def set_mtu(wires: Wires, mtu: int) -> None:
    with IPRoute() as netlink:
        for wire in (wires.out, wires.inner):
            netlink.link("set", index=wire.ifindex, mtu=mtu)


def serve(director: Director, family: int, method: Method) -> None:
    service = director.service(VIP[family], PORT, UDP)
    source = {4: "172.16.0.1", 6: "100::1"}[family]
    director.serve(service, [director.server(service, server(family, 1), method, port=0, source=source)])


@each_family
@pytest.mark.parametrize("size", [3000, 3500, 4096, 6000, 8900])
@pytest.mark.parametrize("method", [Method.DR, Method.NAT, Method.TUN])
def test_a_large_packet_is_forwarded_whole(jumbo: Director, family: int, size: int, method: Method) -> None:
    serve(jumbo, family, method)
    for packet in (request(family, UDP, PAYLOAD[:size]), later(family, UDP, PAYLOAD[:size])):
        result = jumbo.run(framed(packet, jumbo.wires.out))
        assert result.action == XDP_REDIRECT
        if method == Method.TUN:
            assert result.frame[14 + HEADER[family] :] == bytes(altered(packet, 1))
        else:
            expected = packet if method == Method.DR else altered(packet, 1, dst=server(family, 1))
            assert result.frame == sent(expected, jumbo.wires.inner, server_mac(1))


@each_family
@pytest.mark.parametrize("size", [3000, 4096, 8900])
@pytest.mark.parametrize("method", [Method.DR, Method.NAT, Method.TUN])
def test_a_large_packet_for_a_small_link_is_answered(
    director: Director, family: int, size: int, method: Method
) -> None:
    serve(director, family, method)
    head = {"flags": "DF"} if family == 4 else {}
    packet = ip(family, 64, **head) / udp() / Raw(PAYLOAD[:size])
    result = director.run(framed(packet, director.wires.out))
    assert (result.action, result.outcomes) == (XDP_TX, {"REPLY_TOO_BIG": 1})
    assert result.frame[:6].hex(":") == CLIENT_MAC
    most = 576 - 28 if family == 4 else 1280 - 48
    assert result.frame[14 + HEADER[family] + 8 :] == bytes(packet)[:most]
    if family == 4:
        whole = IP(result.frame[14:])
        sums = whole.chksum, whole.payload.chksum
        del whole.chksum, whole.payload.chksum
        again = IP(bytes(whole))
        assert sums == (again.chksum, again.payload.chksum)


@each_family
def test_without_df_the_kernel_cuts_a_packet_under_nat(director: Director, family: int) -> None:
    """IPv6 knows no router that does: it is answered."""
    serve(director, family, Method.NAT)
    result = director.run(framed(request(family, UDP, PAYLOAD[:3000]), director.wires.out))
    assert result.outcomes == ({"ROUTE_NAT": 1} if family == 4 else {"REPLY_TOO_BIG": 1})


@each_family
@pytest.mark.parametrize("missing", [1, 100, 5000])
def test_a_large_packet_cut_short_is_dropped(jumbo: Director, family: int, missing: int) -> None:
    serve(jumbo, family, Method.NAT)
    frame = framed(request(family, UDP, PAYLOAD[:8000]), jumbo.wires.out)[:-missing]
    result = jumbo.run(frame)
    assert (result.frame, result.outcomes) == (frame, {"DROP_MALFORMED": 1})
