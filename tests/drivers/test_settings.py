"""Sysctls and offloads are changed where forwarding needs it, and put back exactly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.lan import Host, Lan
from vipd.drivers import offloads, sysctls
from vipd.drivers.ledger import Ledger
from vipd.errors import DataplaneError

pytestmark = pytest.mark.root


def get(host: Host, key: str) -> str:
    return host.run("sysctl", "-n", key).stdout.strip()


@pytest.fixture
def host(lan: Lan) -> Iterator[Host]:
    """With the same settings after the test as before."""
    before = lan.director.snapshot()
    yield lan.director
    assert lan.director.snapshot() == before


def apply(host: Host, ledger: Ledger, *interfaces: str, unrouted_sources: bool = False) -> None:
    host.inside(lambda: sysctls.apply(ledger, sysctls.wanted(interfaces, unrouted_sources)))


def test_interfaces_forward_and_send_no_redirects_until_restored(host: Host, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state.json")
    apply(host, ledger, "eth0")
    assert get(host, "net.ipv4.conf.eth0.forwarding") == "1"
    assert get(host, "net.ipv4.conf.eth1.forwarding") == "0"
    assert get(host, "net.ipv6.conf.eth0.forwarding") == "1"
    assert get(host, "net.ipv4.conf.eth0.accept_local") == "1"
    assert get(host, "net.ipv4.conf.eth0.send_redirects") == get(host, "net.ipv4.conf.all.send_redirects") == "0"
    apply(host, Ledger(tmp_path / "state.json"), "eth0")
    host.inside(lambda: sysctls.restore(Ledger(tmp_path / "state.json")))


@pytest.mark.parametrize("where", ["all", "eth0"])
def test_a_strict_reverse_path_becomes_a_loose_one(host: Host, tmp_path: Path, where: str) -> None:
    host.run("sysctl", "-w", f"net.ipv4.conf.{where}.rp_filter=1")
    ledger = Ledger(tmp_path / "state.json")
    apply(host, ledger, "eth0")
    assert get(host, "net.ipv4.conf.eth0.rp_filter") == "2"
    host.inside(lambda: sysctls.restore(ledger))
    assert get(host, f"net.ipv4.conf.{where}.rp_filter") == "1"
    host.run("sysctl", "-w", f"net.ipv4.conf.{where}.rp_filter=0")


@pytest.mark.parametrize("first", [True, False], ids=["at-once", "later"])
@pytest.mark.parametrize(
    ("everywhere", "own", "others"),
    [("0", "0", "0"), ("0", "2", "0"), ("0", "1", "0"), ("1", "0", "1"), ("2", "1", "2"), ("1", "2", "1")],
)
def test_sources_without_a_route_pass_where_they_come_in_and_nowhere_else(
    host: Host, tmp_path: Path, everywhere: str, own: str, others: str, first: bool
) -> None:
    before = {"all": everywhere, "eth0": own}
    for name, value in before.items():
        host.run("sysctl", "-w", f"net.ipv4.conf.{name}.rp_filter={value}")
    started = host.snapshot()
    ledger = Ledger(tmp_path / "state.json")
    if not first:
        apply(host, ledger, "eth0")
    for _ in range(2):
        apply(host, ledger, "eth0", unrouted_sources=True)
        found = {name: get(host, f"net.ipv4.conf.{name}.rp_filter") for name in ("all", "eth0", "eth1", "default")}
        assert found == {"all": "0", "eth0": "0", "eth1": others, "default": others}
    host.inside(lambda: sysctls.restore(ledger))
    assert host.snapshot() == started
    for name in before:
        host.run("sysctl", "-w", f"net.ipv4.conf.{name}.rp_filter=0")


def test_what_somebody_changed_since_is_left_alone(host: Host, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state.json")
    host.run("sysctl", "-w", "net.ipv4.conf.eth0.rp_filter=1")
    apply(host, ledger, "eth0")
    host.run("sysctl", "-w", "net.ipv4.conf.eth0.rp_filter=0")
    host.inside(lambda: sysctls.restore(ledger))
    assert get(host, "net.ipv4.conf.eth0.rp_filter") == "0"


def test_an_interface_that_went_away_is_no_obstacle(host: Host, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state.json")
    host.ip("link", "add", "gone", "type", "veth", "peer", "name", "gone-peer")
    apply(host, ledger, "eth0", "gone")
    host.ip("link", "del", "gone")
    host.inside(lambda: sysctls.restore(ledger))
    assert ledger.contents.sysctls == ()


def test_routes_learned_from_a_router_are_kept(host: Host, tmp_path: Path) -> None:
    # 9 is the protocol of routes from router advertisements.
    ledger = Ledger(tmp_path / "state.json")
    host.ip("-6", "route", "add", "default", "via", "fe80::1", "dev", "eth0", "proto", "ra", "expires", "1000")
    learned = host.ip("-6", "route", "show", "default", "proto", "ra")
    assert "fe80::1" in learned
    apply(host, ledger, "eth1")
    assert "fe80::1" in host.ip("-6", "route", "show", "default", "proto", "ra")
    host.inside(lambda: sysctls.restore(ledger))
    host.ip("-6", "route", "del", "default", "via", "fe80::1", "dev", "eth0")


def test_a_value_that_the_kernel_refuses_is_told_with_its_key(host: Host, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state.json")
    with pytest.raises(DataplaneError, match="net/ipv4/conf/eth0/forwarding cannot be set to x"):
        host.inside(lambda: sysctls.apply(ledger, {"net/ipv4/conf/eth0/forwarding": "x"}))
    host.inside(lambda: sysctls.restore(ledger))


def gro(host: Host) -> bool:
    return "generic-receive-offload: on" in host.run("ethtool", "-k", "eth0").stdout


def test_merging_offloads_are_switched_off_and_put_back(host: Host, tmp_path: Path) -> None:
    host.run("ethtool", "-K", "eth0", "gro", "on")
    ledger = Ledger(tmp_path / "state.json")
    host.inside(lambda: offloads.apply(ledger, "eth0"))
    assert not gro(host)
    host.inside(lambda: offloads.apply(ledger, "eth0"))
    host.inside(lambda: offloads.restore(Ledger(tmp_path / "state.json"), frozenset({"eth0"})))
    assert gro(host)
    host.run("ethtool", "-K", "eth0", "gro", "off")
    assert Ledger(tmp_path / "state.json").contents.offloads == ()


def test_offloads_that_were_off_stay_off(host: Host, tmp_path: Path) -> None:
    host.run("ethtool", "-K", "eth0", "gro", "off")
    ledger = Ledger(tmp_path / "state.json")
    host.inside(lambda: offloads.apply(ledger, "eth0"))
    host.inside(lambda: offloads.restore(ledger, frozenset({"eth0"})))
    assert not gro(host)
