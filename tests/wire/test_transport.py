"""TCP and UDP against scapy's segments and the checksum examples that others published."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers import inet
from scapy.layers.inet6 import IPv6 as ScapyIPv6
from scapy.packet import Raw

from vipd.errors import WireError
from vipd.wire import ip
from vipd.wire.transport import ACK, PSH, SYN, Tcp, Udp

PAIRS = [
    (ip_address("192.0.2.1"), ip_address("198.51.100.2")),
    (ip_address("2001:db8::1"), ip_address("2001:db8::2")),
]
OPTIONS = b"\2\4\x05\xb4\1\3\3\7"


def carried(source: Any, destination: Any, transport: Any) -> bytes:
    layer = inet.IP if source.version == 4 else ScapyIPv6
    packet = layer(bytes(layer(src=str(source), dst=str(destination)) / transport))
    return bytes(packet.payload)


@pytest.mark.parametrize(("source", "destination"), PAIRS)
def test_a_segment_is_written_as_scapy_writes_it_and_read_back(source: Any, destination: Any) -> None:
    theirs = inet.TCP(
        sport=1234,
        dport=80,
        flags="PA",
        seq=7,
        ack=9,
        window=512,
        urgptr=3,
        options=[("MSS", 1460), ("NOP", None), ("WScale", 7)],
    ) / Raw(b"odd")
    ours = Tcp(1234, 80, PSH | ACK, b"odd", 7, 9, 512, 3, OPTIONS)
    raw = carried(source, destination, theirs)
    assert ours.encode(source, destination) == raw
    assert Tcp.decode(raw, source, destination) == ours
    assert ours.mss == 1460


@pytest.mark.parametrize(("source", "destination"), PAIRS)
def test_a_datagram_is_written_as_scapy_writes_it_and_read_back(source: Any, destination: Any) -> None:
    raw = carried(source, destination, inet.UDP(sport=53, dport=5353) / Raw(b"odd"))
    assert Udp(53, 5353, b"odd").encode(source, destination) == raw
    assert Udp.decode(raw, source, destination) == Udp(53, 5353, b"odd")


def test_the_examples_of_others_have_right_checksums() -> None:
    # Packets of katran's NAT tests (facebookincubator/katran, katran/lib/testing) and their rewritten forms.
    for raw in (
        "450000280007000040061484c6336407cb00710a7a690050010203040000000050022000aadd0000",
        "45000028000700004006468dc63364070a0000027a691f90010203040000000050022000bda60000",
        "4500002b0007000040111476c6336407cb00710a7a6900350017ff256b617472616e207465737420706b74",
        "4500002b000700004011467fc63364070a0000027a691f90001711d46b617472616e207465737420706b74",
    ):
        packet = ip.IPv4.decode(bytes.fromhex(raw))
        kind = Tcp if packet.protocol == ip.TCP else Udp
        assert packet.checksum is None
        assert kind.decode(packet.payload, packet.source, packet.destination).checksum is None


def test_a_computed_sum_of_zero_is_sent_as_ones() -> None:
    # RFC 768. The payload is made so that the sum comes out as 0.
    packet = ip.IPv4.decode(bytes.fromhex("4500001e000000004011f6cbc0000201c000020200010002000affff7bd3"))
    datagram = Udp.decode(packet.payload, packet.source, packet.destination)
    assert datagram == Udp(1, 2, bytes.fromhex("7bd3"))
    assert datagram.encode(packet.source, packet.destination) == packet.payload


@pytest.mark.parametrize(("source", "destination"), PAIRS)
def test_no_checksum_and_a_wrong_one_stay_as_they_were(source: Any, destination: Any) -> None:
    for checksum in (0, 0x1234):
        raw = Udp(1, 2, b"abc", checksum).encode(source, destination)
        assert Udp.decode(raw, source, destination) == Udp(1, 2, b"abc", checksum)
    raw = Tcp(1, 2, SYN, checksum=0x1234).encode(source, destination)
    assert Tcp.decode(raw, source, destination).checksum == 0x1234


def test_a_first_fragment_keeps_the_whole_datagrams_length() -> None:
    source, destination = PAIRS[0]
    whole = Udp(1, 2, bytes(3000)).encode(source, destination)
    part = Udp.decode(whole[:1480], source, destination)
    assert part.length == 3008
    assert part.encode(source, destination) == whole[:1480]


@given(st.binary(max_size=80))
def test_random_bytes_are_refused_or_come_back_as_they_were(data: bytes) -> None:
    source, destination = IPv4Address(1), IPv4Address(2)
    for kind in (Tcp, Udp):
        try:
            found = kind.decode(data, source, destination)
        except WireError:
            continue
        assert found.encode(source, destination) == data


@pytest.mark.parametrize("length", range(28))
def test_every_truncation_of_a_tcp_header_is_refused(length: int) -> None:
    source, destination = IPv6Address(1), IPv6Address(2)
    with pytest.raises(WireError):
        Tcp.decode(Tcp(1, 2, SYN, options=OPTIONS).encode(source, destination)[:length], source, destination)


def test_lengths_below_the_header_are_refused() -> None:
    source, destination = PAIRS[0]
    with pytest.raises(WireError, match="UDP datagram of 7 bytes"):
        Udp.decode(bytes((0, 1, 0, 2, 0, 7, 0, 0)), source, destination)
    with pytest.raises(WireError, match="TCP header of 16 bytes"):
        Tcp.decode(bytes(12) + b"\x40\0" + bytes(6), source, destination)


def test_a_segment_without_the_option_tells_no_mss() -> None:
    assert Tcp(1, 2, SYN, options=b"\1\1\1\0").mss is None
    with pytest.raises(WireError):
        _ = Tcp(1, 2, SYN, options=b"\2\0\0\0").mss
