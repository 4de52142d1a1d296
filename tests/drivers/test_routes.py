"""Our choice among routes is the kernel's."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest

from tests.support.lan import Lan
from vipd.drivers.network import Memory, Network
from vipd.drivers.routes import DEFAULT, LOCAL, MAIN, Route, Routes, RouteType
from vipd.model.director import Address


@pytest.fixture
def own_lan() -> Iterator[Lan]:
    with Lan() as made:
        yield made


def route(
    destination: str, ifindex: int, table: int = MAIN, metric: int = 0, kind: RouteType = RouteType.UNICAST
) -> Route:
    return Route(table, ip_network(destination), kind, metric, ifindex, None)


def chosen(routes: list[Route], address: str) -> int | None:
    found = Routes(routes).lookup(ip_address(address))
    return None if found is None else found.ifindex


def test_the_longest_prefix_decides() -> None:
    routes = [route("0.0.0.0/0", 1), route("10.0.0.0/8", 2), route("10.1.0.0/16", 3), route("10.1.2.3/32", 4)]
    assert [chosen(routes, address) for address in ("1.1.1.1", "10.9.9.9", "10.1.9.9", "10.1.2.3")] == [1, 2, 3, 4]


def test_the_smaller_metric_decides_between_equal_prefixes_in_either_order() -> None:
    routes = [route("10.0.0.0/8", 1, metric=200), route("10.0.0.0/8", 2, metric=100)]
    assert chosen(routes, "10.0.0.1") == chosen(routes[::-1], "10.0.0.1") == 2


def test_the_local_table_comes_before_main_and_that_before_default() -> None:
    routes = [route("10.0.0.1/32", 1), route("10.0.0.0/8", 2, LOCAL), route("10.0.0.0/8", 3, DEFAULT)]
    assert chosen(routes, "10.0.0.1") == 2
    assert chosen(routes[::2], "10.0.0.2") == 3


def test_a_throw_route_leads_to_the_next_table() -> None:
    routes = [route("10.0.0.0/8", 1, kind=RouteType.THROW), route("10.0.0.0/8", 2, DEFAULT)]
    assert chosen(routes, "10.0.0.1") == 2


def test_families_do_not_mix() -> None:
    assert chosen([route("::/0", 1)], "10.0.0.1") is None
    assert chosen([route("0.0.0.0/0", 1)], "2001:db8::1") is None


@pytest.mark.root
def test_many_addresses_take_the_ways_that_the_kernel_tells_one_by_one(lan: Lan) -> None:
    host = lan.director
    for arguments in (
        "default via 192.0.2.254",
        "10.0.0.128/25 via 192.0.2.9",
        "10.0.0.200/32 via 10.0.0.9",
        "10.0.0.192/26 via 10.0.0.8 metric 10",
        "172.16.0.0/12 nexthop via 10.0.0.7 nexthop via 10.0.0.7 weight 2",
        "172.16.128.0/17 via inet6 fe80::9 dev eth1",
        "unreachable 172.17.0.0/16",
        "blackhole 172.18.0.0/16",
        "prohibit 172.19.0.0/16",
        "198.18.0.0/15 dev eth1",
        "2001:db8:9::/48 via 2001:db8:2::9",
        "2001:db8:9:1::/64 via 2001:db8:1::9",
        "unreachable 2001:db8:a::/48",
        "local 203.0.113.0/24 dev lo",
    ):
        host.ip("route", "add", *arguments.split())
    chance = random.Random(1)
    networks = ["0.0.0.0/0", "10.0.0.0/24", "172.16.0.0/13", "198.18.0.0/15", "192.0.2.0/24", "203.0.113.0/24"]
    addresses: set[Address] = {IPv4Address("10.0.0.1"), IPv6Address("2001:db8:1::1"), IPv6Address("::1")}
    for network in (ip_network(text) for text in networks):
        numbers = (chance.randrange(1, network.num_addresses - 1) for _ in range(60))
        addresses |= {found for number in numbers if not (found := network[number]).is_multicast}
    for prefix in ("2001:db8:1::", "2001:db8:2::", "2001:db8:9::", "2001:db8:9:1::", "2001:db8:a::", "2001:db9::"):
        addresses |= {IPv6Address(prefix) + chance.randrange(2, 2**60) for _ in range(40)}
    # The kernel answers with a broadcast or its own wisdom for these.
    addresses = {
        each for each in addresses if not (each.version == 4 and (each.is_reserved or int(each) >> 24 in (0, 127)))
    }

    def ask() -> None:
        network = Network()
        try:
            together = network.paths(addresses)
            alone = {address: network.paths([address])[address] for address in addresses}
        finally:
            network.close()
        different = {
            address: (together[address], alone[address]) for address in addresses if together[address] != alone[address]
        }
        assert different == {}

    host.inside(ask)


@pytest.mark.root
def test_many_addresses_are_not_asked_for_one_by_one(lan: Lan, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's rules for multicast routes, which it tells with the others, are no reason to."""

    def work() -> None:
        network = Network()

        def refuse(*told: str, **_: object) -> None:
            raise AssertionError(f"asked for {told}")

        monkeypatch.setattr(network.ip, "route", refuse)
        try:
            network.paths(IPv4Address("10.0.0.1") + number for number in range(100))
        finally:
            network.close()

    lan.director.inside(work)


@pytest.mark.root
@pytest.mark.parametrize(
    "change",
    [
        ("route", "add", "10.9.0.0/16", "via", "10.0.0.9"),
        ("link", "set", "dev", "eth1", "down"),
        ("addr", "add", "10.9.0.1/24", "dev", "eth0"),
        ("rule", "add", "to", "10.9.0.0/16", "lookup", "100", "priority", "50"),
    ],
)
@pytest.mark.parametrize("many", [False, True])
def test_what_is_remembered_ends_with_the_next_change(own_lan: Lan, change: tuple[str, ...], many: bool) -> None:
    lan = own_lan
    lan.director.ip("route", "add", "10.0.0.0/8", "via", "10.0.0.2", "dev", "eth1")
    lan.director.ip("route", "add", "10.9.0.0/24", "via", "192.0.2.2", "table", "100")
    addresses = [IPv4Address("10.9.0.2") + number for number in range(100 if many else 1)]

    def work() -> None:
        memory = Memory()
        network, plain = Network(memory), Network()
        try:
            before = network.told()
            first = dict(network.paths(addresses))
            network.addresses()
            assert network.told() is before
            assert first == plain.paths(addresses)
            subprocess.run(["ip", *change], check=True)
            assert network.told() is not before
            assert dict(network.paths(addresses)) == plain.paths(addresses) != first
            assert network.addresses() == plain.addresses()
        finally:
            network.close()
            plain.close()
            memory.close()

    lan.director.inside(work)


@pytest.mark.root
def test_what_is_remembered_is_not_asked_for_again(lan: Lan, monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        memory = Memory()
        network = Network(memory)
        asked: list[object] = []
        for name in ("route", "get_routes", "get_addr"):
            ask = getattr(network.ip, name)

            def counted(*told: object, _ask: Callable[..., object] = ask, **more: object) -> object:
                asked.append(told)
                return _ask(*told, **more)

            monkeypatch.setattr(network.ip, name, counted)
        try:
            for _ in range(3):
                network.paths([IPv4Address("10.0.0.1"), IPv4Address("192.0.2.7")])
                network.addresses()
        finally:
            network.close()
            memory.close()
        assert len(asked) == 3

    lan.director.inside(work)
