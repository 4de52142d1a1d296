"""What holds for every deframer: any bytes do, and little is kept of them."""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipd.wire.async_hdlc import AsyncDeframer
from vipd.wire.bit_hdlc import BitDeframer
from vipd.wire.bits import BitOrder
from vipd.wire.deframer import Deframer, Fault, FrameError, FrameRules
from vipd.wire.ethernet_line import EthernetDeframer
from vipd.wire.fcs import FCS16, FCS32, NO_FCS, FrameCheck

DEFRAMERS: dict[str, Callable[[], Deframer[bytes]]] = {
    "bits": BitDeframer,
    "bits, most significant first": lambda: BitDeframer(order=BitOrder.MSB_FIRST),
    "octets": AsyncDeframer,
    "octets, no map": lambda: AsyncDeframer(accm=0),
    "ethernet": EthernetDeframer,
    "ethernet at any bit": lambda: EthernetDeframer(aligned=False),
}
LINES: dict[str, bytes] = {
    "flags": b"\x7e" * 4096,
    "one flag, then no other": b"\x7e" + b"\x55" * 4095,
    "ones": b"\xff" * 4096,
    "zeros": bytes(4096),
    "escapes": b"\x7e" + b"\x7d" * 4095,
    "preambles": b"\x55" * 7 + b"\xd5" + b"\x55" * 4088,
    "flags at odd bits": b"\xfc\xf8" * 2048,
    "nothing but stuffed bits": (0x7DF7DF7DF7DF).to_bytes(6, "little") * 680,
    "random": os.urandom(4096),
}
KEPT = 48 * 1024
"Octets; a bit is kept as one while its frame has no end."


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("deframer", DEFRAMERS)
def test_whatever_comes_little_of_it_is_kept(deframer: str, line: str) -> None:
    receiver = DEFRAMERS[deframer]()
    for _ in receiver.feed(b"\x7e" + LINES[line]):
        pass
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(16):
            for _ in receiver.feed(LINES[line]):
                pass
        gc.collect()
        kept, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < KEPT


@pytest.mark.parametrize("deframer", DEFRAMERS)
@given(pieces=st.lists(st.binary(max_size=300), max_size=10))
def test_any_bytes_give_frames_and_faults_and_raise_nothing(deframer: str, pieces: list[bytes]) -> None:
    receiver = DEFRAMERS[deframer]()
    for piece in pieces:
        for found in receiver.feed(piece):
            assert isinstance(found, bytes | FrameError)


@pytest.mark.parametrize("deframer", DEFRAMERS)
def test_results_that_nobody_asks_for_lose_no_octet(deframer: str) -> None:
    line = LINES["random"]
    asked, unasked = DEFRAMERS[deframer](), DEFRAMERS[deframer]()
    for _ in asked.feed(line[:1000]):
        pass
    unasked.feed(line[:1000])
    assert list(map(str, asked.feed(line[1000:]))) == list(map(str, unasked.feed(line[1000:])))


@pytest.mark.parametrize("check", [NO_FCS, FCS16, FCS32], ids=lambda check: check.name)
def test_a_frame_has_address_and_control_and_at_most_what_is_taken(check: FrameCheck) -> None:
    rules = FrameRules(check, 10)
    least = 2 if check.size else 1
    for size in range(13):
        accepted = rules.accept(bytes(size) + check.of(bytes(size)), 77)
        if least <= size <= 10:
            assert accepted == bytes(size)
        else:
            assert isinstance(accepted, FrameError)
            length = min(size, 11) + check.size
            fault = Fault.TOO_LONG if size > 10 else Fault.TOO_SHORT
            assert (accepted.fault, accepted.offset, accepted.length) == (fault, 77, length)


def test_a_fault_tells_what_where_and_how_much() -> None:
    assert str(FrameError(Fault.BAD_FCS, 123, 17)) == "bad_fcs at 123: 17 octets"


def test_the_mru_that_every_end_must_take_fits_with_its_header() -> None:
    # RFC 1661 6.1: 1500 octets of information; with address, control and protocol.
    assert FrameRules().accept(bytes(1504) + FCS16.of(bytes(1504)), 0) == bytes(1504)
    assert isinstance(FrameRules().accept(bytes(1505) + FCS16.of(bytes(1505)), 0), FrameError)
