"""IP in IP in all four combinations of families: both headers whole, MSS, and what is too large."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Final

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6
from scapy.packet import Raw

from tests.support.bpf import XDP_DROP, XDP_REDIRECT, XDP_TX, Result
from tests.support.hashes import flow_hash
from tests.support.marks import each_pair
from tests.support.packets import (
    FAMILIES,
    HEADER,
    PORT,
    PROTOCOLS,
    altered,
    framed,
    ip,
    later,
    length,
    request,
    segment,
    sent,
    tcp,
    udp,
)
from tests.support.tables import TCP as TCP_NUMBER
from tests.support.tables import UDP, Director, Traffic
from tests.support.wires import CLIENT, CLIENT_MAC, FAR_SERVER, GATEWAY_MAC, NARROW_SERVER, VIP
from vipd.dataplane._abi import Method, ServiceFlag

SOURCE: Final = {4: "172.16.0.0", 6: "100::"}
FIXED: Final = {4: "172.16.9.9", 6: "100::9"}
# An inner and an outer packet as published (RFC 2003, 2473, 4213), TTL of the inner one already taken:
# the four ways to put the one into the other.
PUBLISHED: Final = {
    (4, 4): "45b9003c00004000400425060a0000fe0a00000245b90028123440003d06c49dc6336407cb00710a9c400050"
    "0000000100000000500220008d0b0000",
    (4, 6): "600000000028044020010db800ff0000000000000000000120010db800ff00000000000000000002"
    "45b90028123440003d06c49dc6336407cb00710a9c4000500000000100000000500220008d0b0000",
    (6, 6): "600000000033294020010db800ff0000000000000000000120010db800ff00000000000000000002"
    "6b800000000b113d20010db800010000000000000000000720010db80002000000000000000000109c400035000b4374616263",
    (6, 4): "45000047000000004029658f0a0000fe0a0000026b800000000b113d20010db8000100000000000000000007"
    "20010db80002000000000000000000109c400035000b4374616263",
}


def tunnel(
    director: Director, inside: int, outside: int, protocol: int = UDP, *, flags: int = 0, bits: int = 0,
    where: dict[int, str] = FAR_SERVER,
) -> int:  # fmt: skip
    service = director.service(VIP[inside], PORT, protocol, flags=flags)
    source = (SOURCE if bits else FIXED)[outside]
    only = director.server(service, where[outside], Method.TUN, source=source, bits=bits)
    director.serve(service, [only])
    return only


def outer(packet: Any, outside: int, label: int, source: str = "") -> Any:
    """What RFC 2003, 2473 and 4213 say of the outer header, with RFC 6040's ECN and vipd's TTL of 64."""
    addresses: dict[str, Any] = {"src": source or FIXED[outside], "dst": FAR_SERVER[outside]}
    traffic_class = packet.tos if IP in packet else packet.tc
    if outside == 6:
        return IPv6(**addresses, tc=traffic_class, fl=label, nh=4 if IP in packet else 41, hlim=64) / packet
    identity, flags = (packet.id, packet.flags & 2) if IP in packet else (0, 2)
    return (
        IP(**addresses, tos=traffic_class, id=identity, flags=flags, ttl=64, proto=4 if IP in packet else 41) / packet
    )


def label_of(frame: bytes) -> int:
    label: int = IPv6(frame[14:]).fl if frame[14] >> 4 == 6 else 0
    return label


@each_pair
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=["tcp", "udp"])
def test_the_packet_travels_whole_behind_an_outer_header(
    director: Director, inside: int, outside: int, protocol: int
) -> None:
    only = tunnel(director, inside, outside, protocol)
    total = 0
    for packet in (request(inside, protocol), later(inside, protocol)):
        result = director.run(framed(packet, director.wires.out))
        assert (result.action, result.outcomes) == (XDP_REDIRECT, {"FORWARD_TUN": 1})
        expected = outer(altered(packet, 1), outside, label_of(result.frame))
        assert result.frame == sent(expected, director.wires.inner, GATEWAY_MAC)
        total += length(packet)
    assert director.traffic(only) == Traffic(1, 2, total)


@each_pair
def test_tunnelled_packets_are_as_published(director: Director, inside: int, outside: int) -> None:
    published = bytes.fromhex(PUBLISHED[inside, outside])
    inner = published[HEADER[outside] :]
    packet = IP(inner) if inside == 4 else IPv6(inner)
    service = director.service(packet.dst, packet.dport, packet.proto if inside == 4 else packet.nh)
    address = (IP if outside == 4 else IPv6)(published)
    far = director.server(service, address.dst, Method.TUN, source=address.src)
    director.serve(service, [far])
    before = altered(packet, -1)
    if inside == 4:
        del before.chksum
    result = director.run(framed(before, director.wires.out))
    assert result.frame[14 + HEADER[outside] :] == inner
    head = (IP if outside == 4 else IPv6)(result.frame[14:])
    assert (head.src, head.dst) == (address.src, address.dst)
    assert (head.proto if outside == 4 else head.nh) == (address.proto if outside == 4 else address.nh)
    assert (head.len if outside == 4 else head.plen) == (address.len if outside == 4 else address.plen)


@each_pair
@pytest.mark.parametrize("mark", [0, 1, 2, 3, 0xB8, 0xFF])
def test_dscp_and_ecn_are_copied_to_the_outer_header(director: Director, inside: int, outside: int, mark: int) -> None:
    tunnel(director, inside, outside)
    packet = ip(inside, **{"tos" if inside == 4 else "tc": mark}) / udp()
    result = director.run(framed(packet, director.wires.out))
    expected = outer(altered(packet, 1), outside, label_of(result.frame))
    assert result.frame == sent(expected, director.wires.inner, GATEWAY_MAC)


@pytest.mark.parametrize("flags", ["", "DF", "MF", "DF+MF"])
@pytest.mark.parametrize("outside", FAMILIES)
def test_identification_and_df_are_copied_to_an_ipv4_outer_header(director: Director, outside: int, flags: str) -> None:
    tunnel(director, 4, outside)
    """And a fragment travels in a packet that is none."""
    packet = ip(4, id=0xBEEF, flags=flags) / udp(len=8 if "MF" not in flags else 2000)
    result = director.run(framed(packet, director.wires.out))
    expected = outer(altered(packet, 1), outside, label_of(result.frame))
    assert result.frame == sent(expected, director.wires.inner, GATEWAY_MAC)


def sources(director: Director, inside: int, outside: int, count: int) -> list[tuple[str, int]]:
    """Outer source and flow label of so many flows."""
    found = []
    for port in range(count):
        frame = director.run(framed(request(inside, UDP, sport=1024 + port), director.wires.out)).frame
        head = (IP if outside == 4 else IPv6)(frame[14:])
        found.append((head.src, label_of(frame)))
    return found


@each_pair
def test_the_outer_source_spreads_flows_and_keeps_each_flow_together(
    director: Director, inside: int, outside: int
) -> None:
    tunnel(director, inside, outside, bits=16 if outside == 4 else 32)
    first = sources(director, inside, outside, 100)
    assert first == sources(director, inside, outside, 100)
    assert len({source for source, _ in first}) > 95
    prefix = "172.16." if outside == 4 else "100::"
    assert all(source.startswith(prefix) for source, _ in first)


@each_pair
def test_source_and_flow_label_are_bits_of_the_flows_hash(director: Director, inside: int, outside: int) -> None:
    tunnel(director, inside, outside, bits=12)
    for n, (source, label) in enumerate(sources(director, inside, outside, 20)):
        value = flow_hash(CLIENT[inside], VIP[inside], 1024 + n, PORT, UDP)
        assert int(ip_address(source)) == int(ip_address(SOURCE[outside])) + value % (1 << 12)
        assert label == (value >> 12 if outside == 6 else 0)


@each_pair
def test_a_fixed_source_stays_and_the_flow_label_spreads(director: Director, inside: int, outside: int) -> None:
    tunnel(director, inside, outside)
    found = sources(director, inside, outside, 100)
    assert {source for source, _ in found} == {FIXED[outside]}
    assert len({label for _, label in found}) > 95 or outside == 4


@each_pair
@pytest.mark.parametrize("bits", [1, 4])
def test_only_the_bits_asked_for_spread(director: Director, inside: int, outside: int, bits: int) -> None:
    tunnel(director, inside, outside, bits=bits)
    lowest = {
        source.rsplit("." if outside == 4 else ":", 1)[1] or "0"
        for source, _ in sources(director, inside, outside, 100)
    }
    assert {int(each, 16 if outside == 6 else 10) for each in lowest} == set(range(1 << bits))


@each_pair
def test_what_ethernet_added_does_not_enter_the_tunnel(director: Director, inside: int, outside: int) -> None:
    tunnel(director, inside, outside)
    packet = ip(inside) / udp() / Raw(b"x")
    result = director.run(framed(packet, director.wires.out) + b"trailer")
    expected = outer(altered(packet, 1), outside, label_of(result.frame))
    assert result.frame == sent(expected, director.wires.inner, GATEWAY_MAC) + b"trailer"


OPTIONS: Final[dict[str, list[Any]]] = {
    "alone": [("MSS", 1460)],
    "first": [("MSS", 1460), ("SAckOK", b""), ("WScale", 7)],
    "last": [("SAckOK", b""), ("Timestamp", (1, 2)), ("WScale", 7), ("MSS", 1460)],
    "odd": [("NOP", None), ("MSS", 1460)],
    "after-odd": [("WScale", 7), ("MSS", 1460)],
    "after-many": [("NOP", None)] * 33 + [("MSS", 1460)],
    "at-the-end": [("NOP", None)] * 36 + [("MSS", 1460)],
}


def clamped(options: list[Any], limit: int) -> list[Any]:
    return [("MSS", limit) if name == "MSS" else (name, value) for name, value in options]


@each_pair
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("flags", ["S", "SEC"])
def test_the_mss_of_a_syn_is_lowered_to_what_fits(
    director: Director, inside: int, outside: int, name: str, flags: str
) -> None:
    tunnel(director, inside, outside, TCP_NUMBER, flags=ServiceFlag.CLAMP_MSS)
    packet = segment(inside, flags, options=OPTIONS[name])
    result = director.run(framed(packet, director.wires.out))
    fits = 1500 - HEADER[outside] - HEADER[inside] - 20
    expected = altered(packet, 1)
    expected[TCP].options = clamped(OPTIONS[name], fits)
    assert result.events["MSS_CLAMPED"] == 1
    assert result.frame == sent(outer(expected, outside, label_of(result.frame)), director.wires.inner, GATEWAY_MAC)


def untouched(director: Director, packet: Any, outside: int) -> None:
    result = director.run(framed(packet, director.wires.out))
    assert "MSS_CLAMPED" not in result.events
    assert result.outcomes == {"FORWARD_TUN": 1}
    assert result.frame[14 + HEADER[outside] :] == bytes(altered(packet, 1))


@each_pair
@pytest.mark.parametrize(
    "options",
    [
        [],
        [("SAckOK", b""), ("WScale", 7)],
        [("MSS", 1380)],
        [("EOL", None), ("NOP", None), ("NOP", None), ("NOP", None), ("MSS", 1460)],
        [("NOP", None)] * 40,
        [(254, b"\x02\x04\x05\xb4")],
    ],
    ids=["no-options", "no-mss", "small-enough", "after-the-end", "only-nops", "inside-another"],
)
def test_a_syn_without_a_large_mss_is_left_alone(
    director: Director, inside: int, outside: int, options: list[Any]
) -> None:
    tunnel(director, inside, outside, TCP_NUMBER, flags=ServiceFlag.CLAMP_MSS)
    untouched(director, segment(inside, options=options), outside)


@each_pair
@pytest.mark.parametrize(
    "raw", [b"\x02\x04\x05", b"\x05\x00\x02\x04\x05\xb4\x00\x00", b"\x03\x01\x02\x04\x05\xb4\x00\x00"]
)
def test_broken_options_are_left_alone(director: Director, inside: int, outside: int, raw: bytes) -> None:
    tunnel(director, inside, outside, TCP_NUMBER, flags=ServiceFlag.CLAMP_MSS)
    raw += bytes(-len(raw) % 4)
    packet = ip(inside) / tcp("S", dataofs=5 + len(raw) // 4) / Raw(raw)
    untouched(director, packet, outside)


@each_pair
def test_clamping_can_be_switched_off_and_concerns_syns_only(director: Director, inside: int, outside: int) -> None:
    tunnel(director, inside, outside, TCP_NUMBER)
    untouched(director, segment(inside, options=[("MSS", 1460)]), outside)
    director.clear()
    tunnel(director, inside, outside, TCP_NUMBER, flags=ServiceFlag.CLAMP_MSS)
    director.run(framed(segment(inside), director.wires.out))
    untouched(director, segment(inside, "A", options=[("MSS", 1460)]), outside)


def quoted(packet: Any) -> bytes:
    """RFC 1812 4.3.2.3, RFC 4443 2.4 (c): an error of at most 576 and 1,280 bytes; we quote whole words."""
    raw = bytes(packet)
    raw = raw[: len(raw) & ~3]
    return raw[: 576 - 28] if raw[0] >> 4 == 4 else raw[: 1280 - 48]


def error(family: int, packet: Any, mtu: int) -> Any:
    addresses: dict[str, Any] = {"src": VIP[family], "dst": CLIENT[family]}
    kind: Any
    if family == 4:
        kind = ICMP(type=3, code=4, nexthopmtu=mtu) if mtu else ICMP(type=11, code=0)
        return IP(**addresses, ttl=64, id=0, flags="DF", tos=0xC0) / kind / Raw(quoted(packet))
    kind = ICMPv6PacketTooBig(mtu=mtu) if mtu else ICMPv6TimeExceeded(code=0)
    return IPv6(**addresses, hlim=64) / kind / Raw(quoted(packet))


def answered(director: Director, packet: Any, family: int, mtu: int, outcome: str) -> Result:
    result = director.run(framed(packet, director.wires.out))
    assert (result.action, result.outcomes) == (XDP_TX, {outcome: 1})
    assert result.frame == sent(error(family, packet, mtu), director.wires.out, CLIENT_MAC)
    return result


@each_pair
@pytest.mark.parametrize("flags", ["", "DF"])
@pytest.mark.parametrize(("where", "mtu"), [(FAR_SERVER, 1500), (NARROW_SERVER, 1400)], ids=["wide", "narrow"])
def test_a_packet_too_large_for_the_tunnel_is_answered_with_what_fits(
    director: Director, inside: int, outside: int, flags: str, where: dict[int, str], mtu: int
) -> None:
    only = tunnel(director, inside, outside, where=where)
    fits = mtu - HEADER[outside]
    head: dict[str, Any] = {"flags": flags} if inside == 4 else {}
    for size in (fits + 1, 2000):
        packet = ip(inside, **head) / udp() / Raw((bytes(range(256)) * 8)[: size - HEADER[inside] - 8])
        answered(director, packet, inside, fits, "REPLY_TOO_BIG")
    exact = ip(inside, **head) / udp() / Raw(bytes(fits - HEADER[inside] - 8))
    assert director.run(framed(exact, director.wires.out)).outcomes == {"FORWARD_TUN": 1}
    assert director.traffic(only) == Traffic(1, 1, fits)


@each_pair
@pytest.mark.parametrize("ttl", [0, 1])
def test_a_packet_at_the_end_of_its_ttl_is_answered(director: Director, inside: int, outside: int, ttl: int) -> None:
    tunnel(director, inside, outside)
    answered(director, ip(inside, ttl) / udp() / Raw(b"12345"), inside, 0, "REPLY_TIME_EXCEEDED")


def test_the_answer_to_a_first_fragment_is_no_fragment(director: Director) -> None:
    tunnel(director, 4, 4)
    packet = ip(4, flags="MF", id=7) / udp(len=4000) / Raw(bytes(1464))
    result = answered(director, packet, 4, 1480, "REPLY_TOO_BIG")
    assert IP(result.frame[14:]).frag == 0
    later_one = ip(4, flags="MF", frag=184, id=7, proto=17) / Raw(bytes(1480))
    result = director.run(framed(later_one, director.wires.out))
    assert (result.action, result.outcomes) == (XDP_DROP, {"DROP_TOO_BIG": 1})
