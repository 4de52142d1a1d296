"""Weighted round robin: exact where the cycle is short, near enough where it is not."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vipd.control import wrr

WEIGHTS = st.lists(st.integers(0, 65535), min_size=1, max_size=50)


def test_turns_are_interleaved() -> None:
    assert wrr.sequence([4, 2]).tolist() == [0, 1, 0] or wrr.sequence([4, 2]).tolist() == [0, 0, 1]
    assert wrr.sequence([1, 1, 1]).tolist() == [0, 1, 2]
    assert wrr.sequence([0, 5]).tolist() == [1]
    assert wrr.sequence([3, 1]).tolist() in ([0, 0, 1, 0], [0, 1, 0, 0])


def test_no_weight_no_turn() -> None:
    assert wrr.sequence([]).tolist() == []
    assert wrr.sequence([0, 0]).tolist() == []


@given(WEIGHTS)
@settings(deadline=None)
def test_shares_are_those_of_the_weights(weights: list[int]) -> None:
    sequence = wrr.sequence(weights)
    if not any(weights):
        assert len(sequence) == 0
        return
    picks = np.bincount(sequence, minlength=len(weights))
    assert all((count > 0) == (weight > 0) for count, weight in zip(picks.tolist(), weights, strict=True))
    assert np.abs(picks / len(sequence) - np.array(weights) / sum(weights)).max() <= 0.01
    assert len(sequence) <= max(wrr.SHORT, wrr.EACH * len(weights)) + len(weights)


def test_one_heavy_server_keeps_its_share_beside_many_light_ones() -> None:
    for light in (10, 31, 99, 500):
        sequence = wrr.sequence([65535, *[1] * light])
        assert abs(np.count_nonzero(sequence == 0) / len(sequence) - 65535 / (65535 + light)) <= 0.01


@given(st.lists(st.integers(1, 60), min_size=1, max_size=60))
@settings(deadline=None)
def test_a_short_cycle_is_exact(weights: list[int]) -> None:
    picks = np.bincount(wrr.sequence(weights), minlength=len(weights))
    assert (picks * np.gcd.reduce(weights) == np.array(weights)).all()


@given(st.lists(st.integers(1, 20), min_size=2, max_size=20))
@settings(deadline=None)
def test_turns_of_one_server_are_spread_over_the_cycle(weights: list[int]) -> None:
    sequence = wrr.sequence(weights)
    for server in range(len(weights)):
        places = np.flatnonzero(sequence == server)
        gaps = np.diff(np.append(places, places[0] + len(sequence)))
        assert gaps.max() <= 2 * len(sequence) / len(places) + len(weights)
