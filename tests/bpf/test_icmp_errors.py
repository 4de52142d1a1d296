"""ICMP errors reach whom they concern, in its own terms; what is not ours passes as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pytest
from scapy.layers.inet import ICMP, IP, TCP, IPOption_NOP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
)
from scapy.packet import Raw

from tests.support.bpf import XDP_DROP, XDP_PASS, XDP_REDIRECT, Result
from tests.support.marks import each_family, each_protocol
from tests.support.packets import (
    CLIENT_PORT,
    FAMILIES,
    HEADER,
    PORT,
    PROTOCOLS,
    altered,
    framed,
    ip,
    request,
    sent,
    tcp,
    udp,
)
from tests.support.tables import TCP as TCP_NUMBER
from tests.support.tables import Director, Traffic, now
from tests.support.wires import (
    CLIENT,
    CLIENT_MAC,
    FAR_SERVER,
    GATEWAY_MAC,
    LOST_SERVER,
    NARROW_LINK,
    SILENT_SERVER,
    VIP,
    Wire,
    server,
    server_mac,
)
from vipd.dataplane._abi import Method, ServerStatus

ROUTER: Final = {4: "192.0.2.254", 6: "2001:db8:aaaa::fe"}
"Somewhere on the way: where errors come from."
SERVER_PORT: Final = 8080
KINDS: Final[dict[int, list[Any]]] = {
    4: [ICMP(type=3, code=4, nexthopmtu=1400), ICMP(type=3, code=1), ICMP(type=11), ICMP(type=12, ptr=20)],
    6: [ICMPv6PacketTooBig(mtu=1400), ICMPv6DestUnreach(code=0), ICMPv6TimeExceeded(), ICMPv6ParamProblem(ptr=6)],
}
LENGTHS: Final = [8, 20, 60]
"Bytes of the quoted packet behind its IP header; 8 are 28 in all with IPv4."


@dataclass(frozen=True, slots=True)
class Error:
    """An ICMP error: its head, and what it quotes. The quoted transport keeps the sum that it was sent with."""

    family: int
    kind: Any
    quoted: Any
    length: int
    source: str
    destination: str
    ttl: int = 64

    def packet(self, quoted: bytes | None = None, **head: Any) -> Any:
        raw = bytes(self.quoted) if quoted is None else quoted
        fields = {"src": self.source, "dst": self.destination} | head
        return ip(self.family, self.ttl, **fields) / self.kind / Raw(raw[: HEADER[self.family] + self.length])

    def rewritten(self, offset: int, address: str, port: int) -> bytes:
        """The quote with another address and port, at its source (offset 0) or destination (1): no other byte."""
        names = ("src", "dst")
        head = (IP if self.family == 4 else IPv6)(bytes(self.quoted))
        setattr(head, names[offset], address)
        if self.family == 4:
            del head.chksum
        raw = bytearray(bytes(head))
        place = HEADER[self.family] + 2 * offset
        raw[place : place + 2] = port.to_bytes(2, "big")
        return bytes(raw)


def reply_quote(family: int, protocol: int, port: int = CLIENT_PORT) -> Any:
    """A packet that went from the VIP to the client."""
    ports = {"sport": PORT, "dport": port}
    head = ip(family, src=VIP[family], dst=CLIENT[family])
    return head / (tcp("PA", **ports) if protocol == TCP_NUMBER else udp(**ports)) / Raw(bytes(range(100)))


def to_vip(family: int, protocol: int, kind: Any, length: int = 60, ttl: int = 64) -> Error:
    return Error(family, kind, reply_quote(family, protocol), length, ROUTER[family], VIP[family], ttl)


def to_client(family: int, protocol: int, kind: Any, length: int = 60, source: str = "", ttl: int = 64) -> Error:
    """About a packet that NAT had sent on to the server."""
    ports = {"sport": CLIENT_PORT, "dport": SERVER_PORT}
    head = ip(family, src=CLIENT[family], dst=server(family, 1))
    quoted = head / (tcp("PA", **ports) if protocol == TCP_NUMBER else udp(**ports)) / Raw(bytes(range(100)))
    return Error(family, kind, quoted, length, source or server(family, 1), CLIENT[family], ttl)


def connect(director: Director, family: int, protocol: int, method: Method, where: str = "") -> int:
    service = director.service(VIP[family], PORT, protocol)
    port = SERVER_PORT if method == Method.NAT else 0
    source = {4: "172.16.0.1", 6: "100::1"}[family]
    only = director.server(service, where or server(family, 1), method, port=port, source=source)
    director.serve(service, [only])
    director.run(framed(request(family, protocol), director.wires.out))
    return only


def came(result: Result, action: int, outcome: str) -> bool:
    assert (result.action, result.outcomes) == (action, {outcome: 1})
    return True


def passed(director: Director, frame: bytes, outcome: str, wire: Wire | None = None) -> None:
    result = director.run(frame, wire)
    assert (result.action, result.frame, result.outcomes) == (XDP_PASS, frame, {outcome: 1})


@each_family
@each_protocol
@pytest.mark.parametrize("kind", range(4))
@pytest.mark.parametrize("length", LENGTHS)
def test_under_dr_the_server_gets_the_error_as_it_came(
    director: Director, family: int, protocol: int, kind: int, length: int
) -> None:
    connect(director, family, protocol, Method.DR)
    packet = to_vip(family, protocol, KINDS[family][kind], length).packet()
    result = director.run(framed(packet, director.wires.out))
    came(result, XDP_REDIRECT, "FORWARD_ICMP_ERROR")
    assert result.frame == sent(packet, director.wires.inner, server_mac(1))


@each_family
@each_protocol
@pytest.mark.parametrize("kind", range(4))
@pytest.mark.parametrize("length", LENGTHS)
def test_under_nat_the_server_gets_the_error_in_its_own_terms(
    director: Director, family: int, protocol: int, kind: int, length: int
) -> None:
    connect(director, family, protocol, Method.NAT)
    error = to_vip(family, protocol, KINDS[family][kind], length)
    result = director.run(framed(error.packet(), director.wires.out))
    came(result, XDP_REDIRECT, "FORWARD_ICMP_ERROR")
    quoted = error.rewritten(0, server(family, 1), SERVER_PORT)
    expected = altered(error.packet(quoted, dst=server(family, 1)), 1)
    assert result.frame == sent(expected, director.wires.inner, server_mac(1))


@each_family
@each_protocol
@pytest.mark.parametrize("kind", range(4))
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("source", ["server", "router"])
def test_under_nat_the_client_gets_the_error_in_its_own_terms(
    director: Director, family: int, protocol: int, kind: int, length: int, source: str
) -> None:
    connect(director, family, protocol, Method.NAT)
    error = to_client(family, protocol, KINDS[family][kind], length, {"server": "", "router": ROUTER[family]}[source])
    result = director.run(framed(error.packet(), director.wires.inner), director.wires.inner)
    came(result, XDP_REDIRECT, "FORWARD_ICMP_ERROR")
    quoted = error.rewritten(1, VIP[family], PORT)
    expected = altered(error.packet(quoted, src=VIP[family]), 1)
    assert result.frame == sent(expected, director.wires.out, CLIENT_MAC)


@each_family
@each_protocol
@pytest.mark.parametrize("outside", FAMILIES)
@pytest.mark.parametrize("length", LENGTHS)
def test_under_tun_the_error_takes_the_tunnel(
    director: Director, family: int, protocol: int, outside: int, length: int
) -> None:
    service = director.service(VIP[family], PORT, protocol)
    source = {4: "172.16.0.0", 6: "100::"}[outside]
    only = director.server(service, FAR_SERVER[outside], Method.TUN, source=source, bits=16)
    director.serve(service, [only])
    data = director.run(framed(request(family, protocol), director.wires.out)).frame
    packet = to_vip(family, protocol, KINDS[family][0], length).packet()
    result = director.run(framed(packet, director.wires.out))
    came(result, XDP_REDIRECT, "FORWARD_ICMP_ERROR")
    assert result.frame[14 + HEADER[outside] :] == bytes(altered(packet, 1))
    assert result.frame[:6].hex(":") == GATEWAY_MAC
    # From the source of its connection's packets, so that it takes the same path.
    head = IP if outside == 4 else IPv6
    assert (head(result.frame[14:]).src, head(result.frame[14:]).dst) == (head(data[14:]).src, FAR_SERVER[outside])


@each_family
@each_protocol
def test_for_a_local_server_the_kernel_gets_the_error(director: Director, family: int, protocol: int) -> None:
    connect(director, family, protocol, Method.LOCAL)
    passed(director, framed(to_vip(family, protocol, KINDS[family][0]).packet(), director.wires.out), "PASS_ICMP")


@each_family
@pytest.mark.parametrize("ttl", [0, 1])
def test_an_error_at_the_end_of_its_ttl_makes_no_other(director: Director, family: int, ttl: int) -> None:
    connect(director, family, TCP_NUMBER, Method.NAT)
    there = to_vip(family, TCP_NUMBER, KINDS[family][0], ttl=ttl).packet()
    came(director.run(framed(there, director.wires.out)), XDP_DROP, "DROP_TTL")
    back = to_client(family, TCP_NUMBER, KINDS[family][0], ttl=ttl).packet()
    came(director.run(framed(back, director.wires.inner), director.wires.inner), XDP_DROP, "DROP_TTL")


@each_family
@pytest.mark.parametrize("method", [Method.DR, Method.TUN])
def test_an_error_too_large_for_the_link_makes_no_other(director: Director, family: int, method: Method) -> None:
    connect(director, family, TCP_NUMBER, method, NARROW_LINK[family])
    error = to_vip(family, TCP_NUMBER, KINDS[family][0], 1500)
    packet = error.packet(bytes(error.quoted) + bytes(1350))
    came(director.run(framed(packet, director.wires.out)), XDP_DROP, "DROP_TOO_BIG")


@each_family
def test_under_nat_an_error_too_large_for_the_link_is_the_kernels(director: Director, family: int) -> None:
    connect(director, family, TCP_NUMBER, Method.NAT, NARROW_LINK[family])
    error = to_vip(family, TCP_NUMBER, KINDS[family][0], 1500)
    packet = error.packet(bytes(error.quoted) + bytes(1350))
    came(director.run(framed(packet, director.wires.out)), XDP_PASS, "ROUTE_ICMP_ERROR")


@each_family
def test_the_kernel_routes_an_error_that_xdp_cannot_send(director: Director, family: int) -> None:
    connect(director, family, TCP_NUMBER, Method.NAT, SILENT_SERVER[family])
    error = to_vip(family, TCP_NUMBER, KINDS[family][0])
    result = director.run(framed(error.packet(), director.wires.out))
    came(result, XDP_PASS, "ROUTE_ICMP_ERROR")
    quoted = error.rewritten(0, SILENT_SERVER[family], SERVER_PORT)
    assert result.frame == framed(error.packet(quoted, dst=SILENT_SERVER[family]), director.wires.out)


@each_family
@each_protocol
def test_an_error_for_a_server_without_a_route_is_dropped_and_not_counted_as_sent(
    director: Director, family: int, protocol: int
) -> None:
    only = connect(director, family, protocol, Method.NAT, LOST_SERVER[family])
    packet = to_vip(family, protocol, KINDS[family][0]).packet()
    came(director.run(framed(packet, director.wires.out)), XDP_DROP, "DROP_NO_ROUTE")
    assert director.traffic(only) == Traffic(connections=1)


@each_family
@each_protocol
def test_a_connection_that_is_over_is_nobodys(director: Director, family: int, protocol: int) -> None:
    """Also before the sweeper comes by."""
    connect(director, family, protocol, Method.NAT)
    director.set_life(director.connection(), expires=now() - 1)
    there = framed(to_vip(family, protocol, KINDS[family][0]).packet(), director.wires.out)
    passed(director, there, "PASS_ICMP")
    back = framed(to_client(family, protocol, KINDS[family][0]).packet(), director.wires.inner)
    passed(director, back, "PASS_NOT_OURS", director.wires.inner)


@each_family
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=["tcp", "udp"])
def test_errors_about_strangers_pass(director: Director, family: int, protocol: int) -> None:
    connect(director, family, protocol, Method.NAT)
    kind = KINDS[family][0]
    unknown = Error(family, kind, reply_quote(family, protocol, 7), 60, ROUTER[family], VIP[family])
    passed(director, framed(unknown.packet(), director.wires.out), "PASS_ICMP")
    elsewhere = altered(to_vip(family, protocol, kind).packet(), dst=ROUTER[family])
    passed(director, framed(elsewhere, director.wires.out), "PASS_NOT_OURS")
    # About ours, but to somebody whose packet it was not.
    misled = altered(to_vip(family, protocol, kind).packet(), dst=server(family, 1))
    passed(director, framed(misled, director.wires.out), "PASS_ICMP")
    misled = altered(to_client(family, protocol, kind).packet(), dst=VIP[family])
    passed(director, framed(misled, director.wires.out), "PASS_ICMP")


@each_family
def test_an_error_for_a_number_that_is_another_services_now_passes(director: Director, family: int) -> None:
    only = connect(director, family, TCP_NUMBER, Method.NAT)
    other = director.service(VIP[family], PORT + 1, TCP_NUMBER)
    director.change_server(only, service=other, status=ServerStatus.PRESENT)
    passed(director, framed(to_vip(family, TCP_NUMBER, KINDS[family][0]).packet(), director.wires.out), "PASS_ICMP")


@pytest.mark.parametrize(
    "packet",
    [
        ip(4) / ICMP(type=8),
        ip(4) / ICMP(type=5) / reply_quote(4, TCP_NUMBER),
        ip(4) / ICMP(type=4) / reply_quote(4, TCP_NUMBER),
        ip(6) / ICMPv6EchoRequest(),
        ip(4, flags="MF") / ICMP(type=3, code=4) / reply_quote(4, TCP_NUMBER),
        ip(4, frag=1, proto=1) / Raw(bytes(64)),
    ],
    ids=["ping", "redirect", "quench", "ping6", "first-fragment", "later-fragment"],
)
def test_other_icmp_is_the_kernels(director: Director, packet: Any) -> None:
    connect(director, 4 if IP in packet else 6, TCP_NUMBER, Method.DR)
    passed(director, framed(packet, director.wires.out), "PASS_ICMP")


def hostile4() -> dict[str, bytes]:
    quote = reply_quote(4, TCP_NUMBER)
    right = bytearray(bytes(quote))
    return {
        "empty": b"",
        "version": bytes([0x65]) + bytes(right[1:]),
        "short-header": bytes([0x44]) + bytes(right[1:]),
        "long-header": bytes([0x4F]) + bytes(right[1:32]),
        "fragment": bytes(
            altered(quote).__class__(bytes(IP(src=VIP[4], dst=CLIENT[4], frag=1, proto=6) / Raw(right[20:])))
        ),
        "other-protocol": bytes(IP(src=VIP[4], dst=CLIENT[4], proto=132) / Raw(right[20:])),
        "nested": bytes(ip(4, src=VIP[4], dst=CLIENT[4]) / ICMP(type=3) / quote),
    }


def hostile6() -> dict[str, bytes]:
    right = bytes(reply_quote(6, TCP_NUMBER))
    return {
        "empty": b"",
        "version": bytes([0x45]) + right[1:],
        "other-protocol": right[:6] + bytes([132]) + right[7:],
        "extension": bytes(IPv6(src=VIP[6], dst=CLIENT[6]) / IPv6ExtHdrDestOpt() / TCP(sport=PORT, dport=CLIENT_PORT)),
    }


@pytest.mark.parametrize(("family", "name"), [(4, name) for name in hostile4()] + [(6, name) for name in hostile6()])
def test_hostile_quotes_are_not_believed(director: Director, family: int, name: str) -> None:
    connect(director, family, TCP_NUMBER, Method.NAT)
    quote = (hostile4() if family == 4 else hostile6())[name]
    packet = ip(family, src=ROUTER[family]) / KINDS[family][0] / Raw(quote)
    passed(director, framed(packet, director.wires.out), "PASS_ICMP")


@each_family
@pytest.mark.parametrize("method", [Method.DR, Method.NAT, Method.TUN])
def test_a_quote_cut_at_any_byte_is_used_only_with_both_ports_and_more(
    director: Director, family: int, method: Method
) -> None:
    """Also where Ethernet's padding would continue it."""
    connect(director, family, TCP_NUMBER, method)
    quote = bytes(reply_quote(family, TCP_NUMBER))
    for length in range(HEADER[family] + 30):
        packet = ip(family, src=ROUTER[family]) / KINDS[family][0] / Raw(quote[:length])
        for padding in (b"", quote[length:]):
            frame = framed(packet, director.wires.out) + padding
            if length < HEADER[family] + 8:
                passed(director, frame, "PASS_ICMP")
            else:
                result = director.run(frame)
                came(result, XDP_REDIRECT, "FORWARD_ICMP_ERROR")
                assert result.frame.endswith(padding)


def test_options_in_a_quote_move_its_ports(director: Director) -> None:
    connect(director, 4, TCP_NUMBER, Method.NAT)
    ports = {"sport": PORT, "dport": CLIENT_PORT}
    options = [IPOption_NOP()] * 8
    quoted = ip(4, src=VIP[4], dst=CLIENT[4], options=options) / tcp("PA", **ports)
    packet = ip(4, src=ROUTER[4]) / KINDS[4][0] / Raw(bytes(quoted))
    result = director.run(framed(packet, director.wires.out))
    came(result, XDP_REDIRECT, "FORWARD_ICMP_ERROR")
    ports["sport"] = SERVER_PORT
    was = ip(4, src=server(4, 1), dst=CLIENT[4], options=options) / tcp("PA", chksum=quoted_sum(quoted), **ports)
    expected = ip(4, 63, src=ROUTER[4], dst=server(4, 1)) / KINDS[4][0] / Raw(bytes(was))
    assert result.frame == sent(expected, director.wires.inner, server_mac(1))


def quoted_sum(packet: Any) -> int:
    total: int = IP(bytes(packet))[TCP].chksum
    return total


def test_a_wrong_sum_of_an_error_stays_wrong(director: Director) -> None:
    connect(director, 4, TCP_NUMBER, Method.NAT)
    right = framed(to_vip(4, TCP_NUMBER, KINDS[4][0]).packet(), director.wires.out)
    wrong = bytearray(right)
    wrong[36] ^= 0x55
    assert director.run(bytes(wrong)).frame[36] != director.run(right).frame[36]
