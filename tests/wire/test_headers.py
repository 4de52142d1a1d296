"""Headers read and changed in place: against packets as values, sums anew, and rewritten packets of others."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipd.errors import WireError
from vipd.model.director import Address
from vipd.wire import headers, ip
from vipd.wire.checksum import updated
from vipd.wire.icmp import Icmp
from vipd.wire.ip import IPv4, IPv6, fragment_header, options_header
from vipd.wire.transport import ACK, SYN, Tcp, Udp

A: dict[int, Address] = {4: IPv4Address("192.0.2.1"), 6: IPv6Address("2001:db8::1")}
B: dict[int, Address] = {4: IPv4Address("198.51.100.2"), 6: IPv6Address("2001:db8::2")}
C: dict[int, Address] = {4: IPv4Address("10.0.0.9"), 6: IPv6Address("2001:db8:9::9")}
each_family = pytest.mark.parametrize("family", [4, 6])

# Packets of katran's NAT tests before and after (facebookincubator/katran, katran/lib/testing): destination and port.
REWRITTEN = [
    (
        "450000280007000040061484c6336407cb00710a7a690050010203040000000050022000aadd0000",
        "45000028000700004006468dc63364070a0000027a691f90010203040000000050022000bda60000",
    ),
    (
        "450000280007000040065090c6336407fffffffe7a690050010203040000000050022000e6e90000",
        "45000028000700004006508ec6336407000000017a690001010203040000000050022000e7360000",
    ),
    (
        "4500002b0007000040111476c6336407cb00710a7a6900350017ff256b617472616e207465737420706b74",
        "4500002b000700004011467fc63364070a0000027a691f90001711d46b617472616e207465737420706b74",
    ),
    (
        "4500002b0007000040115082c6336407fffffffe7a69003500173b326b617472616e207465737420706b74",
        "4500002b0007000040115080c6336407000000017a69000100173b646b617472616e207465737420706b74",
    ),
]


def packet(family: int, protocol: int = ip.TCP, payload: bytes = b"data") -> bytearray:
    ends = A[family], B[family]
    inner: Any = Tcp(1234, 80, ACK, payload) if protocol == ip.TCP else Udp(1234, 80, payload)
    return bytearray(ip.build(*ends, protocol, inner.encode(*ends)).encode())


def test_the_example_of_rfc_1624_gives_zero() -> None:
    # Section 4: equation 2 would give -0.
    assert updated(0xDD2F, b"\x55\x55", b"\x32\x85") == 0
    assert updated(0, b"\x55\x55", b"\x55\x55") == 0


@pytest.mark.parametrize("word", [0, 1, 0x5555, 0x8000, 0xFFFE, 0xFFFF])
def test_an_update_is_the_sum_anew_for_every_new_word(word: int) -> None:
    rest = 0x1234
    old = 0xFFFF - ((rest + word) % 0xFFFF or 0xFFFF)
    for new in range(1 << 16):
        anew = 0xFFFF - ((rest + new) % 0xFFFF or 0xFFFF)
        assert updated(old, word.to_bytes(2, "big"), new.to_bytes(2, "big")) == anew


@given(st.integers(0, 0xFFFF), st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_an_update_by_words_together_is_that_word_by_word(checksum: int, old: bytes, new: bytes) -> None:
    one = checksum
    for at in range(0, 16, 2):
        one = updated(one, old[at : at + 2], new[at : at + 2])
    assert updated(checksum, old, new) % 0xFFFF == one % 0xFFFF


@pytest.mark.parametrize(("before", "after"), REWRITTEN)
def test_a_destination_is_rewritten_as_others_do(before: str, after: str) -> None:
    made, wanted = bytearray.fromhex(before), bytes.fromhex(after)
    network = headers.read_network(wanted, 4)
    assert network is not None
    port = int.from_bytes(wanted[22:24], "big")
    old = headers.put_address(made, "destination", network.destination)
    old += headers.put_port(made, "destination", port, 20)
    headers.sum_transport(made, network.protocol, 20, old, network.destination.packed + port.to_bytes(2, "big"))
    assert made == wanted


@each_family
@pytest.mark.parametrize("protocol", [ip.TCP, ip.UDP])
@pytest.mark.parametrize("which", ["source", "destination"])
def test_what_is_rewritten_is_what_would_have_been_sent(family: int, protocol: int, which: str) -> None:
    made = packet(family, protocol)
    offset = 20 if family == 4 else 40
    old = headers.put_address(made, which, C[family]) + headers.put_port(made, which, 8080, offset)
    headers.sum_transport(made, protocol, offset, old, C[family].packed + (8080).to_bytes(2, "big"))
    ends = (C[family], B[family]) if which == "source" else (A[family], C[family])
    ports = (8080, 80) if which == "source" else (1234, 8080)
    inner: Any = Tcp(*ports, ACK, b"data") if protocol == ip.TCP else Udp(*ports, b"data")
    assert made == ip.build(*ends, protocol, inner.encode(*ends)).encode()


@each_family
def test_a_datagram_without_a_checksum_gets_none(family: int) -> None:
    ends = A[family], B[family]
    made = bytearray(ip.build(*ends, ip.UDP, Udp(1, 2, b"abc", 0).encode(*ends)).encode())
    before, offset = bytes(made), len(made) - 11
    headers.sum_transport(made, ip.UDP, offset, b"\0\0", b"\1\1")
    assert made == before


def test_a_datagrams_computed_zero_is_sent_as_ones() -> None:
    ends = A[4], B[4]
    made = bytearray(ip.build(*ends, ip.UDP, Udp(1, 2, b"ab").encode(*ends)).encode())
    checksum = int.from_bytes(made[26:28], "big")
    headers.sum_transport(made, ip.UDP, 20, b"\0\0", checksum.to_bytes(2, "big"))
    assert made[26:28] == b"\xff\xff"


@each_family
@pytest.mark.parametrize("ttl", [2, 64, 255])
def test_a_hop_less_is_what_a_router_makes(family: int, ttl: int) -> None:
    made = bytearray(ip.build(A[family], B[family], 59, b"", ttl).encode())
    headers.lower_ttl(made, family)
    assert made == ip.build(A[family], B[family], 59, b"", ttl - 1).encode()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (b"\2\4\x05\xb4", b"\2\4\x04\xb0"),
        (b"\1\2\4\x05\xb4\0\0\0", b"\1\2\4\x04\xb0\0\0\0"),
        (b"\1\1\2\4\x05\xb4\1\1", b"\1\1\2\4\x04\xb0\1\1"),
        (b"\4\2\1\2\4\x05\xb4\0", b"\4\2\1\2\4\x04\xb0\0"),
        (b"\2\4\x04\xaf", None),  # is low enough
        (b"\2\3\x05\1", None),
        (b"\3\0\2\4\x05\xb4\1\1", None),  # an option that never ends
        (b"\0\0\0\0\2\4\x05\xb4", None),
        (b"", None),
    ],
)
def test_an_mss_is_lowered_at_any_offset(options: bytes, expected: bytes | None) -> None:
    ends = A[4], B[4]
    made = bytearray(ip.build(*ends, ip.TCP, Tcp(1, 2, SYN, b"xyz", options=options).encode(*ends)).encode())
    wanted = Tcp(1, 2, SYN, b"xyz", options=options if expected is None else expected)
    assert headers.lower_mss(made, 20, 1200) == (None if expected is None else 1460)
    assert made == ip.build(*ends, ip.TCP, wanted.encode(*ends)).encode()


@given(st.binary(max_size=80), st.sampled_from([4, 6]))
def test_a_header_is_read_as_the_value_is(data: bytes, family: int) -> None:
    start = bytes((0x45 if family == 4 else 0x60, 0, 0, 0))
    raw = start + data
    network = headers.read_network(raw, family)
    try:
        value = ip.decode(raw)
    except WireError:
        return
    assert network is not None
    assert (network.source, network.destination) == (value.source, value.destination)
    assert network.traffic_class == value.traffic_class
    if isinstance(value, IPv4):
        assert (network.ttl, network.protocol, network.identification) == (
            value.ttl,
            value.protocol,
            value.identification,
        )
        assert (network.fragmentation, network.options) == (value.fragmentation, value.options)
    else:
        assert network.ttl == value.hop_limit


@each_family
def test_bytes_that_end_too_early_hold_no_header(family: int) -> None:
    raw = bytes(packet(family))
    least = 20 if family == 4 else 40
    assert headers.read_network(raw[: least - 1], family) is None
    assert headers.read_network(raw[:least], family) is not None
    assert headers.read_tcp(raw, len(raw) - 19) is None
    assert headers.read_udp(raw, len(raw) - 7) is None


def test_extension_headers_are_walked_to_their_end() -> None:
    chain = (
        options_header(ip.HOP_BY_HOP),
        options_header(ip.DESTINATION_OPTIONS, bytes(20)),
        fragment_header(7, 0, True),
    )
    made = IPv6(IPv6Address(1), IPv6Address(2), 17, b"12345678", extensions=chain).encode()
    network = headers.read_network(made, 6)
    assert network is not None
    found = [each for each in headers.walk_extensions(made, network) if each]
    assert [(each.kind, each.end) for each in found] == [(0, 48), (60, 72), (44, 80)]
    assert found[-1].following == 17
    assert found[-1].fragmentation == ip.Fragmentation(7, 0, True)
    for length in range(41, 80):
        *_, last = headers.walk_extensions(made[:length], network)
        assert last is None


def test_ipv4_has_no_extension_headers() -> None:
    raw = bytes(ip.build(A[4], B[4], ip.HOP_BY_HOP, bytes(16)).encode())
    network = headers.read_network(raw, 4)
    assert network is not None
    assert list(headers.walk_extensions(raw, network)) == []


@each_family
@pytest.mark.parametrize("length", [8, 20])
def test_a_quote_tells_its_flow(family: int, length: int) -> None:
    quoted = bytes(packet(family))[: {4: 20, 6: 40}[family] + length]
    error = bytes(ip.build(C[family], A[family], 1, Icmp(3, 1, 0, quoted).encode(C[family], A[family])).encode())
    at = len(error) - len(quoted)
    found = headers.read_quote(error, family, at, len(error))
    assert found is not None
    assert (found.network.source, found.network.destination) == (A[family], B[family])
    assert (found.source_port, found.destination_port) == (1234, 80)
    assert headers.read_quote(error, family, at, len(error) - length + 7) is None
    assert headers.read_quote(error[: len(error) - length + 7], family, at, len(error)) is None
    assert headers.read_quote(error, 10 - family, at, len(error)) is None


def test_a_quoted_later_fragment_tells_no_ports() -> None:
    quoted = replace(IPv4.decode(bytes(packet(4))), offset=8).encode()
    assert headers.read_quote(quoted, 4, 0, len(quoted)) is None


def test_a_loopback_address_is_put_as_any_other() -> None:
    made = packet(6)
    assert headers.put_address(made, "source", ip_address("::1")) == A[6].packed
    assert made[8:24] == IPv6Address(1).packed
