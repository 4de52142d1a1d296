"""The fuzz targets themselves: what they check holds for their seeds and for random bytes, without the fuzzer too."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.run import load, targets
from tests.fuzz.supply import Supply


@pytest.mark.parametrize("target", targets())
def test_a_target_holds_for_its_seeds(target: str) -> None:
    check, seeds = load(target)
    assert seeds
    for seed in seeds:
        check(seed)


@pytest.mark.parametrize("target", targets())
@given(data=st.data())
@settings(max_examples=30)
def test_a_target_holds_for_random_bytes_and_damaged_seeds(target: str, data: st.DataObject) -> None:
    check, seeds = load(target)
    seed = data.draw(st.sampled_from(seeds))
    size = data.draw(st.integers(0, len(seed)))
    check(seed[:size] + data.draw(st.binary(max_size=20)) + seed[size:])
    check(data.draw(st.binary(max_size=60)))


@given(st.binary(max_size=80))
def test_pieces_are_all_that_is_left(data: bytes) -> None:
    supply = Supply(data)
    assert supply.number(4) <= 4
    assert supply.one_of("abc") in "abc"
    assert b"".join(supply.pieces()) == data[4:]
