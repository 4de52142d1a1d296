"""A secret is shown by nothing that was not asked for it."""

from __future__ import annotations

import copy
import pickle

import pytest

from vipd.model.secret import Secret
from vipd.ppp.settings import Demand, Identity, Settings

SECRET = Secret(b"open sesame")


@pytest.mark.parametrize(
    "holder",
    [SECRET, Identity("me", SECRET), Settings(demand=Demand({"peer": SECRET}))],
    ids=lambda it: type(it).__name__,
)
def test_no_representation_shows_it(holder: object) -> None:
    for text in (repr(holder), str(holder), f"{holder}", repr([holder])):
        assert "sesame" not in text
        assert "Secret(…)" in text


def test_it_is_told_to_whom_asks() -> None:
    assert SECRET.reveal() == b"open sesame"


@pytest.mark.parametrize(("other", "same"), [(b"open sesame", True), (b"open sesamE", False), (b"", False)])
def test_it_matches_itself_alone(other: bytes, same: bool) -> None:
    assert SECRET.matches(other) is same
    assert (Secret(other) == SECRET) is same


@pytest.mark.parametrize("write", [pickle.dumps, copy.deepcopy])
def test_it_is_written_nowhere(write: object) -> None:
    assert callable(write)
    with pytest.raises(TypeError, match="not written"):
        write(SECRET)
