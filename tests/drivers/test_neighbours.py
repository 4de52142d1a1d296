"""The kernel keeps the neighbours resolved that we name, and forgets them when we are done."""

from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from tests.support.lan import Lan, eventually
from vipd.drivers import neighbours
from vipd.drivers.ledger import Ledger
from vipd.drivers.neighbours import Hop
from vipd.drivers.network import Network

pytestmark = pytest.mark.root


def neighbour(lan: Lan, address: str) -> dict[str, Any] | None:
    found = json.loads(lan.director.ip("-j", "neigh", "show", "to", address, "dev", "eth1"))
    return found[0] if found else None


def with_network(lan: Lan, work: Callable[[Network], Any]) -> Any:
    def there() -> Any:
        network = Network()
        try:
            return work(network)
        finally:
            network.close()

    return lan.director.inside(there)


def keep(lan: Lan, ledger: Ledger, *addresses: str) -> frozenset[Hop]:
    def work(network: Network) -> frozenset[Hop]:
        ifindex = network.links()["eth1"].ifindex
        return neighbours.keep_resolved(network, ledger, {(ip_address(each), ifindex) for each in addresses})

    found: frozenset[Hop] = with_network(lan, work)
    return found


def reachable(lan: Lan, address: str) -> bool:
    found = neighbour(lan, address)
    return found is not None and found.get("lladdr") == lan.server.mac("eth0")


@pytest.mark.parametrize("address", ["10.0.0.2", "2001:db8:2::2"])
def test_the_kernel_resolves_and_manages_a_neighbour_that_nobody_talked_to(
    lan: Lan, tmp_path: Path, address: str
) -> None:
    ledger = Ledger(tmp_path / "state.json")
    unresolved = keep(lan, ledger, address)
    assert {str(each) for each, _ in unresolved} == {address}
    eventually(lambda: reachable(lan, address))
    found = neighbour(lan, address)
    assert found is not None
    assert "managed" in found
    assert keep(lan, ledger, address) == frozenset(), "new ones only are told"
    with_network(lan, lambda network: neighbours.release(network, ledger))
    assert neighbour(lan, address) is None
    assert ledger.contents.neighbours == ()


def test_who_is_named_no_more_is_forgotten_and_the_others_are_not_touched(lan: Lan, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state.json")
    keep(lan, ledger, "10.0.0.2", "10.0.0.3")
    eventually(lambda: reachable(lan, "10.0.0.3"))
    keep(lan, ledger, "10.0.0.3")
    assert neighbour(lan, "10.0.0.2") is None
    assert reachable(lan, "10.0.0.3")
    with_network(lan, lambda network: neighbours.release(network, ledger))


def test_a_changed_mac_is_learned_without_a_word_from_anybody(lan: Lan, tmp_path: Path) -> None:
    # The kernel asks managed neighbours again every base_reachable_time_ms or so.
    ledger = Ledger(tmp_path / "state.json")
    lan.director.run("sysctl", "-w", "net.ipv4.neigh.eth1.base_reachable_time_ms=500")
    lan.director.run("sysctl", "-w", "net.ipv4.neigh.eth1.delay_first_probe_time=1")
    keep(lan, ledger, "10.0.0.2")
    eventually(lambda: reachable(lan, "10.0.0.2"))
    lan.server.run("sysctl", "-w", "net.ipv4.conf.eth0.arp_notify=0")
    lan.server.ip("link", "set", "dev", "eth0", "address", "02:00:00:00:99:99")
    eventually(lambda: reachable(lan, "10.0.0.2"), within=20)
    with_network(lan, lambda network: neighbours.release(network, ledger))


def test_a_neighbour_that_somebody_set_by_hand_stays_as_it_is(lan: Lan, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state.json")
    lan.director.ip("neigh", "replace", "10.0.0.77", "lladdr", "02:00:00:00:00:77", "dev", "eth1", "nud", "permanent")
    assert keep(lan, ledger, "10.0.0.77") == frozenset()
    found = neighbour(lan, "10.0.0.77")
    assert found is not None
    assert "managed" not in found
    assert found["state"] == ["PERMANENT"]
    with_network(lan, lambda network: neighbours.release(network, ledger))
    assert neighbour(lan, "10.0.0.77") == found


def test_a_neighbour_on_an_interface_that_went_away_is_forgotten_without_complaint(lan: Lan, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state.json")
    lan.director.ip("link", "add", "gone", "type", "veth", "peer", "name", "gone-peer")
    lan.director.ip("link", "set", "gone", "up")

    def work(network: Network) -> None:
        hop = ip_address("10.5.5.5"), network.links()["gone"].ifindex
        neighbours.keep_resolved(network, ledger, {hop})
        lan.director.ip("link", "del", "gone")
        neighbours.keep_resolved(network, ledger, {hop})
        neighbours.release(network, ledger)

    with_network(lan, work)
    assert ledger.contents.neighbours == ()
