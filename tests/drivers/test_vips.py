"""Where each VIP belongs, and that only vipd's own are taken away."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from tests.support.lan import Host, Lan
from vipd.drivers import vips
from vipd.drivers.ledger import AddedAddress, Ledger
from vipd.drivers.network import HeldAddress, Link, Network
from vipd.drivers.network import Path as Way
from vipd.drivers.vips import Placement
from vipd.model.director import Vip
from vipd.model.state import Egress

MAC = bytes.fromhex("020000000001")
LINKS = {
    "lo": Link("lo", 1, bytes(6), False, True, True, True, 0, False),
    "eth0": Link("eth0", 2, MAC, True, False, True, True, 0, False),
    "eth1": Link("eth1", 3, MAC, True, False, True, True, 0, False),
    "ppp0": Link("ppp0", 4, b"", False, False, True, True, 0, False),
}
ADDRESS = ip_address("192.0.2.10")


def placed(
    tmp_path: Path,
    vip: Vip,
    way: Way,
    held: tuple[str, ...] = (),
    owned: str | None = None,
    around: tuple[str, ...] = (),
) -> tuple[str, bool, bool, bool] | None:
    """Interface, ours, present, and whether others can be asked about it."""
    ledger = Ledger(tmp_path / "state.json")
    if owned is not None:
        ledger.add("addresses", (AddedAddress(address=vip.address, interface=owned),))
    addresses = [HeldAddress(vip.address, 32, LINKS[name].ifindex) for name in held]
    addresses += [
        HeldAddress(ip_address(text), int(prefix), 2) for text, prefix in [each.split("/") for each in around]
    ]
    found = vips.place([vip], LINKS, addresses, {vip.address: way}, ledger.contents.addresses)
    if not found:
        return None
    return found[0].interface, found[0].ours, found[0].present, found[0].place is not None


ON_ETH0 = Way(Egress.ON_LINK, 2, ADDRESS)
HERE = Way(Egress.LOCAL, 1)


@pytest.mark.parametrize(
    ("vip", "way", "held", "owned", "expected"),
    [
        pytest.param(Vip(ADDRESS), ON_ETH0, (), None, ("eth0", True, False, True), id="where it is reached through"),
        pytest.param(Vip(ADDRESS, "eth1"), ON_ETH0, (), None, ("eth1", True, False, True), id="where it is named"),
        pytest.param(Vip(ADDRESS, "ppp0"), ON_ETH0, (), None, ("ppp0", True, False, False), id="nobody to ask"),
        pytest.param(Vip(ADDRESS, routed=True), ON_ETH0, (), None, ("lo", True, False, False), id="routed"),
        pytest.param(Vip(ADDRESS, "eth1", True), ON_ETH0, (), None, ("eth1", True, False, False), id="routed, named"),
        pytest.param(
            Vip(ADDRESS),
            Way(Egress.ROUTED, 2, ip_address("192.0.2.1")),
            (),
            None,
            ("lo", True, False, False),
            id="beyond",
        ),
        pytest.param(Vip(ADDRESS), Way(Egress.UNREACHABLE), (), None, ("lo", True, False, False), id="no route"),
        pytest.param(Vip(ADDRESS), HERE, ("eth1",), None, ("eth1", False, True, True), id="there before"),
        pytest.param(Vip(ADDRESS, "eth0"), HERE, ("eth1",), None, ("eth1", False, True, True), id="before, elsewhere"),
        pytest.param(Vip(ADDRESS, "eth0"), HERE, ("eth0",), "eth0", ("eth0", True, True, True), id="ours from before"),
        pytest.param(Vip(ADDRESS, "eth1"), HERE, ("eth0",), "eth0", ("eth1", True, False, True), id="to be moved"),
        pytest.param(Vip(ADDRESS), HERE, ("eth1",), "eth0", ("eth1", False, True, True), id="moved by somebody"),
        pytest.param(Vip(ADDRESS), ON_ETH0, (), "eth0", ("eth0", True, False, True), id="ours, but lost"),
        pytest.param(Vip(ADDRESS), HERE, (), None, None, id="a local route serves it"),
    ],
)
def test_a_vip_belongs_there(
    tmp_path: Path, vip: Vip, way: Way, held: tuple[str, ...], owned: str | None, expected: object
) -> None:
    assert placed(tmp_path, vip, way, held, owned) == expected


@pytest.mark.parametrize("prefix", ["192.0.2.1/24", "192.0.0.1/16"])
def test_from_the_loopback_it_comes_back_to_the_interface_whose_prefix_holds_it(tmp_path: Path, prefix: str) -> None:
    # The interface had gone, and the VIP to the loopback meanwhile: the route says no more than "here".
    assert placed(tmp_path, Vip(ADDRESS), HERE, ("lo",), "lo", (prefix,)) == ("eth0", True, False, True)


@pytest.mark.parametrize("prefix", ["192.0.2.1/32", "192.0.3.1/24"])
def test_an_address_beside_it_draws_it_nowhere(tmp_path: Path, prefix: str) -> None:
    assert placed(tmp_path, Vip(ADDRESS), HERE, ("lo",), "lo", (prefix,)) == ("lo", True, True, False)


def test_it_waits_for_an_interface_that_is_not_there(tmp_path: Path) -> None:
    assert placed(tmp_path, Vip(ADDRESS, "eth9"), ON_ETH0) is None
    # Meanwhile it is nowhere, also where it was put in another time.
    assert placed(tmp_path, Vip(ADDRESS, "eth9"), HERE, ("eth0",), "eth0") is None


@pytest.fixture
def host(lan: Lan) -> Iterator[Host]:
    before = lan.director.snapshot()
    yield lan.director
    assert lan.director.snapshot() == before


def with_vips(
    host: Host, ledger: Ledger, wanted: list[Vip], work: Callable[[Network, tuple[Placement, ...]], Any]
) -> None:
    def there() -> None:
        network = Network()
        try:
            paths = network.paths([vip.address for vip in wanted])
            work(network, vips.place(wanted, network.links(), network.addresses(), paths, ledger.contents.addresses))
        finally:
            network.close()

    host.inside(there)


@pytest.mark.root
@pytest.mark.parametrize(
    ("address", "interface", "shown"),
    [
        ("192.0.2.10", "eth0", "192.0.2.10/32"),
        ("10.0.0.10", "eth1", "10.0.0.10/32"),
        ("2001:db8:1::10", "eth0", "2001:db8:1::10/128"),
        ("203.0.113.10", "lo", "203.0.113.10/32"),
        ("2001:db8:9::10", "lo", "2001:db8:9::10/128"),
    ],
)
def test_a_vip_is_put_there_and_taken_away(
    host: Host, tmp_path: Path, address: str, interface: str, shown: str
) -> None:
    ledger = Ledger(tmp_path / "state.json")
    wanted = [Vip(ip_address(address))]
    with_vips(host, ledger, wanted, lambda _, found: vips.claim(ledger, found))
    assert shown in host.addresses(interface)
    # A second daemon after a crash: adopted by what the first wrote down.
    second = Ledger(tmp_path / "state.json")
    with_vips(host, second, wanted, lambda _, found: vips.claim(second, found))
    with_vips(host, second, wanted, lambda network, found: vips.release(network, second, found))
    assert shown in host.addresses(interface), "a VIP in its place stays"
    with_vips(host, second, [], lambda network, found: vips.release(network, second, found))
    assert shown not in host.addresses(interface)


@pytest.mark.root
def test_an_ipv6_vip_answers_at_once_and_is_no_source(host: Host, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state.json")
    wanted = [Vip(ip_address("2001:db8:1::10"))]
    with_vips(host, ledger, wanted, lambda _, found: vips.claim(ledger, found))
    shown = json.loads(host.ip("-j", "addr", "show", "dev", "eth0"))[0]["addr_info"]
    vip = next(each for each in shown if each["local"] == "2001:db8:1::10")
    assert not vip.get("tentative")
    assert vip["deprecated"]
    assert json.loads(host.ip("-j", "route", "get", "2001:db8:1::2"))[0]["prefsrc"] == "2001:db8:1::1"
    with_vips(host, ledger, [], lambda network, found: vips.release(network, ledger, found))


@pytest.mark.root
def test_an_address_that_was_there_before_is_left_as_it_was(host: Host, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state.json")
    wanted = [Vip(ip_address("192.0.2.1")), Vip(ip_address("2001:db8:1::1"))]
    with_vips(host, ledger, wanted, lambda _, found: vips.claim(ledger, found))
    assert ledger.contents.addresses == ()
    with_vips(host, ledger, [], lambda network, found: vips.release(network, ledger, found))
    assert {"192.0.2.1/24", "2001:db8:1::1/64"} <= host.addresses("eth0")


@pytest.mark.root
def test_a_vip_moves_to_the_interface_that_is_named_now(host: Host, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state.json")

    def move(network: Network, found: tuple[Placement, ...]) -> None:
        vips.claim(ledger, found)
        vips.release(network, ledger, found)

    with_vips(host, ledger, [Vip(ADDRESS, "eth0")], move)
    with_vips(host, ledger, [Vip(ADDRESS, "eth1")], move)
    assert "192.0.2.10/32" in host.addresses("eth1")
    assert "192.0.2.10/32" not in host.addresses("eth0")
    with_vips(host, ledger, [], move)
