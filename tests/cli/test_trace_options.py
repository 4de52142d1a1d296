"""What people ask a tracer for, and how they are answered where it cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any, Final

import pytest

from vipd.cli.trace_options import network_of, outcomes_of, servers_of, services_of
from vipd.errors import ConfigError
from vipd.model.director import Endpoint, Transport
from vipd.model.outcome import OUTCOMES

V4, V6 = ip_address("192.0.2.10"), ip_address("2001:db8::10")
HTTP: Final = Endpoint(V4, 80, 80, Transport.TCP)
HTTPS: Final = Endpoint(V4, 443, 443, Transport.TCP)
DNS: Final = Endpoint(V4, 53, 53, Transport.UDP)
DNS_TCP: Final = Endpoint(V4, 53, 53, Transport.TCP)
RANGE: Final = Endpoint(V6, 8000, 8010, Transport.TCP)
EVERY: Final = Endpoint(V6, 0, 65535, Transport.UDP)
KNOWN: Final = (HTTP, HTTPS, DNS, DNS_TCP, RANGE, EVERY)
NAMED: Final = {"web": [str(HTTP), str(HTTPS)], "gone": ["192.0.2.99:80/tcp"]}
SERVERS: Final = {ip_address("10.0.0.11"), ip_address("2001:db8:1::11")}


def named() -> Mapping[str, list[str]]:
    return NAMED


def unasked() -> Any:
    raise AssertionError("names are asked for without need")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("192.0.2.10:80/tcp", {HTTP}),
        ("192.0.2.10:80", {HTTP}),
        ("192.0.2.10:53", {DNS, DNS_TCP}),
        ("192.0.2.10:53/UDP", {DNS}),
        ("192.0.2.10", {HTTP, HTTPS, DNS, DNS_TCP}),
        ("192.0.2.10/udp", {DNS}),
        ("192.0.2.10:*/tcp", {HTTP, HTTPS, DNS_TCP}),
        ("[2001:db8::10]:8000-8010/tcp", {RANGE}),
        ("[2001:db8::10]:8003", {RANGE, EVERY}),
        ("[2001:db8::10]:9000", {EVERY}),
        ("2001:db8::10", {RANGE, EVERY}),
        ("[2001:db8::10]/tcp", {RANGE}),
        ("[2001:db8::10]:*/udp", {EVERY}),
    ],
)
def test_a_service_is_meant_by_what_it_listens_on(text: str, meant: set[Endpoint]) -> None:
    assert services_of([text], KNOWN, unasked) == meant


def test_a_service_is_meant_by_its_name_and_several_are_joined() -> None:
    assert services_of(["web"], KNOWN, named) == {HTTP, HTTPS}
    assert services_of(["web", "192.0.2.10:53/udp"], KNOWN, named) == {HTTP, HTTPS, DNS}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("wbe", "--service: no service is called 'wbe'; there are gone, web; allowed is"),
        ("gone", "--service: no service listens on gone; there are 192.0.2.10:443/tcp, "),
        ("192.0.2.11:80/tcp", "--service: no service listens on 192.0.2.11:80/tcp; there are "),
        ("192.0.2.10:81", "--service: no service listens on 192.0.2.10:81; "),
        ("192.0.2.10:80/sctp", "--service: 'sctp' is no transport; allowed is tcp or udp"),
        ("192.0.2.10:http", "--service: 'http' is no port; allowed is "),
        ("192.0.2.10:65536", "--service: '65536' is no port; allowed is "),
        ("192.0.2.10:²", "--service: '²' is no port; allowed is "),
        ("", "--service: no service is called ''; "),
    ],
)
def test_a_service_that_is_none_is_answered_with_those_that_are(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        services_of([text], KNOWN, named)
    assert str(caught.value).startswith(told)


def test_many_services_are_not_all_listed() -> None:
    many = [Endpoint(V4, port, port, Transport.TCP) for port in range(1000, 1020)]
    with pytest.raises(ConfigError, match=r"/tcp and 12 more$"):
        services_of(["192.0.2.1"], many, unasked)


def test_where_nothing_is_served_that_is_said() -> None:
    with pytest.raises(ConfigError, match=r"there are none$"):
        services_of(["192.0.2.1"], (), unasked)


@pytest.mark.parametrize(
    ("texts", "meant"),
    [
        (["forward_dr"], {"forward_dr"}),
        (["drop*"], {name for name in OUTCOMES if name.startswith("drop_")}),
        (["drop"], {name for name in OUTCOMES if name.startswith("drop_")}),
        (["*too_big"], {"pass_too_big", "reply_too_big", "drop_too_big"}),
        (["forward_dr, forward_tun", "pass_icmp"], {"forward_dr", "forward_tun", "pass_icmp"}),
        (["*"], set(OUTCOMES)),
    ],
)
def test_outcomes_are_meant_by_name_pattern_or_action(texts: list[str], meant: set[str]) -> None:
    assert outcomes_of(texts) == meant


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("drop_no_servr", "did you mean drop_no_server"),
        ("dorp", "did you mean drop"),
        ("xyz", "'vipd status --outcomes' lists them"),
        ("drop,", "no outcome is called ''"),
    ],
)
def test_an_outcome_that_is_none_is_answered_with_one_that_is(text: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        outcomes_of([text])


def test_servers_and_clients() -> None:
    assert servers_of(["10.0.0.11"], SERVERS) == {ip_address("10.0.0.11")}
    assert network_of("198.51.100.7") == ip_network("198.51.100.7/32")
    assert network_of("2001:db8::/32") == ip_network("2001:db8::/32")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("10.0.0.12", "--server: 10.0.0.12 is no real server here; there are 10.0.0.11, 2001:db8:1::11"),
        ("web1", "--server: 'web1' does not appear to be an IPv4 or IPv6 address; allowed is an address"),
    ],
)
def test_a_server_that_is_none_is_answered_with_those_that_are(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        servers_of([text], SERVERS)
    assert str(caught.value) == told


@pytest.mark.parametrize("text", ["198.51.100.7/24", "client", "", "10.0.0.0/33"])
def test_a_client_that_is_none_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--client: .*; allowed is ADDRESS or ADDRESS/PREFIX$"):
        network_of(text)
