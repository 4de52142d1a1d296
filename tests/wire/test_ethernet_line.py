"""Bursts on an Ethernet line: where the frame begins in them, and what is wrong with the others."""

from __future__ import annotations

import itertools
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether

from tests.support.plain_framing import told
from vipd.wire import bits
from vipd.wire.deframer import Fault, FrameError
from vipd.wire.ethernet_line import GAP, PREAMBLE, SFD, EthernetDeframer, EthernetFramer, line_octets

FRAME = bytes(range(60))


def received(burst: bytes, aligned: bool = True, max_payload: int = 1500) -> list[bytes | FrameError]:
    deframer = EthernetDeframer(aligned, max_payload)
    return list(deframer.feed(burst)) + list(deframer.end())


def faults(burst: bytes, max_payload: int = 1500) -> list[Fault]:
    return [one.fault for one in received(burst, max_payload=max_payload) if isinstance(one, FrameError)]


def with_fcs(frame: bytes) -> bytes:
    return PREAMBLE + SFD + frame + zlib.crc32(frame).to_bytes(4, "little")


@given(st.binary(max_size=1514), st.integers(0, 7))
def test_a_frame_comes_through_padded(frame: bytes, lost: int) -> None:
    burst = EthernetFramer().encode(frame)
    assert received(burst[lost:]) == [frame.ljust(60, b"\0")]


@given(
    st.binary(min_size=60, max_size=300), st.integers(0, 48), st.integers(0, 7), st.lists(st.integers(0, 1), max_size=7)
)
def test_a_frame_is_found_at_every_bit(frame: bytes, lost: int, before: int, behind: list[int]) -> None:
    line = bits.unpack(EthernetFramer().encode(frame))[lost:]
    # What fills the last octet must not fill another one.
    line = bytes(before) + line
    room = -len(line) % 8
    assert received(bits.pack(line + bytes(behind[:room])), aligned=False) == [frame]


@given(
    st.lists(st.one_of(st.binary(max_size=40), st.just(PREAMBLE + SFD), st.just(with_fcs(FRAME))), max_size=6).map(
        b"".join
    ),
    st.lists(st.integers(0, 2000), max_size=10),
    st.booleans(),
)
def test_cuts_change_nothing(burst: bytes, places: list[int], aligned: bool) -> None:
    deframer = EthernetDeframer(aligned, max_payload=100)
    edges = [0, *sorted(place % (len(burst) + 1) for place in places), len(burst)]
    found = [one for start, end in itertools.pairwise(edges) for one in deframer.feed(burst[start:end])]
    assert told(found + list(deframer.end())) == told(received(burst, aligned, max_payload=100))


@given(st.lists(st.binary(max_size=200), max_size=5), st.booleans())
def test_every_burst_is_one_frame_or_one_fault(bursts: list[bytes], aligned: bool) -> None:
    deframer = EthernetDeframer(aligned, max_payload=50)
    for burst in bursts:
        assert len(list(deframer.feed(burst)) + list(deframer.end())) == (1 if burst else 0)


@pytest.mark.parametrize("size", range(0, 60, 7))
def test_a_short_frame_is_a_runt_and_a_short_piece_a_fragment(size: int) -> None:
    runt = with_fcs(bytes(size))
    assert faults(runt) == [Fault.RUNT]
    assert faults(runt[:-1]) == [Fault.FRAGMENT]


def test_the_longest_frame_grows_by_each_tag_but_no_third() -> None:
    ip = IP(src="192.0.2.1", dst="192.0.2.2") / UDP()
    for tags, longest in ((None, 1518), (Dot1Q(vlan=5), 1522), (Dot1AD(vlan=9) / Dot1Q(vlan=5), 1526)):
        head = bytes(Ether() / ip if tags is None else Ether() / tags / ip)
        assert received(with_fcs(head.ljust(longest - 4, b"\0"))) == [head.ljust(longest - 4, b"\0")]
        assert faults(with_fcs(head.ljust(longest - 3, b"\0"))) == [Fault.GIANT]
    head = bytes(Ether() / Dot1AD(vlan=9) / Dot1Q(vlan=5) / Dot1Q(vlan=6) / ip)
    assert faults(with_fcs(head.ljust(1523, b"\0"))) == [Fault.GIANT]


def test_the_longest_frame_fits_behind_the_longest_preamble() -> None:
    head = bytes(Ether() / Dot1AD(vlan=9) / Dot1Q(vlan=5) / IP() / UDP())
    burst = b"\x55" * 8 + with_fcs(head.ljust(1522, b"\0"))
    assert received(burst) == [head.ljust(1522, b"\0")]


def test_larger_frames_are_taken_where_they_are_agreed() -> None:
    assert received(with_fcs(bytes(9014)), max_payload=9000) == [bytes(9014)]
    assert faults(with_fcs(bytes(9015)), max_payload=9000) == [Fault.GIANT]


def test_a_signal_without_end_is_told_once_and_not_kept() -> None:
    deframer = EthernetDeframer()
    found = [one for _ in range(2000) for one in deframer.feed(PREAMBLE + SFD + bytes(1000))]
    assert [one.fault for one in found if isinstance(one, FrameError)] == [Fault.GIANT]
    assert list(deframer.end()) == []
    assert list(deframer.feed(with_fcs(FRAME))) + list(deframer.end()) == [FRAME]


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("preamble", range(16))
def test_a_preamble_may_be_short_or_long(preamble: int, aligned: bool) -> None:
    assert received(b"\x55" * preamble + with_fcs(FRAME)[7:], aligned) == [FRAME]


@pytest.mark.parametrize(
    "burst",
    [
        pytest.param(PREAMBLE, id="preamble alone"),
        pytest.param(FRAME, id="no preamble"),
        pytest.param(PREAMBLE + b"\x54" + SFD + FRAME, id="preamble broken"),
        pytest.param(b"\x55" * 16 + SFD + FRAME, id="too late"),
    ],
)
def test_a_burst_without_a_delimiter_is_no_frame(burst: bytes) -> None:
    assert faults(burst) == [Fault.NO_SFD]
    assert [one.fault for one in received(burst, aligned=False) if isinstance(one, FrameError)] == [Fault.NO_SFD]


def test_a_fault_is_where_its_frame_begins() -> None:
    bad = with_fcs(FRAME)[:-1] + b"\0"
    for aligned, unit in ((True, 1), (False, 8)):
        deframer = EthernetDeframer(aligned)
        deframer.feed(with_fcs(FRAME))
        deframer.end()
        (fault,) = (*deframer.feed(bad), *deframer.end())
        assert isinstance(fault, FrameError)
        assert (fault.fault, fault.offset, fault.length) == (Fault.BAD_FCS, unit * (72 + 8), 64)
        (fault,) = (*deframer.feed(FRAME), *deframer.end())
        assert isinstance(fault, FrameError)
        assert (fault.fault, fault.offset, fault.length) == (Fault.NO_SFD, unit * (72 + 72), 60)


@given(st.binary(min_size=60, max_size=100), st.data())
def test_no_wrong_bit_gives_another_frame(frame: bytes, data: st.DataObject) -> None:
    burst = bytearray(with_fcs(frame))
    bit = data.draw(st.integers(64, 8 * len(burst) - 1))
    burst[bit // 8] ^= 1 << bit % 8
    assert faults(bytes(burst)) == [Fault.BAD_FCS]


def test_a_minimal_frame_keeps_the_line_for_84_octets() -> None:
    # 14,880.95 frames a second at 10 Mbit/s (RFC 2544 appendix B).
    assert line_octets(b"") == 84
    assert round(10_000_000 / 8 / line_octets(bytes(60))) == 14_881
    assert GAP == 12
