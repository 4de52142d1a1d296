"""Packets wait for a quarter of a second, then newer ones go; whatever is dropped is counted by a name."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from vipd.link.queue import FEW, FULL, LATE, LATEST, MOST_OCTETS, Queue


def test_packets_leave_in_the_order_in_which_they_came() -> None:
    queue = Queue(Counter())
    for number in range(10):
        queue.put(b"%d" % number, 0.0)
    assert [queue.take(0.1) for _ in range(11)] == [*(b"%d" % number for number in range(10)), None]


def test_what_waited_too_long_makes_room_for_what_is_new() -> None:
    dropped: Counter[str] = Counter()
    queue = Queue(dropped)
    for number in range(10):
        queue.put(b"old %d" % number, 0.0)
    for number in range(FEW):
        queue.put(b"new %d" % number, LATEST)
    assert queue.take(LATEST + 0.01) == b"new 0"
    assert dropped == {LATE: 10}


def test_on_a_line_so_slow_that_all_are_late_the_newest_few_go() -> None:
    dropped: Counter[str] = Counter()
    queue = Queue(dropped)
    for number in range(10):
        queue.put(b"%d" % number, 0.0)
    assert queue.take(60.0) == b"%d" % (10 - FEW)
    assert dropped == {LATE: 10 - FEW}


def test_more_octets_than_a_mebibyte_never_wait() -> None:
    dropped: Counter[str] = Counter()
    queue = Queue(dropped)
    packet = bytes(MOST_OCTETS // 4)
    for _ in range(6):
        queue.put(packet, 0.0)
    assert (len(queue), dropped) == (4, {FULL: 2})


def test_one_packet_waits_however_large_it_is() -> None:
    queue = Queue(Counter())
    queue.put(bytes(2 * MOST_OCTETS), 0.0)
    assert queue.take(0.0) == bytes(2 * MOST_OCTETS)


def test_what_is_cleared_is_counted_under_the_name_given() -> None:
    dropped: Counter[str] = Counter()
    queue = Queue(dropped)
    for _ in range(3):
        queue.put(b"x", 0.0)
    queue.clear("line_lost")
    assert (len(queue), queue.take(0.0), dropped) == (0, None, {"line_lost": 3})


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1), st.integers(1, MOST_OCTETS))))
def test_every_packet_is_given_counted_or_waits(steps: list[tuple[bool, float, int]]) -> None:
    dropped: Counter[str] = Counter()
    queue = Queue(dropped)
    now, put, taken = 0.0, 0, 0
    for is_put, pause, size in steps:
        now += pause
        if is_put:
            queue.put(bytes(size), now)
            put += 1
        elif queue.take(now) is not None:
            taken += 1
    assert put == taken + len(queue) + dropped.total()
