"""Frames on a line of octets: escaped, mapped, aborted, cut anywhere."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.plain_framing import deframe_octets, told
from vipd.wire.async_hdlc import ALL_CONTROLS, ESCAPE, FLAG, AsyncDeframer, AsyncFramer
from vipd.wire.deframer import Fault, FrameError, FrameRules
from vipd.wire.fcs import FCS16, FCS32, NO_FCS, FrameCheck

CHECKS = st.sampled_from((NO_FCS, FCS16, FCS32))
ACCMS = st.sampled_from((0, ALL_CONTROLS, 0x000A0000, 0x00000008))


def lines() -> st.SearchStrategy[bytes]:
    special = st.sampled_from((FLAG, ESCAPE, ESCAPE * 2, ESCAPE + FLAG, b"\x11", b"\x13", b"\x5d", b"\x5e"))
    good = st.binary(max_size=12).map(AsyncFramer().encode)
    dense = st.integers(0, 100).map(lambda count: (ESCAPE + b"\x5e" + ESCAPE + b"\x31") * count)
    return st.lists(st.one_of(special, good, dense, st.binary(max_size=20)), max_size=30).map(b"".join)


def errors(found: list[bytes | FrameError]) -> list[Fault]:
    return [one.fault for one in found if isinstance(one, FrameError)]


@given(lines(), CHECKS, st.integers(1, 300), ACCMS)
def test_every_line_is_read_as_a_textbook_reads_it(line: bytes, check: FrameCheck, max_frame: int, accm: int) -> None:
    found = list(AsyncDeframer(check, max_frame, accm).feed(line))
    assert told(found) == told(deframe_octets(line, FrameRules(check, max_frame), accm))


@given(lines(), CHECKS, st.integers(1, 300), ACCMS, st.lists(st.integers(0, 2000), max_size=20))
def test_cuts_change_nothing(line: bytes, check: FrameCheck, max_frame: int, accm: int, places: list[int]) -> None:
    whole, pieces = AsyncDeframer(check, max_frame, accm), AsyncDeframer(check, max_frame, accm)
    edges = [0, *sorted(place % (len(line) + 1) for place in places), len(line)]
    found = [one for start, end in itertools.pairwise(edges) for one in pieces.feed(line[start:end])]
    assert told(found) == told(list(whole.feed(line)))
    assert pieces.pending == whole.pending


@given(st.lists(st.binary(min_size=2, max_size=400), max_size=8), CHECKS, ACCMS, ACCMS)
def test_frames_come_through_if_the_sender_escapes_what_the_receiver_drops(
    frames: list[bytes], check: FrameCheck, more: int, accm: int
) -> None:
    framer = AsyncFramer(check, accm | more, others=b"\x91\x93\xff")
    line = b"".join(map(framer.encode, frames)) + framer.flush()
    assert list(AsyncDeframer(check, accm=accm).feed(line)) == frames


@given(st.binary(min_size=2, max_size=400))
def test_nothing_that_the_line_would_not_carry_is_sent(frame: bytes) -> None:
    line = AsyncFramer(others=b"\x91\x93\xff").encode(frame)
    assert line[:1] == line[-1:] == FLAG
    assert not set(line[1:-1]) & {*range(32), FLAG[0], 0x91, 0x93, 0xFF}


@pytest.mark.parametrize("others", [b"\x11", b"\x31", b"\x5d", b"\x5e", b"\x7d", b"\x7e", b"\x91\xb1"])
def test_what_would_be_sent_bare_by_its_escape_is_refused(others: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be escaped"):
        AsyncFramer(others=others)


@pytest.mark.parametrize("octet", range(256))
def test_any_other_octet_can_be_escaped(octet: int) -> None:
    other = bytes((octet,))
    if octet < 0x40 or octet in b"\x5d\x5e\x7d\x7e":
        with pytest.raises(ValueError, match=f"{octet:#04x} cannot be escaped"):
            AsyncFramer(others=other)
        return
    frame = bytes(range(256))
    line = AsyncFramer(others=other).encode(frame)
    assert other not in line[1:-1]
    assert list(AsyncDeframer().feed(line)) == [frame]


def test_a_frame_may_have_a_map_of_its_own() -> None:
    framer = AsyncFramer(accm=0)
    assert framer.encode(b"\x01\x02", ALL_CONTROLS)[1:5] == b"\x7d\x21\x7d\x22"
    assert framer.encode(b"\x01\x02")[1:3] == b"\x01\x02"


def test_maps_may_change_between_frames() -> None:
    framer, deframer = AsyncFramer(), AsyncDeframer()
    frame = bytes(range(32))
    assert list(deframer.feed(framer.encode(frame))) == [frame]
    framer.set_accm(0)
    assert errors(list(deframer.feed(framer.encode(frame)))) == [Fault.TOO_SHORT]
    deframer.set_accm(0)
    assert list(deframer.feed(framer.encode(frame))) == [frame]


def test_a_control_character_that_the_line_put_behind_an_escape_is_dropped() -> None:
    line = AsyncFramer().encode(b"\x7e\x7d\x7e")
    assert list(AsyncDeframer().feed(line.replace(ESCAPE, ESCAPE + b"\x11"))) == [b"\x7e\x7d\x7e"]


def test_a_frame_that_never_ends_is_told_once_and_forgotten() -> None:
    deframer = AsyncDeframer(max_frame=100)
    found = [one for _ in range(1000) for one in deframer.feed(b"\x55" * 999)]
    assert errors(found) == []
    found = list(deframer.feed(FLAG)) + [one for _ in range(1000) for one in deframer.feed(b"\x55" * 999)]
    assert errors(found) == [Fault.TOO_LONG]
    assert deframer.pending is None
    assert list(deframer.feed(AsyncFramer().encode(b"good"))) == [b"good"]
