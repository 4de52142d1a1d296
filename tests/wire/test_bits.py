"""Bits as text, as octets of 0 and 1, and eight in an octet: the same bits in the same order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipd.errors import WireError
from vipd.wire import bits
from vipd.wire.bits import BitOrder


@pytest.mark.parametrize(
    "text",
    [
        "0111 1110",
        "01_11|11,1.0",
        "0111\n\t1110\r\n",
        " 0 1 1 1 1 1 1 0 ",
        "0111-1110",
        "0b01111110",
        "0B0111_1110",
        "0b0111 0b1110",
        "0b0111,0b11,10",
    ],
)
def test_what_stands_between_bits_means_nothing(text: str) -> None:
    assert bits.from_text(text) == bytes((0, 1, 1, 1, 1, 1, 1, 0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0102", "'2' at offset 3"),
        ("0b01b1", "'b' at offset 4"),
        ("010b1", "'b' at offset 3"),
        ("01 0b", "'b' at offset 4"),
        ("０1", "'０' at offset 0"),
    ],
)
def test_what_is_no_bit_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(WireError, match=f"{message} is no bit"):
        bits.from_text(text)
    assert not bits.is_text(text)


@given(st.lists(st.integers(0, 1)).map(bytes))
def test_bits_are_written_and_read_alike(line: bytes) -> None:
    assert bits.from_text(bits.to_text(line)) == line


def test_the_order_tells_which_bit_of_an_octet_is_first() -> None:
    line = bits.from_text("0111 1100 1")
    assert bits.pack(line, BitOrder.LSB_FIRST) == b"\x3e\x01"
    assert bits.pack(line, BitOrder.MSB_FIRST) == b"\x7c\x80"
    assert bits.to_text(bits.unpack(b"\x3e", BitOrder.LSB_FIRST)) == "01111100"
    assert bits.to_text(bits.unpack(b"\x3e", BitOrder.MSB_FIRST)) == "00111110"
    assert bits.unpack(b"\x3e") == bits.unpack(b"\x3e", BitOrder.LSB_FIRST)
    assert bits.pack(line) == bits.pack(line, BitOrder.LSB_FIRST)


@given(st.binary(), st.sampled_from(BitOrder))
def test_octets_are_unpacked_and_packed_alike(octets: bytes, order: BitOrder) -> None:
    assert bits.pack(bits.unpack(octets, order), order) == octets


@given(st.binary())
def test_reversed_octets_have_their_bits_in_the_other_order(octets: bytes) -> None:
    assert bits.unpack(bits.reverse(octets), BitOrder.MSB_FIRST) == bits.unpack(octets, BitOrder.LSB_FIRST)
