"""What the demo calls wrong: each way in which it can fail, alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from vipd.lab.frames import Addresses, Packet, Paths, Sighting
from vipd.lab.topology import DR, NAT, P2P, TUN, Topology
from vipd.lab.verdict import Across, Observed, across_as_data, as_data, problems, problems_across
from vipd.model.director import Transport

SHARES: Mapping[str, int] = {"server1": 100, "server2": 100, "server3": 100}
ANY_PACKET = Packet(Addresses(DR.vip_address(4), DR.vip_address(4)), "tcp", 1, 80)


def hops(*names: str) -> tuple[Sighting, ...]:
    return tuple(Sighting(one, other, ANY_PACKET) for one, other in pairwise(names))


THERE = hops("client", "router", "director", "server2")
DIRECT = Paths(THERE, hops("server2", "router", "client"))
BY_DIRECTOR = Paths(THERE, hops("server2", "director", "router", "client"))


def right(topology: Topology) -> Observed:
    by_director = topology is NAT
    return Observed(
        service=topology.service(Transport.TCP),
        family=4,
        sent=300,
        answered=300,
        servers=SHARES,
        clients={"198.51.100.2": 300},
        errors={},
        forwarded=SHARES,
        packets_out=1500 if by_director else 0,
        replies_seen=1500 if by_director else 0,
        paths=BY_DIRECTOR if by_director else DIRECT,
    )


@pytest.mark.parametrize("topology", [NAT, DR, TUN], ids=["nat", "dr", "tun"])
def test_what_is_right_is_not_found_wrong(topology: Topology) -> None:
    assert list(problems(topology, right(topology))) == []


@pytest.mark.parametrize(
    ("topology", "change", "told"),
    [
        (NAT, {"answered": 299, "errors": {"timeout": 1}}, "1 of 300 requests were lost (1 timeout)"),
        (DR, {"clients": {"203.0.113.2": 300}}, "servers saw 203.0.113.2 instead of the client's 198.51.100.2"),
        (NAT, {"packets_out": 0, "replies_seen": 0}, "no reply passed through the director"),
        (NAT, {"packets_out": 1499}, "the director counted 1499 replies, 1500 left it on the wire"),
        (DR, {"packets_out": 3, "replies_seen": 3}, "3 replies passed through the director"),
        (TUN, {"replies_seen": 3}, "the director counted 0 replies, 3 left it on the wire"),
        (DR, {"forwarded": {**SHARES, "server1": 99}}, "server1 answered 100 connections, the director counted 99"),
        (NAT, {"paths": DIRECT}, "a reply went by server2 → router → client, which is not the way of nat"),
        (DR, {"paths": BY_DIRECTOR}, "which is not the way of dr"),
        (DR, {"paths": Paths(hops("client", "router", "server2"), DIRECT.back)}, "a request went by client → router"),
        (DR, {"paths": Paths(THERE, ())}, "a reply went by nowhere"),
        (DR, {"paths": Paths(THERE, hops("server2", "router"))}, "a reply went by server2 → router instead"),
    ],
)
def test_each_mistake_is_found(topology: Topology, change: dict[str, Any], told: str) -> None:
    found = list(problems(topology, replace(right(topology), **change)))
    assert len(found) == 1, found
    assert told in found[0]


@pytest.mark.parametrize(
    ("shares", "wrong"),
    [
        ({"server1": 101, "server2": 100, "server3": 99}, ["server3"]),
        ({"server1": 101, "server2": 101, "server3": 98}, ["server3"]),
        ({"server1": 150, "server2": 150}, ["server1", "server2", "server3"]),
    ],
)
def test_turns_are_exact(shares: dict[str, int], wrong: list[str]) -> None:
    found = list(problems(DR, replace(right(DR), servers=shares, forwarded=shares)))
    assert [problem.split()[0] for problem in found] == wrong


def test_a_remainder_goes_to_any_of_the_servers() -> None:
    shares = {"server1": 100, "server2": 101, "server3": 101}
    assert list(problems(DR, replace(right(DR), sent=302, answered=302, servers=shares, forwarded=shares))) == []


def test_the_json_object_says_it_in_plain_words() -> None:
    told = as_data(NAT, right(NAT))
    assert told["problems"] == []
    assert {key: told[key] for key in ("method", "family", "transport", "sent", "answered", "servers")} == {
        "method": "nat",
        "family": "ipv4",
        "transport": "tcp",
        "sent": 300,
        "answered": 300,
        "servers": dict(SHARES),
    }
    assert told["client_address_seen"] is True
    assert told["replies_through_director"] is True
    assert as_data(DR, right(DR))["replies_through_director"] is False
    assert as_data(DR, replace(right(DR), clients={"203.0.113.2": 1}))["client_address_seen"] is False


REFUSED = "10.3.0.13 is behind a point-to-point link, which has no MAC addresses; dr needs Ethernet"
ACROSS = Across(line="line", refusal=REFUSED, frames=("frame 1",), bits="01111110", seen=9, carried=4, routed=4)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"refusal": ""}, "direct routing over the line is not refused: nothing is said"),
        ({"refusal": "good"}, "direct routing over the line is not refused: good"),
        ({"carried": 3}, "the director left 4 packets for the line to the kernel, 3 went over it"),
        ({"carried": 0, "routed": 0}, "no request went over line"),
    ],
)
def test_each_mistake_on_a_line_is_found(change: dict[str, Any], told: str) -> None:
    assert list(problems_across(ACROSS)) == []
    found = list(problems_across(replace(ACROSS, **change)))
    assert found == [told]
    assert across_as_data(P2P, replace(ACROSS, **change))["problems"] == found


def test_where_there_is_a_line_the_request_that_is_watched_must_have_gone_over_it() -> None:
    web = P2P.service(Transport.TCP)
    near = replace(right(NAT), service=web)
    assert list(problems(P2P, near)) == ["no request went over a line, but by client → router → director → server2"]
    far = Paths(hops("client", "router", "director", "server3"), hops("server3", "director", "router", "client"))
    assert list(problems(P2P, replace(near, paths=far))) == []
