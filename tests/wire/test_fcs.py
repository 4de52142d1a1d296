"""The frame check sequences are those of the RFCs, and zlib's."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipd.wire.fcs import FCS16, FCS32, NO_FCS, FrameCheck

CHECKS = pytest.mark.parametrize("check", [NO_FCS, FCS16, FCS32], ids=lambda check: check.name)


def rfc1662_fcs16(octets: bytes) -> int:
    """RFC 1662 C.2: polynomial 8408, one bit after the other."""
    register = 0xFFFF
    for octet in octets:
        register ^= octet
        for _ in range(8):
            register = register >> 1 ^ (0x8408 if register & 1 else 0)
    return register


def test_the_check_values_are_the_published_ones() -> None:
    # CRC-16/IBM-SDLC and CRC-32/ISO-HDLC of the catalogue of parametrised CRC algorithms.
    assert FCS16.crc(b"123456789") == 0x906E
    assert FCS32.crc(b"123456789") == 0xCBF43926
    assert FCS16.of(b"123456789").hex() == "6e90"
    assert FCS32.of(b"123456789").hex() == "2639f4cb"
    assert NO_FCS.of(b"123456789") == b""


@given(st.binary())
def test_the_register_of_every_whole_frame_is_good(frame: bytes) -> None:
    # RFC 1662 C.2 PPPGOODFCS16, C.3 PPPGOODFCS32.
    assert rfc1662_fcs16(frame + FCS16.of(frame)) == 0xF0B8
    assert zlib.crc32(frame + FCS32.of(frame)) ^ 0xFFFFFFFF == 0xDEBB20E3


@given(st.binary())
def test_another_implementation_gives_the_same(frame: bytes) -> None:
    assert FCS16.crc(frame) == rfc1662_fcs16(frame) ^ 0xFFFF
    assert FCS32.crc(frame) == zlib.crc32(frame)


@CHECKS
@given(frame=st.binary())
def test_a_frame_with_its_fcs_is_right(check: FrameCheck, frame: bytes) -> None:
    assert check.is_right(frame + check.of(frame))
    assert len(check.of(frame)) == check.size


@pytest.mark.parametrize("check", [FCS16, FCS32], ids=lambda check: check.name)
@given(frame=st.binary(min_size=1, max_size=64), data=st.data())
def test_no_single_wrong_bit_is_missed(check: FrameCheck, frame: bytes, data: st.DataObject) -> None:
    whole = bytearray(frame + check.of(frame))
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    whole[bit // 8] ^= 1 << bit % 8
    assert not check.is_right(bytes(whole))
    assert not check.is_right(frame + check.of(frame)[::-1]) or check.of(frame) == check.of(frame)[::-1]
