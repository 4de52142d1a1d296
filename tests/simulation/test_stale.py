"""Ports that a director knows from before are counted as one finds who looks at each flow and each entry."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from numpy.random import Generator

from tests.support.fleets import asked
from vipd.simulation import stale
from vipd.simulation.flows import Flows, arranged
from vipd.simulation.generate import Duration, Recipe
from vipd.simulation.staging import made_up
from vipd.simulation.stale import Stale
from vipd.simulation.standing import NOWHERE, Standing, Stays


def flows_of(chance: Generator) -> Flows:
    """Few clients with few ports, so that most come again."""
    scene, _ = made_up(asked(), Recipe(2000, 5, 20.0, Duration(3.0)))
    made = scene.flows[0]
    port = (1000 + chance.integers(0, 30, made.count)).astype(np.uint16)
    again, _ = arranged(
        made.endpoint,
        made.addresses,
        made.client,
        port,
        made.service_port,
        made.start,
        made.end,
        np.arange(made.count),
        0,
    )
    return again


def standing_of(flows: Flows, chance: Generator) -> Standing:
    standing = Standing.of(flows.start)
    standing.home[:] = chance.integers(0, 4, flows.count)
    standing.gone[:] = flows.end + chance.integers(0, 9000, flows.count).astype(np.uint32)
    rows = np.sort(chance.choice(flows.count, 300))
    until = flows.end[rows] + np.uint32(20_000)
    directors = chance.integers(1, 4, 300).astype(np.uint8)
    written = np.zeros(300, np.int64)
    return replace(standing, left=Stays(rows, directors, np.zeros(300, np.uint16), flows.start[rows], until, written))


def by_hand(flows: Flows, standing: Standing, rows: list[int], directors: list[int], moments: list[int]) -> int:
    names = [(int(flows.client[row]), int(flows.port[row])) for row in range(flows.count)]
    members: dict[object, list[int]] = defaultdict(list)
    for row, name in enumerate(names):
        members[name].append(row)
    entries: dict[object, list[tuple[int, int, bool]]] = defaultdict(list)
    for row in range(flows.count):
        if standing.home[row] != NOWHERE:
            entries[names[row], int(standing.home[row])].append((row, int(standing.gone[row]), True))
    for row, director, until in zip(standing.left.flow, standing.left.director, standing.left.until, strict=True):
        entries[names[row], int(director)].append((int(row), int(until), False))
    found = 0
    for row, director, moment in zip(rows, directors, moments, strict=True):
        earlier = [other for other in members[names[row]] if other < row]
        ended = earlier[-1] if earlier and moment == flows.start[row] else None
        found += any(
            other < row and until > moment and not (other == ended and in_place)
            for other, until, in_place in entries[names[row], director]
        )
    return found


@pytest.mark.parametrize("pairs", [stale.PAIRS, 3])
@pytest.mark.parametrize("at_start", [True, False])
def test_what_is_counted_is_what_one_finds_by_hand(pairs: int, at_start: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stale, "PAIRS", pairs)
    chance = np.random.default_rng(3)
    flows = flows_of(chance)
    assert len(flows.follows) > 500
    standing = standing_of(flows, chance)
    rows = np.sort(chance.choice(flows.count, 700, replace=False))
    directors = chance.integers(1, 4, 700).astype(np.uint8)
    moments = flows.start[rows] if at_start else np.full(700, 60_000, np.uint32)
    found = Stale(flows, standing)
    found.look(rows, directors, moments)
    assert found.count == by_hand(flows, standing, rows.tolist(), directors.tolist(), moments.tolist()) > 10


def test_where_no_port_comes_again_nothing_is_counted() -> None:
    scene, _ = made_up(asked(), Recipe(500, 400, 20.0, Duration(3.0)))
    flows = scene.flows[0]
    assert not len(flows.follows)
    found = Stale(flows, Standing.of(flows.start))
    rows = np.arange(flows.count)
    found.look(rows, np.ones(flows.count, np.uint8), flows.start)
    assert found.count == 0
