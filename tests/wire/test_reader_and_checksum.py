"""The reader never reads beyond its bytes; the checksum is RFC 1071's."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipd.errors import WireError
from vipd.wire.checksum import internet_checksum, pseudo_header
from vipd.wire.ethernet import Frame, mac_bytes, mac_text, multicast_mac
from vipd.wire.reader import Reader


def test_each_value_is_read_in_network_order() -> None:
    reader = Reader(bytes(range(27)) + b"tail")
    assert reader.u8() == 0
    assert reader.u16() == 0x0102
    assert reader.u32() == 0x03040506
    assert reader.ipv4() == IPv4Address("7.8.9.10")
    assert reader.ipv6() == IPv6Address(bytes(range(11, 27)))
    assert reader.rest() == b"tail"
    assert reader.left == 0


@pytest.mark.parametrize(("method", "size"), [("u8", 1), ("u16", 2), ("u32", 4), ("ipv4", 4), ("ipv6", 16)])
def test_a_value_cut_short_is_refused_and_not_consumed(method: str, size: int) -> None:
    reader = Reader(bytes(size - 1))
    with pytest.raises(WireError, match=f"{size} bytes expected at offset 0, {size - 1} left"):
        getattr(reader, method)()
    assert reader.left == size - 1


def test_the_example_of_rfc_1071_gives_its_sum() -> None:
    # Section 3: the sum of 00 01 f2 03 f4 f5 f6 f7 is ddf2.
    assert internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


@given(st.binary(max_size=200))
def test_the_checksum_is_the_complement_of_the_folded_sum_of_words(data: bytes) -> None:
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert internet_checksum(data) == total ^ 0xFFFF


def test_pseudo_headers_are_those_of_the_rfcs() -> None:
    assert pseudo_header(IPv4Address("1.2.3.4"), IPv4Address("5.6.7.8"), 17, 300).hex() == "01020304050607080011012c"
    long = pseudo_header(IPv6Address("::1"), IPv6Address("::2"), 58, 70000)
    assert long == IPv6Address("::1").packed + IPv6Address("::2").packed + bytes.fromhex("000111700000003a")


@given(st.binary(min_size=14, max_size=64))
def test_a_frame_is_encoded_as_it_was_decoded(data: bytes) -> None:
    assert Frame.decode(data).encode() == data


@pytest.mark.parametrize("size", range(14))
def test_a_frame_shorter_than_its_header_is_refused(size: int) -> None:
    with pytest.raises(WireError):
        Frame.decode(bytes(size))


@given(st.binary(min_size=6, max_size=6))
def test_a_mac_is_written_and_read_alike(mac: bytes) -> None:
    assert mac_bytes(mac_text(mac)) == mac


@pytest.mark.parametrize("text", ["", "02:00:00:00:00", "02:00:00:00:00:00:00", "zz:00:00:00:00:00"])
def test_what_is_no_mac_is_refused(text: str) -> None:
    with pytest.raises(WireError):
        mac_bytes(text)


def test_a_group_has_the_mac_of_rfc_2464() -> None:
    assert mac_text(multicast_mac(IPv6Address("ff02::1:ff01:203"))) == "33:33:ff:01:02:03"
