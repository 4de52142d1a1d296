"""Many changes at once: each is carried out, and each error is told of the one that it is about."""

from __future__ import annotations

import errno
import json
from ipaddress import ip_address

import pytest

from tests.support.lan import Lan
from vipd.drivers.network import Network
from vipd.drivers.requests import add_address, carry_out, forget_neighbour, manage_neighbour, remove_address

pytestmark = pytest.mark.root


def test_a_thousand_addresses_come_and_go(lan: Lan) -> None:
    before = lan.director.addresses("lo")
    addresses = [ip_address("10.99.0.0") + number for number in range(1000)]
    addresses += [ip_address("2001:db8:99::1") + number for number in range(100)]
    added = lan.director.inside(lambda: carry_out([add_address(address, 1) for address in addresses]))
    assert added == [0] * 1100
    assert lan.director.addresses("lo") - before == {f"{each}/{each.max_prefixlen}" for each in addresses}
    removed = lan.director.inside(lambda: carry_out([remove_address(address, 1) for address in addresses]))
    assert removed == [0] * 1100
    assert lan.director.addresses("lo") == before


def test_an_error_is_told_of_the_request_that_it_is_about(lan: Lan) -> None:
    one, two = ip_address("10.99.1.1"), ip_address("2001:db8:99::9")
    requests = [add_address(one, 1), add_address(one, 1), add_address(two, 1), remove_address(two, 4095)] * 30
    results = lan.director.inside(lambda: carry_out(requests))
    assert results[:4] == [0, errno.EEXIST, 0, errno.ENODEV]
    assert results[4:] == [errno.EEXIST, errno.EEXIST, errno.EEXIST, errno.ENODEV] * 29
    assert lan.director.inside(lambda: carry_out([remove_address(each, 1) for each in (one, two)])) == [0, 0]


def test_nothing_is_asked_where_nothing_is_to_be_done() -> None:
    assert carry_out([]) == []


@pytest.mark.parametrize("address", ["10.0.0.2", "2001:db8:2::2"])
def test_a_managed_neighbour_is_made_and_forgotten(lan: Lan, address: str) -> None:
    def links() -> int:
        network = Network()
        try:
            return network.links()["eth1"].ifindex
        finally:
            network.close()

    index, hop = lan.director.inside(links), ip_address(address)
    assert lan.director.inside(lambda: carry_out([manage_neighbour(hop, index)])) == [0]
    (found,) = json.loads(lan.director.ip("-j", "neigh", "show", "to", address, "dev", "eth1"))
    assert "managed" in found
    assert lan.director.inside(lambda: carry_out([forget_neighbour(hop, index)] * 2)) == [0, errno.ENOENT]
