"""Cisco HDLC's frames and SLARP's packets: as others lay them out, at every length, for any bytes."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipd.errors import WireError
from vipd.wire.cisco_hdlc import AddressReply, AddressRequest, Frame, Keepalive, Slarp, Type, decode_slarp

numbers = st.integers(0, 2**32 - 1)
addresses = numbers.map(IPv4Address)
packets = (
    st.just(AddressRequest())
    | st.builds(AddressReply, addresses, addresses)
    | st.builds(Keepalive, numbers, numbers, numbers)
)

# The layout of Linux's drivers/net/wan/hdlc_cisco.c: code, two numbers, reliability, time.
KEEPALIVE = "8f008035000000020000000300000007ffff0001d4c0"
REQUEST = "8f008035000000000000000000000000ffff00000000"
REPLY = "8f008035000000010a000001fffffffcffff00000000"


@pytest.mark.parametrize(
    ("wire", "packet"),
    [
        (KEEPALIVE, Keepalive(3, 7, 120_000)),
        (REQUEST, AddressRequest()),
        (REPLY, AddressReply(IPv4Address("10.0.0.1"), IPv4Address("255.255.255.252"))),
    ],
)
def test_packets_are_laid_out_as_elsewhere(wire: str, packet: Slarp) -> None:
    frame = Frame.decode(bytes.fromhex(wire))
    assert (frame.address, frame.type) == (0x8F, Type.SLARP)
    assert decode_slarp(frame.payload) == packet
    assert packet.encode() == frame.payload


@pytest.mark.parametrize("size", [14, 15, 17])
def test_a_keep_alive_may_end_before_the_senders_uptime(size: int) -> None:
    assert decode_slarp(bytes.fromhex(KEEPALIVE)[4:][:size]) == Keepalive(3, 7)


@given(packets, st.binary(max_size=10))
def test_a_packet_is_decoded_as_it_was_encoded_whatever_pads_it(packet: Slarp, padding: bytes) -> None:
    assert decode_slarp(packet.encode() + padding) == packet


@given(st.sampled_from([0x0F, 0x8F]), st.integers(0, 0xFFFF), st.binary(max_size=40))
def test_a_frame_is_decoded_as_it_was_encoded(address: int, kind: int, payload: bytes) -> None:
    frame = Frame(address, kind, payload)
    assert Frame.decode(frame.encode()) == frame


@pytest.mark.parametrize("size", range(4))
def test_every_truncation_of_the_header_is_refused(size: int) -> None:
    with pytest.raises(WireError):
        Frame.decode(bytes.fromhex(KEEPALIVE)[:size])


@pytest.mark.parametrize("wire", [KEEPALIVE, REQUEST, REPLY])
@pytest.mark.parametrize("size", range(14))
def test_every_truncation_of_a_packet_is_refused(wire: str, size: int) -> None:
    with pytest.raises(WireError):
        decode_slarp(bytes.fromhex(wire)[4:][:size])


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        ("ff030021", "address 0xff at offset 0, 0x0f or 0x8f expected"),
        ("0f030800", "control field 0x03 at offset 1, 0 expected"),
        ("8f0080", "2 bytes expected at offset 2, 1 left"),
    ],
)
def test_what_is_no_frame_is_named(wire: str, message: str) -> None:
    with pytest.raises(WireError) as refused:
        Frame.decode(bytes.fromhex(wire))
    assert str(refused.value) == message


def test_an_unknown_code_is_named() -> None:
    with pytest.raises(WireError, match="SLARP code 3, 0 to 2 expected"):
        decode_slarp(bytes.fromhex("00000003") + bytes(14))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_a_wire_error(data: bytes) -> None:
    for decode in (Frame.decode, decode_slarp):
        with suppress(WireError):
            decode(data)
