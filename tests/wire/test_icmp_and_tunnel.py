"""ICMP and tunnels against scapy's packets and the layouts of the RFCs."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers import inet, inet6
from scapy.packet import Raw

from vipd.errors import WireError
from vipd.wire import icmp, ip, tunnel
from vipd.wire.icmp import Icmp
from vipd.wire.transport import SYN, Tcp

A4, B4 = IPv4Address("192.0.2.1"), IPv4Address("198.51.100.2")
A6, B6 = IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2")
QUOTED4 = ip.IPv4(B4, A4, ip.TCP, Tcp(80, 1234, SYN).encode(B4, A4))
QUOTED6 = ip.IPv6(B6, A6, ip.TCP, Tcp(80, 1234, SYN).encode(B6, A6))

INNER4 = bytes.fromhex("45b90028123440003d06c49dc6336407cb00710a9c4000500000000100000000500220008d0b0000")
INNER6 = bytes.fromhex(
    "6b800000000b113d20010db800010000000000000000000720010db80002000000000000000000109c400035000b4374616263"
)
ENDS4 = IPv4Address("10.0.0.254"), IPv4Address("10.0.0.2")
ENDS6 = IPv6Address("2001:db8:ff::1"), IPv6Address("2001:db8:ff::2")


def test_messages_are_written_as_scapy_writes_them_and_read_back() -> None:
    echo: Any = inet.IP(src=str(A4), dst=str(B4)) / inet.ICMP(id=7, seq=9) / Raw(b"odd")
    ours = Icmp(icmp.ECHO_REQUEST, 0, 7 << 16 | 9, b"odd")
    assert ours.encode(A4, B4) == bytes(echo)[20:]
    assert Icmp.decode(bytes(echo)[20:], A4, B4) == ours
    large: Any = inet6.IPv6(src=str(A6), dst=str(B6)) / inet6.ICMPv6PacketTooBig(mtu=1280) / Raw(QUOTED6.encode())
    ours = Icmp(icmp.V6_TOO_BIG, 0, 1280, QUOTED6.encode())
    assert ours.encode(A6, B6) == bytes(large)[40:]
    assert Icmp.decode(bytes(large)[40:], A6, B6) == ours


def test_an_error_brings_back_the_packet_it_is_about_as_far_as_it_goes() -> None:
    cut = Icmp(icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED, 1400, QUOTED4.encode()[:28])
    found = cut.quoted(4)
    assert (found.source, found.destination, found.protocol) == (B4, A4, ip.TCP)
    assert found.payload == QUOTED4.payload[:8]
    assert Icmp(icmp.V6_UNREACHABLE, 4, 0, QUOTED6.encode()).quoted(6) == QUOTED6


def test_only_errors_of_the_right_family_have_a_quote() -> None:
    for message, version in (
        (Icmp(icmp.ECHO_REQUEST, 0, 0, QUOTED4.encode()), 4),
        (Icmp(icmp.REDIRECT, 0, 0, QUOTED4.encode()), 4),
        (Icmp(icmp.V6_ECHO_REQUEST, 0, 0, QUOTED6.encode()), 6),
        (Icmp(icmp.UNREACHABLE, 0, 0, QUOTED6.encode()), 4),
        (Icmp(icmp.UNREACHABLE, 0, 0, QUOTED4.encode()[:19]), 4),
    ):
        with pytest.raises(WireError):
            message.quoted(version)


@given(st.binary(max_size=60))
def test_random_bytes_are_refused_or_come_back_as_they_were(data: bytes) -> None:
    for source, destination in ((A4, B4), (A6, B6)):
        try:
            found = Icmp.decode(data, source, destination)
        except WireError:
            assert len(data) < 8
            continue
        assert found.encode(source, destination) == data


# Each layout was made by hand from the RFC that is named.
@pytest.mark.parametrize(
    ("inner", "ends", "header"),
    [
        (INNER4, ENDS4, "45b9003c12344000400412d20a0000fe0a000002"),  # RFC 2003, DSCP and ECN by RFC 6040
        (INNER4, ENDS6, "6b90000000280440" + ENDS6[0].packed.hex() + ENDS6[1].packed.hex()),  # RFC 2473
        (INNER6, ENDS6, "6b80000000332940" + ENDS6[0].packed.hex() + ENDS6[1].packed.hex()),  # RFC 2473
        (INNER6, ENDS4, "45b8004700004000402924d70a0000fe0a000002"),  # RFC 4213
    ],
    ids=["4in4", "4in6", "6in6", "6in4"],
)
def test_a_packet_in_a_packet_has_the_layout_of_the_rfcs(inner: bytes, ends: tuple[Any, Any], header: str) -> None:
    packet = ip.decode(inner)
    outer = tunnel.encapsulate(packet, *ends)
    assert outer.encode().hex() == header + inner.hex()
    assert len(outer.encode()) - len(inner) == tunnel.OVERHEAD[ends[0].version]
    assert tunnel.decapsulate(ip.decode(outer.encode())) == packet


def test_a_flow_label_is_for_ipv6_outside() -> None:
    assert tunnel.encapsulate(ip.decode(INNER4), *ENDS6, flow_label=0xABCDE).encode()[:4].hex() == "6b9abcde"


def test_what_may_be_fragmented_inside_may_be_outside() -> None:
    outer = tunnel.encapsulate(ip.IPv4(A4, B4, 17, b"abc", identification=77), *ENDS4)
    assert isinstance(outer, ip.IPv4)
    assert (outer.flags, outer.identification) == (0, 77)


def test_ends_of_two_families_are_no_tunnel() -> None:
    with pytest.raises(ValueError, match="two families"):
        tunnel.encapsulate(QUOTED4, ENDS4[0], ENDS6[1])


def test_only_a_whole_tunnel_packet_holds_another() -> None:
    part = ip.IPv4(A4, B4, ip.IP_IN_IP, INNER4, flags=ip.MORE_FRAGMENTS)
    for outer in (QUOTED4, part, ip.IPv4(A4, B4, ip.IP_IN_IP, INNER6), ip.IPv4(A4, B4, ip.IP_IN_IP, INNER4[:-1])):
        with pytest.raises(WireError):
            tunnel.decapsulate(outer)
