"""IP packets against scapy's, in both directions; hostile ones are refused and never read past."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, IPOption_NOP, IPOption_Router_Alert
from scapy.layers.inet6 import IPv6 as ScapyIPv6
from scapy.layers.inet6 import IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, RouterAlert
from scapy.packet import Raw

from vipd.errors import WireError
from vipd.wire import ip
from vipd.wire.ip import Extension, Fragmentation, IPv4, IPv6, fragment_header, options_header

A4, B4 = IPv4Address("192.0.2.1"), IPv4Address("198.51.100.2")
A6, B6 = IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2")

PAIRS: list[tuple[IPv4 | IPv6, Any]] = [
    (IPv4(A4, B4, 17, b"abc"), IP(src=str(A4), dst=str(B4), proto=17, id=0) / Raw(b"abc")),
    (
        IPv4(A4, B4, 6, b"", 3, 0xB9, 0x1234, ip.DONT_FRAGMENT, options=b"\x94\x04\0\0\1\1\0\0"),
        IP(
            src=str(A4),
            dst=str(B4),
            proto=6,
            ttl=3,
            tos=0xB9,
            id=0x1234,
            flags="DF",
            options=[IPOption_Router_Alert(), IPOption_NOP(), IPOption_NOP()],
        ),
    ),
    (
        IPv4(A4, B4, 17, b"x" * 8, identification=7, flags=ip.MORE_FRAGMENTS, offset=1480),
        IP(src=str(A4), dst=str(B4), proto=17, id=7, flags="MF", frag=185) / Raw(b"x" * 8),
    ),
    (IPv6(A6, B6, 59, b""), ScapyIPv6(src=str(A6), dst=str(B6), nh=59)),
    (
        IPv6(A6, B6, 17, b"abc", 9, 0xB8, 0xBEEF5),
        ScapyIPv6(src=str(A6), dst=str(B6), nh=17, hlim=9, tc=0xB8, fl=0xBEEF5) / Raw(b"abc"),
    ),
    (
        IPv6(
            A6,
            B6,
            17,
            b"abc",
            extensions=(
                options_header(ip.HOP_BY_HOP, b"\5\2\0\0"),
                options_header(ip.DESTINATION_OPTIONS),
                Extension(ip.ROUTING, bytes((2, 4, 0)) + bytes(4) + B6.packed),
                fragment_header(0xDEADBEEF, 1480, True),
            ),
        ),
        ScapyIPv6(src=str(A6), dst=str(B6))
        / IPv6ExtHdrHopByHop(options=[RouterAlert()])
        / IPv6ExtHdrDestOpt()
        / IPv6ExtHdrRouting(type=4, segleft=0, addresses=[str(B6)])
        / IPv6ExtHdrFragment(id=0xDEADBEEF, offset=185, m=1, nh=17)
        / Raw(b"abc"),
    ),
]
NAMES = ["4", "4-options", "4-fragment", "6", "6-fields", "6-extensions"]


@pytest.mark.parametrize(("packet", "theirs"), PAIRS, ids=NAMES)
def test_a_packet_is_written_as_scapy_writes_it_and_read_back(packet: IPv4 | IPv6, theirs: Any) -> None:
    assert packet.encode() == bytes(theirs)
    assert ip.decode(bytes(theirs)) == packet


@pytest.mark.parametrize(("packet", "theirs"), PAIRS, ids=NAMES)
def test_every_truncation_is_refused(packet: IPv4 | IPv6, theirs: Any) -> None:
    raw = bytes(theirs)
    for length in range(len(raw)):
        with pytest.raises(WireError):
            type(packet).decode(raw[:length])


def test_padding_behind_the_packet_is_not_its_payload() -> None:
    for packet, theirs in PAIRS:
        assert ip.decode(bytes(theirs) + b"padding") == packet


def test_a_quote_may_end_anywhere_behind_the_header() -> None:
    packet = IPv4(A4, B4, 6, bytes(range(20))).encode()
    assert IPv4.decode(packet[:28], whole=False).payload == bytes(range(8))
    longer = IPv6(A6, B6, 6, bytes(range(20))).encode()
    assert IPv6.decode(longer[:48], whole=False).payload == bytes(range(8))
    with pytest.raises(WireError):
        IPv4.decode(packet[:19], whole=False)


def test_a_wrong_checksum_stays_as_it_was() -> None:
    packet = bytearray(IPv4(A4, B4, 6, b"abc").encode())
    packet[10] ^= 1
    found = IPv4.decode(bytes(packet))
    assert found.checksum == int.from_bytes(packet[10:12], "big")
    assert found.encode() == packet


@given(st.binary(max_size=120))
def test_random_bytes_are_refused_or_come_back_as_they_were(data: bytes) -> None:
    try:
        found = ip.decode(data)
    except WireError:
        return
    assert data.startswith(found.encode())


@given(st.binary(max_size=100), st.sampled_from([0x45, 0x46, 0x4F]), st.integers(0, 120))
def test_random_ipv4_headers_are_refused_or_come_back(data: bytes, first: int, length: int) -> None:
    packet = bytes((first, 0)) + length.to_bytes(2, "big") + data
    try:
        found = IPv4.decode(packet)
    except WireError:
        return
    assert found.encode() == packet[:length]


@given(st.binary(max_size=100), st.integers(0, 70), st.sampled_from([*sorted(ip.EXTENSIONS), 6]))
def test_random_chains_of_headers_are_refused_or_come_back(data: bytes, length: int, following: int) -> None:
    packet = bytes((0x60, 0, 0, 0)) + length.to_bytes(2, "big") + bytes((following,)) + data
    try:
        found = IPv6.decode(packet)
    except WireError:
        return
    assert found.encode() == packet[: 40 + length]


def test_a_fragment_says_which_part_it_is_in_both_families() -> None:
    part = Fragmentation(7, 1480, True)
    assert IPv4(A4, B4, 17, b"", identification=7, flags=ip.MORE_FRAGMENTS, offset=1480).fragmentation == part
    assert IPv6(A6, B6, 17, b"", extensions=(fragment_header(7, 1480, True),)).fragmentation == part
    assert IPv4(A4, B4, 17, b"", identification=7).fragmentation is None


def test_an_atomic_fragment_is_a_whole_packet() -> None:
    # RFC 6946: offset 0, and no more to come.
    packet = IPv6(A6, B6, 17, b"", extensions=(fragment_header(7, 0, False),))
    assert packet.fragmentation is None
    assert packet.extensions[0].fragmentation == Fragmentation(7, 0, False)


def test_behind_a_later_fragments_header_nothing_is_read_as_headers() -> None:
    middle = IPv6(A6, B6, ip.DESTINATION_OPTIONS, b"\xff" * 9, extensions=(fragment_header(7, 8, False),))
    assert IPv6.decode(middle.encode()) == middle


def test_options_are_told_until_their_list_ends() -> None:
    assert list(ip.options(b"\1\x44\4ab\1\0\xff\xff")) == [(1, b""), (0x44, b"ab"), (1, b"")]


@pytest.mark.parametrize("raw", [b"\x44", b"\x44\0", b"\x44\1", b"\x44\5ab"])
def test_options_that_contradict_their_length_are_refused(raw: bytes) -> None:
    with pytest.raises(WireError):
        list(ip.options(raw))


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x50" + bytes(60),
        b"\x44\0\0\x14" + bytes(60),
        b"\x45\0\0\x13" + bytes(60),
        b"\x46\0\0\x14" + bytes(60),
        b"\x60\0\0\0\0\0\0\x40" + bytes(60),
    ],
)
def test_headers_that_contradict_themselves_are_refused(packet: bytes) -> None:
    with pytest.raises(WireError):
        ip.decode(packet)


def test_each_version_is_read_by_its_own_reader_only() -> None:
    with pytest.raises(WireError, match="version 6, not 4"):
        IPv4.decode(IPv6(A6, B6, 59, b"").encode())
    with pytest.raises(WireError, match="version 4, not 6"):
        IPv6.decode(IPv4(A4, B4, 59, bytes(40)).encode())
