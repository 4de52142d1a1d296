"""The lab's topologies, and that a topology which contradicts itself cannot be made."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from vipd.lab.configuration import director_configuration
from vipd.lab.network import forwards
from vipd.lab.topology import (
    DR,
    FAMILIES,
    NAT,
    P2P,
    TOPOLOGIES,
    TUN,
    End,
    Host,
    Line,
    Link,
    Role,
    Topology,
    TopologyError,
    ends_of,
    methods_of,
    uplink_address,
)
from vipd.model.director import Method, Transport

EACH = pytest.mark.parametrize("topology", TOPOLOGIES.values(), ids=TOPOLOGIES)


@EACH
def test_every_address_is_given_once(topology: Topology) -> None:
    places = [(link.segment, link.number) for host in topology.hosts for link in host.links]
    places.append((topology.vip.segment, topology.vip.number))
    addresses = [topology.segment(segment).address(number, family) for segment, number in places for family in FAMILIES]
    assert [address for address, times in Counter(addresses).items() if times > 1] == []


@EACH
def test_no_two_segments_share_addresses(topology: Topology) -> None:
    every = (*topology.segments, *topology.lines)
    for number, one in enumerate(every):
        for other in every[number + 1 :]:
            assert not one.ipv4.overlaps(other.ipv4)
            assert not one.ipv6.overlaps(other.ipv6)


@EACH
def test_there_are_a_client_a_director_and_three_servers(topology: Topology) -> None:
    assert topology.client.role is Role.CLIENT
    assert topology.director.role is Role.DIRECTOR
    assert [host.name for host in topology.servers] == ["server1", "server2", "server3"]
    assert {service.transport for service in topology.services} == set(Transport)


def test_each_method_has_a_topology_and_the_line_those_that_can_cross_it() -> None:
    assert {name: methods_of(topology) for name, topology in TOPOLOGIES.items()} == {
        **{str(method): (method,) for method in Method},
        "p2p": (Method.NAT, Method.TUN),
    }


def test_one_server_is_at_the_end_of_a_line_and_answers_clients_by_its_uplink() -> None:
    [line] = P2P.lines
    near, far = ends_of(P2P, line)
    assert (near, far, far.role) == (P2P.director, P2P.servers[2], Role.SERVER)
    assert {host.device_on("line") for host in (near, far)} == {"ppp0"}
    assert (far.gateway, far.uplink) == ("director", "router")
    assert P2P.gateway_address(far, 4) is None
    assert str(uplink_address(P2P, far, 4)) == "192.0.2.1"
    assert str(P2P.gateway_address(P2P.servers[0], 4)) == "10.0.0.1"
    assert str(uplink_address(P2P, P2P.servers[0], 6)) == "2001:db8:113::1"
    assert uplink_address(P2P, P2P.client, 4) is None
    assert not any("line" in port for port, _, _ in P2P.ports())


def test_under_nat_the_servers_answer_by_way_of_the_director() -> None:
    assert {host.gateway for host in NAT.servers} == {"director"}
    assert forwards(NAT, NAT.director)


@pytest.mark.parametrize("topology", [DR, TUN], ids=["dr", "tun"])
def test_otherwise_they_answer_by_way_of_the_router(topology: Topology) -> None:
    assert {host.gateway for host in topology.servers} == {"router"}
    assert not forwards(topology, topology.director)


def test_dr_has_director_and_servers_on_the_segment_of_the_vip() -> None:
    assert all(host.link_on(DR.vip.segment) for host in (DR.director, *DR.servers))


def test_tun_has_no_server_on_a_segment_of_the_director() -> None:
    segments = {link.segment for link in TUN.director.links}
    assert not any(host.link_on(segment) for host in TUN.servers for segment in segments)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_address_has_the_same_digits_in_both_families(family: int) -> None:
    assert str(DR.vip_address(family)) == {4: "203.0.113.10", 6: "2001:db8:113::10"}[family]


def test_a_gateway_is_named_by_its_address_on_the_shared_segment() -> None:
    assert str(NAT.gateway_address(NAT.servers[0], 4)) == "10.0.0.1"
    assert str(NAT.gateway_address(NAT.director, 6)) == "2001:db8:113::1"
    assert NAT.gateway_address(NAT.host("router"), 4) is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"vip": Link("lan", 1)}, "number 1 on lan is given twice"),
        ({"vip": Link("moon", 1)}, "there is no segment moon"),
        ({"hosts": DR.hosts[1:]}, "there is no client"),
        ({"hosts": (*DR.hosts, DR.hosts[-1])}, "the name server3 is given twice"),
        ({"hosts": (*DR.hosts, Host("Big", Role.CLIENT, (Link("far", 9),)))}, "not lower-case"),
        ({"hosts": (*DR.hosts, Host("switch", Role.CLIENT, (Link("far", 9),)))}, "the name switch is given twice"),
        ({"hosts": (*DR.hosts, Host("averylongname", Role.CLIENT, (Link("far", 9),)))}, "more than 15 characters"),
        ({"hosts": (*DR.hosts, Host("lonely", Role.CLIENT, ()))}, "lonely has no link"),
        ({"hosts": (*DR.hosts, Host("lost", Role.CLIENT, (Link("far", 9),), "server1"))}, "on no segment of its own"),
        ({"hosts": (*DR.hosts, Host("lost", Role.CLIENT, (Link("far", 9),), "nobody"))}, "on no segment of its own"),
    ],
)
def test_a_contradiction_is_refused(change: dict[str, object], told: str) -> None:
    with pytest.raises(TopologyError, match=told):
        replace(DR, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"lines": ()}, "there is no line line"),
        ({"lines": (*P2P.lines, Line("spare", P2P.segments[0].ipv4, P2P.segments[0].ipv6))}, "line spare has not two"),
        ({"hosts": P2P.hosts[:-1]}, "line line has not two ends"),
        ({"hosts": (*P2P.hosts[:-1], replace(P2P.hosts[-1], links=(End("line", 1), Link("city", 13))))}, "different"),
        ({"vip": Link("line", 10)}, "there is no segment line"),
        ({"hosts": (*P2P.hosts[:-1], replace(P2P.hosts[-1], uplink="client"))}, "the uplink of server3, client, is on"),
    ],
)
def test_a_line_that_contradicts_itself_is_refused(change: dict[str, object], told: str) -> None:
    with pytest.raises(TopologyError, match=told):
        replace(P2P, **change)  # type: ignore[arg-type]


def test_every_contradiction_is_told_at_once() -> None:
    with pytest.raises(TopologyError) as caught:
        replace(DR, hosts=DR.hosts[1:], vip=Link("moon", 1))
    assert "there is no client" in str(caught.value)
    assert "there is no segment moon" in str(caught.value)


@EACH
def test_the_configuration_names_every_service_in_both_families(topology: Topology) -> None:
    text = director_configuration(topology)
    for service in topology.services:
        assert f'listen: "203.0.113.10:{service.port}/{service.transport}"' in text
        assert f'listen: "[2001:db8:113::10]:{service.port}/{service.transport}"' in text
    for method in methods_of(topology):
        assert text.count(f"method: {method}\n") == 2 * sum(each.method is method for each in topology.services)
    assert text.count("scheduler: rr") == 2 * len(topology.services)


def test_only_nat_maps_ports() -> None:
    assert '- "10.0.0.11:8080"' in director_configuration(NAT)
    assert '- "[2001:db8:10::11]:8080"' in director_configuration(NAT)
    assert '- "203.0.113.11"' in director_configuration(DR)


def test_a_network_stays_inside_its_documentation_prefix() -> None:
    # Of the documentation's prefixes and of private ones: nothing that is somebody's.
    allowed = [IPv4Network(each) for each in ("198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/24", "10.0.0.0/8")]
    for topology in TOPOLOGIES.values():
        for segment in (*topology.segments, *topology.lines):
            assert any(segment.ipv4.subnet_of(network) for network in allowed)
            assert str(segment.ipv6).startswith("2001:db8:")
