"""Ethernet frames: tags, types and lengths, LLC and SNAP, the minimum."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import LLC, SNAP, STP, Dot1AD, Dot1Q, Dot3, Ether

from vipd.errors import WireError
from vipd.wire.ethernet import TYPE_SERVICE_VLAN, TYPE_VLAN, Frame, Tag, padded
from vipd.wire.hdlc import Information, Supervision, Supervisory, Unnumbered
from vipd.wire.llc import SAP_SPANNING_TREE, Llc, Snap

MACS = {"src": "02:00:00:00:00:0a", "dst": "02:00:00:00:00:0b"}
HERE, THERE = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")
TAGS = st.builds(
    Tag, st.integers(0, 4095), st.integers(0, 7), st.booleans(), st.sampled_from((TYPE_VLAN, TYPE_SERVICE_VLAN))
)
FRAMES = st.builds(
    Frame,
    st.binary(min_size=6, max_size=6),
    st.binary(min_size=6, max_size=6),
    st.integers(0, 0xFFFF).filter(lambda kind: kind not in (TYPE_VLAN, TYPE_SERVICE_VLAN)),
    st.binary(max_size=80),
    st.lists(TAGS, max_size=4).map(tuple),
)


@given(FRAMES)
def test_what_is_written_is_read_again(frame: Frame) -> None:
    assert Frame.decode(frame.encode()) == frame


@given(FRAMES, st.data())
def test_a_frame_cut_within_its_headers_is_refused(frame: Frame, data: st.DataObject) -> None:
    headers = 14 + 4 * len(frame.tags)
    size = data.draw(st.integers(0, headers - 1))
    with pytest.raises(WireError):
        Frame.decode(frame.encode()[:size])


def test_tags_are_those_of_another_implementation() -> None:
    inner = Dot1Q(vlan=197, prio=6, dei=1)
    outer = Dot1AD(vlan=4094, prio=1)
    packet = bytes(Ether(**MACS) / outer / inner / IP(src="192.0.2.1", dst="192.0.2.2") / UDP())
    tags = (Tag(4094, 1, type=TYPE_SERVICE_VLAN), Tag(197, 6, drop_eligible=True))
    frame = Frame.decode(packet)
    assert frame == Frame(THERE, HERE, 0x0800, packet[22:], tags)
    assert frame.encode() == packet


def test_llc_is_that_of_another_implementation() -> None:
    packet = bytes(Dot3(**MACS) / LLC(dsap=0x42, ssap=0x42, ctrl=3) / STP())
    frame = Frame.decode(padded(packet))
    llc = Llc.decode(frame.counted_payload())
    assert frame.type == 38
    assert llc.destination == SAP_SPANNING_TREE
    assert llc == Llc(0x42, 0x42, Unnumbered(3), packet[17:])
    assert llc.encode() == packet[14:]


def test_snap_is_that_of_another_implementation() -> None:
    packet = bytes(Dot3(**MACS) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0x080007, code=0x809B) / b"ddp")
    llc = Llc.decode(Frame.decode(padded(packet)).counted_payload())
    assert llc == Llc(0xAA, 0xAA, Unnumbered(3), b"ddp", Snap(0x080007, 0x809B))
    assert llc.encode() == packet[14:]


@pytest.mark.parametrize("control", [Information(3, 100, poll=True), Supervisory(Supervision.RNR, 9), Unnumbered(0x6F)])
def test_llc_counts_modulo_128(control: Information | Supervisory | Unnumbered) -> None:
    llc = Llc(0xF0, 0xF1, control, b"netbios")
    assert Llc.decode(llc.encode()) == llc


def test_a_number_that_llc_cannot_count_to_is_refused() -> None:
    with pytest.raises(WireError, match="128 does not fit"):
        Llc(0xF0, 0xF1, Information(128, 0), b"").encode()


def test_a_tag_without_more_is_a_vlan_of_no_priority() -> None:
    assert Tag(5).encode().hex() == "81000005"


def test_snap_with_other_access_points_is_refused() -> None:
    with pytest.raises(WireError, match="SNAP"):
        Llc(0x42, 0xAA, Unnumbered(3), b"", Snap(0, 0x0800)).encode()


@given(st.binary(max_size=20))
def test_llc_is_never_read_beyond_its_end(data: bytes) -> None:
    try:
        llc = Llc.decode(data)
    except WireError:
        return
    assert len(llc.encode()) == len(data)


@pytest.mark.parametrize(
    ("field", "size", "message"),
    [
        (0x0800, 46, "0x0800 is an EtherType, no length"),
        (0x0600, 46, "0x0600 is an EtherType, no length"),
        (0x05FF, 1500, "0x05ff is neither an EtherType nor a length"),
        (1501, 1501, "0x05dd is neither an EtherType nor a length"),
        (47, 46, "a length of 47 octets, but the frame has 46 left"),
    ],
)
def test_a_length_that_is_none_is_refused(field: int, size: int, message: str) -> None:
    with pytest.raises(WireError, match=message):
        Frame(THERE, HERE, field, bytes(size)).counted_payload()


@pytest.mark.parametrize("size", [0, 3, 46, 1500])
def test_a_length_tells_where_the_padding_begins(size: int) -> None:
    frame = Frame(THERE, HERE, size, bytes([7]) * size)
    assert Frame.decode(padded(frame.encode())).counted_payload() == frame.payload


def test_a_frame_is_padded_to_the_minimum_with_zeros() -> None:
    assert padded(b"\x01" * 59) == b"\x01" * 59 + b"\0"
    assert padded(b"\x01" * 60) == b"\x01" * 60
    assert len(padded(b"")) == 60
