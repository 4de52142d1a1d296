"""A small network for the drivers, for each test module its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.lan import Lan


@pytest.fixture(scope="module")
def lan() -> Iterator[Lan]:
    with Lan() as made:
        yield made
