"""Pauses grow, stay bounded, differ by lot, and begin anew after a success."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipd.link.backoff import Backoff


def test_each_pause_is_twice_the_last_up_to_the_longest() -> None:
    backoff = Backoff(5)
    assert [backoff.failed(0.5) for _ in range(6)] == [0.5, 1, 2, 4, 5, 5]


def test_a_success_begins_anew() -> None:
    backoff = Backoff(5)
    for _ in range(4):
        backoff.failed(0.5)
    backoff.succeeded()
    assert backoff.failed(0.5) == 0.5


def test_a_longest_pause_below_the_first_holds_from_the_start() -> None:
    assert Backoff(0.2).failed(0.5) == pytest.approx(0.2)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_lots_add_or_take_a_quarter_and_no_more(lots: list[float]) -> None:
    backoff, steady = Backoff(30), Backoff(30)
    for lot in lots:
        middle = steady.failed(0.5)
        assert 0.75 * middle <= backoff.failed(lot) <= 1.25 * middle
