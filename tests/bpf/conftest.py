"""One loaded data plane for all tests of packets, and one with a table of a single bucket; both new for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyroute2 import IPRoute

from tests.support.bpf import Bpf, loaded
from tests.support.tables import CONSTANTS, Director
from tests.support.wires import LINE_CLIENT, LINE_SERVER, NOARP, Wires


@pytest.fixture(scope="package")
def wires() -> Iterator[Wires]:
    made = Wires()
    with made.lined():
        yield made
    made.close()


@pytest.fixture(params=["unasked", "known"])
def neighbour(wires: Wires, request: pytest.FixtureRequest) -> None:
    """Before the kernel has sent anything there, and after: it keeps a neighbour then, without a MAC."""
    line = wires.line.ifindex
    with wires.entered(), IPRoute() as netlink:
        for entry in netlink.get_neighbours(ifindex=line):
            netlink.neigh("del", ifindex=line, dst=entry.get("NDA_DST"))
        for address in (*LINE_SERVER.values(), *LINE_CLIENT.values()) if request.param == "known" else ():
            netlink.neigh("add", ifindex=line, dst=address, state=NOARP)


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
