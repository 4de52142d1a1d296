"""Frames on a line of bits: found where they are, told apart from what is none, however the line is cut."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.plain_framing import deframe_bits, told
from vipd.wire import bits
from vipd.wire.bit_hdlc import FLAG, BitDeframer, BitFramer, frame_bits, stuff
from vipd.wire.bits import BitOrder
from vipd.wire.deframer import Fault, FrameError, FrameRules
from vipd.wire.fcs import FCS16, FCS32, NO_FCS, FrameCheck

CHECKS = st.sampled_from((NO_FCS, FCS16, FCS32))
ORDERS = st.sampled_from(BitOrder)


def runs() -> st.SearchStrategy[bytes]:
    """Lines made of what matters: runs of 1s of every length, between zeros, and some plain data."""
    piece = st.integers(0, 40).map(lambda ones: b"\0" + b"\1" * ones)
    flag = st.just(FLAG)
    data = st.lists(st.integers(0, 1), max_size=40).map(bytes)
    good = st.binary(max_size=12).map(lambda frame: FLAG + frame_bits(frame))
    return st.lists(st.one_of(piece, flag, data, good), max_size=30).map(b"".join)


def cut(line: bytes, places: list[int]) -> Iterator[bytes]:
    edges = [0, *sorted(place % (len(line) + 1) for place in places), len(line)]
    return (line[start:end] for start, end in itertools.pairwise(edges))


def errors(found: list[bytes | FrameError]) -> list[Fault]:
    return [one.fault for one in found if isinstance(one, FrameError)]


def test_bits_before_the_flag_are_ignored_and_the_stuffed_bit_is_removed() -> None:
    deframer = BitDeframer(NO_FCS, order=BitOrder.MSB_FIRST)
    assert list(deframer.feed_bits(bits.from_text("01001111110001111100111"))) == []
    assert deframer.pending is not None
    assert bits.to_text(deframer.pending[:8]) == "00111110"
    assert bits.to_text(deframer.pending[8:]) == "111"


@given(runs(), CHECKS, st.integers(1, 12), ORDERS)
def test_every_line_is_read_as_a_textbook_reads_it(
    line: bytes, check: FrameCheck, max_frame: int, order: BitOrder
) -> None:
    found = list(BitDeframer(check, max_frame, order).feed_bits(line))
    assert told(found) == told(deframe_bits(line, FrameRules(check, max_frame), order))


@given(runs(), CHECKS, st.integers(1, 12), st.lists(st.integers(0, 2000), max_size=20))
def test_cuts_change_nothing(line: bytes, check: FrameCheck, max_frame: int, places: list[int]) -> None:
    whole, pieces = BitDeframer(check, max_frame), BitDeframer(check, max_frame)
    found = [one for piece in cut(line, places) for one in pieces.feed_bits(piece)]
    assert told(found) == told(list(whole.feed_bits(line)))
    assert pieces.pending == whole.pending
    assert pieces.is_idle == whole.is_idle


@given(runs())
def test_single_bits_are_enough(line: bytes) -> None:
    deframer = BitDeframer()
    found = [one for at in range(len(line)) for one in deframer.feed_bits(line[at : at + 1])]
    assert told(found) == told(list(BitDeframer().feed_bits(line)))


@given(st.binary(max_size=300), ORDERS)
def test_octets_of_the_line_are_its_bits(octets: bytes, order: BitOrder) -> None:
    found = list(BitDeframer(NO_FCS, order=order).feed(octets))
    assert told(found) == told(list(BitDeframer(NO_FCS, order=order).feed_bits(bits.unpack(octets, order))))


@given(st.lists(st.binary(min_size=2, max_size=80), max_size=8), CHECKS, ORDERS, st.integers(0, 7), st.data())
def test_frames_come_through_at_every_phase(
    frames: list[bytes], check: FrameCheck, order: BitOrder, offset: int, data: st.DataObject
) -> None:
    framer, deframer = BitFramer(check, order), BitDeframer(check, order=order)
    line = b""
    for frame in frames:
        line += framer.encode(frame)
        if data.draw(st.booleans()):
            line += framer.flush()
        line += framer.fill(data.draw(st.integers(0, 3)))
    line += framer.flush()
    found = list(deframer.feed_bits(bytes(offset) + bits.unpack(line, order)))
    assert found == frames


@given(st.lists(st.one_of(st.binary(max_size=40), st.integers(0, 7000).map(bytes)), max_size=30), CHECKS, ORDERS)
def test_frames_sent_together_are_the_same_on_the_line(frames: list[bytes], check: FrameCheck, order: BitOrder) -> None:
    together, apart = BitFramer(check, order), BitFramer(check, order)
    assert together.encode(*frames) == b"".join(map(apart.encode, frames))
    assert together.flush() == apart.flush()


@given(st.binary(min_size=2, max_size=80))
def test_a_flushed_frame_is_wholly_on_the_line(frame: bytes) -> None:
    framer, deframer = BitFramer(), BitDeframer()
    for _ in range(9):
        assert list(deframer.feed(framer.encode(frame) + framer.flush())) == [frame]


def test_nothing_is_flushed_where_nothing_waits() -> None:
    framer = BitFramer()
    assert framer.flush() == b""
    waited = set()
    for size in range(2, 40):
        line = framer.encode(b"\xff" * size)
        waited.add(len(framer.flush()))
        assert framer.flush() == b"", (size, line)
    assert waited == {0, 1}
    framer.encode(b"\xff" * 7)
    framer.fill(1)
    assert framer.flush() == b""


@pytest.mark.parametrize("before", range(8))
def test_more_than_is_read_at_once_is_read_all_the_same(before: int) -> None:
    frames = [bytes((number % 256, number // 256)) * 40 for number in range(1000)]
    line = bytes(before) + FLAG + b"".join(map(frame_bits, frames))
    assert len(line) > 8 * 50_000
    assert list(BitDeframer().feed_bits(line)) == frames
    assert list(BitDeframer().feed(bits.pack(line))) == frames


@pytest.mark.parametrize("before", range(8))
def test_six_ones_at_the_end_of_a_piece_are_no_flag_yet(before: int) -> None:
    deframer = BitDeframer()
    line = bytes(before) + FLAG + frame_bits(b"one") + frame_bits(b"two") + bytes(20) + b"\1" * 6
    assert list(deframer.feed_bits(line)) == [b"one", b"two"]
    assert deframer.pending == bytes(20) + b"\1" * 6
    assert errors(list(deframer.feed_bits(b"\1\0"))) == [Fault.ABORT]


def test_a_run_of_ones_gets_a_zero_after_every_fifth() -> None:
    assert bits.to_text(stuff(b"\1" * 16)) == "1111101111101111101"


@given(
    st.lists(st.one_of(st.integers(0, 1).map(lambda bit: bytes((bit,))), st.integers(1, 200).map(lambda n: b"\1" * n)))
)
def test_the_first_five_ones_get_their_zero_first(pieces: list[bytes]) -> None:
    line = b"".join(pieces)
    assert stuff(line) == line.replace(b"\1" * 5, b"\1" * 5 + b"\0")


@pytest.mark.parametrize("ones", range(7, 15))
def test_seven_to_fourteen_ones_abort_a_frame(ones: int) -> None:
    line = FLAG + bytes(16) + b"\1" * ones + b"\0"
    assert errors(list(BitDeframer().feed_bits(line))) == [Fault.ABORT]


@pytest.mark.parametrize("ones", [15, 16, 100])
def test_fifteen_ones_are_an_idle_line(ones: int) -> None:
    deframer = BitDeframer()
    assert errors(list(deframer.feed_bits(FLAG + bytes(16) + b"\1" * ones))) == [Fault.IDLE]
    assert deframer.is_idle
    assert list(deframer.feed_bits(b"\0")) == []
    assert not deframer.is_idle


@pytest.mark.parametrize("size", range(1, 40))
def test_a_broken_frame_tells_its_whole_octets(size: int) -> None:
    line = FLAG + bytes(size)
    for ending in (b"\1" * 7 + b"\0", b"\1" * 15, FLAG):
        (fault,) = BitDeframer(NO_FCS, max_frame=4).feed_bits(line + ending)
        if size > 8 * 4:
            assert isinstance(fault, FrameError)
            assert (fault.fault, fault.length) == (Fault.TOO_LONG, 5)
        elif isinstance(fault, FrameError):
            assert fault.length == size // 8


def test_ones_between_frames_are_no_fault() -> None:
    line = FLAG + b"\1" * 9 + FLAG + b"\1" * 30 + FLAG + frame_bits(b"good")
    assert list(BitDeframer().feed_bits(line)) == [b"good"]


@pytest.mark.parametrize("check", [NO_FCS, FCS16, FCS32], ids=lambda check: check.name)
def test_a_frame_of_the_greatest_size_is_taken_and_one_octet_more_is_not(check: FrameCheck) -> None:
    deframer = BitDeframer(check, max_frame=20)
    found = list(deframer.feed_bits(FLAG + frame_bits(bytes(20), check) + frame_bits(bytes(21), check)))
    assert found[0] == bytes(20)
    assert errors(found) == [Fault.TOO_LONG]


def test_stuffed_bits_do_not_make_a_frame_longer() -> None:
    frame = b"\xff" * 20
    deframer = BitDeframer(max_frame=20)
    line = FLAG + frame_bits(frame)
    assert [one for at in range(0, len(line), 30) for one in deframer.feed_bits(line[at : at + 30])] == [frame]


def test_a_frame_is_too_long_as_soon_as_no_abort_can_make_it_shorter() -> None:
    longest = bytes(8 * 20)
    for ones in range(7, 15):
        found = list(BitDeframer(NO_FCS, max_frame=20).feed_bits(FLAG + longest + b"\1" * ones + b"\0"))
        assert errors(found) == [Fault.ABORT]
    deframer = BitDeframer(NO_FCS, max_frame=20)
    assert list(deframer.feed_bits(FLAG + longest + bytes(14))) == []
    assert errors(list(deframer.feed_bits(b"\0"))) == [Fault.TOO_LONG]


def test_a_frame_that_never_ends_is_told_once_and_forgotten() -> None:
    deframer = BitDeframer(max_frame=100)
    found = [one for _ in range(1000) for one in deframer.feed(b"\x55" * 999)]
    assert errors(found) == []
    found = list(deframer.feed_bits(FLAG)) + [one for _ in range(1000) for one in deframer.feed(b"\x55" * 999)]
    assert errors(found) == [Fault.TOO_LONG]
    assert deframer.pending is None
    assert list(deframer.feed_bits(FLAG + frame_bits(b"good"))) == [b"good"]
