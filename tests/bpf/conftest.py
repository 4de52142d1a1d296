"""One loaded data plane for all tests of packets, and one with a table of a single bucket; both new for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.bpf import Bpf, loaded
from tests.support.tables import CONSTANTS, Director
from tests.support.wires import Wires


@pytest.fixture(scope="package")
def wires() -> Iterator[Wires]:
    made = Wires()
    yield made
    made.close()


@pytest.fixture(scope="package")
def ample() -> Iterator[Bpf]:
    with loaded(buckets=64, **CONSTANTS) as bpf:
        yield bpf


@pytest.fixture(scope="package")
def scant() -> Iterator[Bpf]:
    with loaded(buckets=1, **CONSTANTS) as bpf:
        yield bpf


@pytest.fixture
def director(wires: Wires, ample: Bpf) -> Iterator[Director]:
    made = Director(ample, wires)
    made.clear()
    with wires.entered():
        yield made


@pytest.fixture
def small(wires: Wires, scant: Bpf) -> Iterator[Director]:
    """Room for 16 entries."""
    made = Director(scant, wires)
    made.clear()
    with wires.entered():
        yield made
