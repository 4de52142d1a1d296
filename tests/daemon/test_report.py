"""Status and drains as values: sums over endpoints, rates, leftovers, and names of servers."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from vipd.daemon import report
from vipd.daemon.drains import drained_servers, matching_servers, pruned
from vipd.daemon.report import Sample
from vipd.drivers.ledger import Drain
from vipd.drivers.network import Path
from vipd.errors import ConfigError
from vipd.model.director import Director, Endpoint, RealServer, Transport, VirtualService
from vipd.model.state import Counters, Egress, ServerKey

VIP = ip_address("203.0.113.10")
HTTP, HTTPS, OTHER = (Endpoint(VIP, port, port, Transport.TCP) for port in (80, 443, 81))
ONE, TWO = ip_address("10.0.0.1"), ip_address("2001:db8::2")
WEB = VirtualService("web", (HTTP, HTTPS), (RealServer(ONE, weight=3), RealServer(TWO, 8080)))
DIRECTOR = Director(("eth0",), (WEB,))
PATHS = {ONE: Path(Egress.ON_LINK, 2, ONE), TWO: Path(Egress.ROUTED, 2, ip_address("fe80::1"))}


def test_a_server_counts_what_all_its_endpoints_count() -> None:
    now = Sample(10, {ServerKey(HTTP, ONE, None): Counters(active=1), ServerKey(HTTPS, ONE, None): Counters(active=2)})
    (service,) = report.services(DIRECTOR, now, None, frozenset(), PATHS)
    assert [server.active for server in service.servers] == [3, 0]
    assert service.servers[0].rates is None
    assert (service.servers[1].egress, str(service.servers[1].next_hop)) == (Egress.ROUTED, "fe80::1")
    assert report.used(now) == 3


def test_rates_are_what_came_between_two_samples_a_second() -> None:
    key = ServerKey(HTTP, TWO, 8080)
    before, now = Sample(10, {key: Counters(packets_in=100)}), Sample(12, {key: Counters(packets_in=150, bytes_in=9)})
    (service,) = report.services(DIRECTOR, now, before, frozenset(), PATHS)
    rates = service.servers[1].rates
    assert rates is not None
    assert (rates.packets_in, rates.bytes_in, rates.connections) == (25, 4.5, 0)


def test_a_drained_server_is_shown_with_weight_0() -> None:
    (service,) = report.services(DIRECTOR, Sample(0, {}), None, frozenset({("web", ONE, None)}), PATHS)
    assert [(server.drained, server.weight) for server in service.servers] == [(True, 0), (False, 1)]


def test_removed_servers_and_services_are_shown_while_they_have_connections() -> None:
    gone = ip_address("10.0.0.9")
    now = Sample(0, {ServerKey(HTTP, gone, None): Counters(active=1), ServerKey(OTHER, gone, 81): Counters(inactive=2)})
    web, other = report.services(DIRECTOR, now, None, frozenset(), PATHS)
    assert [(str(server.address), server.removed) for server in web.servers][2:] == [("10.0.0.9", True)]
    assert (other.name, other.scheduler, other.servers[0].inactive) == (str(OTHER), None, 2)


@pytest.mark.parametrize("text", ["10.0.0.1", "[10.0.0.1]", "10.0.0.1:80", "10.0.0.1:443"])
def test_a_server_is_named_by_address_or_by_address_and_port(text: str) -> None:
    assert matching_servers(DIRECTOR, "web", text) == (WEB, (WEB.servers[0],))


@pytest.mark.parametrize("text", ["2001:db8::2", "[2001:db8::2]:8080", "2001:0db8:0000:0000:0000:0000:0000:0002"])
def test_an_ipv6_server_is_named_as_people_write_it(text: str) -> None:
    assert matching_servers(DIRECTOR, "web", text) == (WEB, (WEB.servers[1],))


@pytest.mark.parametrize("text", ["", "10.0.0.1:81", "2001:db8::2:8080", "[2001:db8::2]:80", "10.0.0", "web"])
def test_a_name_of_no_server_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="has no server"):
        matching_servers(DIRECTOR, "web", text)


def test_only_drains_of_servers_that_are_gone_are_pruned() -> None:
    kept = Drain(service="web", address=ONE, port=None)
    gone = [Drain(service="web", address=ONE, port=80), Drain(service="wob", address=ONE, port=None)]
    assert pruned(DIRECTOR, [kept, *gone]) == tuple(gone)
    assert drained_servers([kept]) == {("web", ONE, None)}
