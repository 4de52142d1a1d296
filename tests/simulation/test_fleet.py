"""A router's ways to spread flows: how evenly, and what moves when a director goes or comes."""

from __future__ import annotations

import numpy as np
import pytest

from vipd.simulation.fleet import Ecmp, Fleet

HASHED = np.random.default_rng(1).integers(0, 1 << 32, 200_000, dtype=np.uint32)


def moved(before: Fleet, after: Fleet) -> tuple[float, float]:
    """Share of flows that go elsewhere though their director is still there; and of those whose is not."""
    was, now = before.route(HASHED), after.route(HASHED)
    gone = ~np.isin(was, np.array(after.members, np.uint8))
    return float(((was != now) & ~gone).mean()), float(gone.mean())


@pytest.mark.parametrize("ecmp", Ecmp)
@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_each_director_gets_its_share(ecmp: Ecmp, count: int) -> None:
    fleet = Fleet.of(count, ecmp)
    shares = np.bincount(fleet.route(HASHED), minlength=count + 1)[1:] / len(HASHED)
    assert abs(shares * count - 1).max() < 0.03


def test_a_resilient_group_moves_only_what_it_must() -> None:
    fleet = Fleet.of(10, Ecmp.RESILIENT)
    others, gone = moved(fleet, fleet.lost(3))
    assert others == 0
    assert abs(gone - 1 / 10) < 0.005
    others, gone = moved(fleet, fleet.added())
    assert abs(others - 1 / 11) < 0.005
    assert gone == 0


def test_a_remainder_moves_nearly_everybody() -> None:
    fleet = Fleet.of(10, Ecmp.MODULO)
    others, _ = moved(fleet, fleet.lost(3))
    assert others > 0.75


def test_borders_move_by_their_place() -> None:
    """RFC 2992 section 3: between a quarter and a half of the flows, less the nearer to the middle."""
    fleet = Fleet.of(10, Ecmp.THRESHOLD)
    at_the_edge, in_the_middle = (sum(moved(fleet, fleet.lost(number))) for number in (1, 5))
    assert 0.25 <= in_the_middle < at_the_edge <= 0.5 + 0.06


def test_who_is_lost_gets_nothing_and_who_comes_is_new() -> None:
    fleet = Fleet.of(4, Ecmp.RESILIENT).lost(2).added()
    assert fleet.members == (1, 3, 4, 5)
    assert set(fleet.buckets) == {1, 3, 4, 5}
    shares = np.bincount(np.array(fleet.buckets)) / len(fleet.buckets)
    assert abs(shares[[1, 3, 4, 5]] * 4 - 1).max() < 0.01
