"""The network that is written down answers as the kernel's does, so that the specification may run without root."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from tests.support.oracle import Pair, pairs
from tests.support.oracle.network import PORTS, Routes, ports
from tests.support.oracle.packets import CLIENTS
from tests.support.oracle.worlds import FAMILIES, SERVERS, VIPS
from tests.support.wires import Wires
from vipd.model.director import Address
from vipd.spec.routes import Answer, Way

pytestmark = pytest.mark.root

ADDRESSES = sorted(
    {*(a for family in FAMILIES for pool in (CLIENTS, SERVERS, VIPS) for a in pool[family])},
    key=lambda address: (address.version, address),
)


@pytest.fixture(scope="module")
def wires() -> Iterator[Wires]:
    made = Wires()
    with made.lined():
        yield made
    made.close()


@pytest.fixture(scope="module")
def pair(wires: Wires) -> Iterator[Pair]:
    with pairs(wires, 1) as made:
        yield made


def numbered(way: Way, wires: Wires) -> Way:
    """With the kernel's numbers of interfaces instead of those written down."""
    kernels = ports(wires)
    numbers = {port.ifindex: kernels[name].ifindex for name, port in PORTS.items()}
    return way._replace(ifindex=numbers[way.ifindex])


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("address", ADDRESSES, ids=str)
def test_the_way_to_an_address_is_the_kernels(pair: Pair, wires: Wires, port: str, address: Address) -> None:
    kernels = pair.plane.ask(ports(wires)[port].ifindex, address)
    assert kernels == numbered(Routes().ask(PORTS[port].ifindex, address), wires)


def test_a_forgotten_neighbour_is_forgotten_by_both(pair: Pair, wires: Wires) -> None:
    address = ip_address("10.0.0.11")
    pair.neighbour(address, False)
    try:
        kernels = pair.plane.ask(wires.out.ifindex, address)
    finally:
        pair.neighbour(address, True)
    assert kernels.answer is Answer.NO_NEIGHBOUR
    assert kernels == numbered(Routes([address]).ask(PORTS["out"].ifindex, address), wires)
    assert pair.plane.ask(wires.out.ifindex, address).answer is Answer.NEIGHBOUR
