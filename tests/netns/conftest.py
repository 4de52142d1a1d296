"""A lab with a running director for each test that asks for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TypeAlias

import pytest

from tests.support.labs import Site, site
from vipd.lab.topology import TOPOLOGIES

MakeSite: TypeAlias = Callable[..., Site]


@pytest.fixture
def lab() -> Iterator[MakeSite]:
    """`lab("nat")`, or `lab("dr", configuration, start=False)`; removed, and its books audited, at the end."""
    with ExitStack() as stack:

        def make(topology: str, configuration: str | None = None, start: bool = True) -> Site:
            return stack.enter_context(site(TOPOLOGIES[topology], configuration, start))

        yield make


@pytest.fixture(scope="module", params=TOPOLOGIES)
def each_site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """One lab for all tests of a module, for each topology in turn."""
    with site(TOPOLOGIES[request.param]) as made:
        yield made
