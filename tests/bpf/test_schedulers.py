"""Which server a new connection gets: shares, least connections, and hashes that this test computes by itself."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.bpf import XDP_DROP, XDP_TX
from tests.support.hashes import client_slot, flow_hash, siphash
from tests.support.marks import each_family
from tests.support.packets import FAMILIES, PORT, altered, framed, request, segment
from tests.support.tables import MAGLEV, TCP, UDP, Director, Load
from tests.support.wires import CLIENT, VIP, server
from vipd.dataplane._abi import Method, Scheduler, ServerStatus, ServiceFlag

# SipHash, appendix A: the test vector of SipHash-2-4.
APPENDIX_A: Final = 0xA129CA6149BE45E5


def pool(
    director: Director, family: int, scheduler: Scheduler, weights: list[int], protocol: int = TCP, flags: int = 0
) -> tuple[int, list[int]]:
    """A service, and servers that get the packet through the kernel: which one it was tells the entry."""
    service = director.service(VIP[family], PORT, protocol, scheduler, flags=flags)
    servers = [
        director.server(service, server(family, n + 1), Method.DR, weight=weight) for n, weight in enumerate(weights)
    ]
    return service, servers


def place(director: Director, frame: bytes) -> int:
    """The server of the only connection that the frame made."""
    before = {entry.position for entry in director.connections()}
    director.run(frame)
    [new] = [entry for entry in director.connections() if entry.position not in before]
    return new.real_server


def syn(director: Director, family: int, port: int, client: str = "") -> bytes:
    return framed(altered(segment(family, sport=port), src=client or CLIENT[family]), director.wires.out)


def test_the_tests_siphash_is_siphash() -> None:
    key = bytes(range(16))
    halves = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    assert siphash(bytes(range(15)), halves, 2, 4) == APPENDIX_A


@each_family
def test_rr_takes_turns_exactly(director: Director, family: int) -> None:
    service, servers = pool(director, family, Scheduler.RR, [1, 1, 1])
    director.serve(service, servers)
    chosen = [place(director, syn(director, family, 1024 + n)) for n in range(12)]
    assert chosen == servers * 4


@each_family
def test_wrr_gives_each_its_weight(director: Director, family: int) -> None:
    service, (a, b, c) = pool(director, family, Scheduler.WRR, [4, 2, 1])
    turns = [a, b, a, c, a, b, a]  # as the control plane interleaves them
    director.serve(service, turns)
    chosen = [place(director, syn(director, family, 1024 + n)) for n in range(70)]
    assert chosen == turns * 10
    assert Counter(chosen) == {a: 40, b: 20, c: 10}


def overhead(load: Load) -> int:
    return load.active * 256 + load.inactive


def least(loads: list[Load], weights: list[int], weighted: bool) -> int | None:
    """LVS's choice, ip_vs_wlc.c: the first whose overhead over weight is smaller than any before."""
    best: int | None = None
    for n, (load, weight) in enumerate(zip(loads, weights, strict=True)):
        if not weight:
            continue
        if best is None:
            best = n
            continue
        ours, theirs = (weights[best], weight) if weighted else (1, 1)
        if overhead(loads[best]) * theirs > overhead(load) * ours:
            best = n
    return best


counts = st.integers(0, 5000)
pools = st.lists(
    st.tuples(st.builds(Load, counts, counts), st.one_of(st.just(0), st.integers(1, 65535), st.just(65535))),
    min_size=1,
    max_size=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=pools, weighted=st.booleans(), family=st.sampled_from(FAMILIES))
def test_lc_and_wlc_choose_as_lvs_does_and_never_weight_0(
    director: Director, drawn: list[tuple[Load, int]], weighted: bool, family: int
) -> None:
    director.clear()
    weights = [weight for _, weight in drawn]
    service, servers = pool(director, family, Scheduler.WLC if weighted else Scheduler.LC, weights)
    # Only those with a weight are listed; one whose weight was just set to 0 may still be.
    director.serve(service, servers)
    for number, (load, _) in zip(servers, drawn, strict=True):
        director.set_load(number, load.active, load.inactive)
    wanted = least([load for load, _ in drawn], weights, weighted)
    if wanted is None:
        assert "CONNECTION_NEW" not in director.run(syn(director, family, 1024)).events
    else:
        assert place(director, syn(director, family, 1024)) == servers[wanted]


@pytest.mark.parametrize(("inactive", "chosen"), [(255, 1), (256, 0), (257, 0)])
@pytest.mark.parametrize("scheduler", [Scheduler.LC, Scheduler.WLC])
def test_an_active_connection_is_as_heavy_as_256_others(
    director: Director, scheduler: Scheduler, inactive: int, chosen: int
) -> None:
    """Linux 6.12, include/net/ip_vs.h ip_vs_dest_conn_overhead; the first of equals is taken."""
    service, servers = pool(director, 4, scheduler, [1, 1])
    director.serve(service, servers)
    director.set_load(servers[0], 1, 0)
    director.set_load(servers[1], 0, inactive)
    assert place(director, syn(director, 4, 1024)) == servers[chosen]


def test_least_connections_even_out(director: Director) -> None:
    service, servers = pool(director, 4, Scheduler.LC, [1, 1, 1])
    director.serve(service, servers)
    for n in range(90):
        director.run(syn(director, 4, 1024 + n))
    assert [director.load(number) for number in servers] == [Load(30, 0)] * 3


def test_weighted_least_connections_follow_the_weights(director: Director) -> None:
    service, servers = pool(director, 4, Scheduler.WLC, [3, 2, 1])
    director.serve(service, servers)
    for n in range(300):
        director.run(syn(director, 4, 1024 + n))
    assert [director.load(number) for number in servers] == [Load(150, 0), Load(100, 0), Load(50, 0)]


@each_family
@pytest.mark.parametrize("scheduler", [Scheduler.SH, Scheduler.MH])
@pytest.mark.parametrize("flags", [0, ServiceFlag.MH_PORT], ids=["address", "port-too"])
def test_hashing_schedulers_choose_the_slot_that_siphash_says(
    director: Director, family: int, scheduler: Scheduler, flags: int
) -> None:
    service, servers = pool(director, family, scheduler, [1] * 7, flags=flags)
    slots = [servers[n * 3 % 7] for n in range(101)]
    director.serve(service, slots)
    for n in range(60):
        client = {4: f"198.51.100.{n + 100}", 6: f"2001:db8:7::{n:x}:1"}[family]
        port = 1024 + n
        wanted = slots[client_slot(client, port if flags else 0, 101)]
        assert place(director, syn(director, family, port, client)) == wanted


@each_family
@pytest.mark.parametrize("scheduler", [Scheduler.SH, Scheduler.MH])
def test_a_client_keeps_its_server_whatever_its_port(director: Director, family: int, scheduler: Scheduler) -> None:
    service, servers = pool(director, family, scheduler, [1] * 5)
    director.serve(service, [servers[n % 5] for n in range(101)])
    assert len({place(director, syn(director, family, 1024 + n)) for n in range(20)}) == 1


def test_hashes_differ_with_the_secret() -> None:
    """Nobody who does not know the key can aim at one server."""
    data = bytes(24)
    found = [siphash(data, (key, 0)) for key in range(8)]
    assert all(a != b for a, b in pairwise(found))
    # The table's hash has a key too: equal low words of two flows do not make equal hashes.
    hashes = {flow_hash(CLIENT[4], VIP[4], port, PORT, TCP) & 0xFFF for port in range(1024, 1124)}
    assert len(hashes) > 90


@each_family
@pytest.mark.parametrize("scheduler", list(Scheduler), ids=lambda each: each.name.lower())
def test_a_drained_server_keeps_what_it_has_and_gets_nothing_new(
    director: Director, family: int, scheduler: Scheduler
) -> None:
    service, (a, b) = pool(director, family, scheduler, [1, 1])
    director.serve(service, [a])
    known = syn(director, family, 1024)
    assert place(director, known) == a
    director.change_server(a, weight=0)
    director.serve(service, [b])
    more = framed(segment(family, "A", sport=1024), director.wires.out)
    was = director.run(known).frame[:6], director.run(more).frame[:6]
    assert was == (bytes.fromhex("020000000511"),) * 2
    assert {place(director, syn(director, family, 2000 + n)) for n in range(10)} == {b}


def nobody(director: Director, family: int, protocol: int, how: str) -> None:
    service, (only,) = pool(director, family, Scheduler.WLC, [0], protocol)
    if how == "no-servers":
        director.change_server(only, status=ServerStatus.FREE)
    if how == "stale-slot":  # a region that names a server which is no more
        director.serve(service, [only])
        director.change_server(only, status=ServerStatus.FREE)


@each_family
@pytest.mark.parametrize("how", ["no-servers", "all-drained", "stale-slot"])
@pytest.mark.parametrize(
    ("packet", "outcome", "action"),
    [
        (lambda family: segment(family, "S"), "REPLY_RESET_NO_SERVER", XDP_TX),
        (lambda family: segment(family, "A"), "REPLY_RESET_NO_SERVER", XDP_TX),
        (lambda family: segment(family, "FA"), "REPLY_RESET_NO_SERVER", XDP_TX),
        (lambda family: segment(family, "R"), "DROP_NO_SERVER", XDP_DROP),
        (lambda family: segment(family, "RA"), "DROP_NO_SERVER", XDP_DROP),
        (lambda family: request(family, UDP), "REPLY_UNREACHABLE_NO_SERVER", XDP_TX),
    ],
    ids=["syn", "ack", "fin", "rst", "rst-ack", "udp"],
)
def test_a_service_without_servers_refuses_at_once(
    director: Director, family: int, how: str, packet: Any, outcome: str, action: int
) -> None:
    made = packet(family)
    nobody(director, family, UDP if outcome == "REPLY_UNREACHABLE_NO_SERVER" else TCP, how)
    result = director.run(framed(made, director.wires.out))
    assert (result.action, result.outcomes) == (action, {outcome: 1})
    assert director.entries() == []


def test_every_stateless_flow_goes_where_its_hash_says(small: Director) -> None:
    """No room for it, so by the fallback's region: address and port for schedulers that do not hash."""
    service, servers = pool(small, 4, Scheduler.RR, [1] * 3)
    small.serve(service, servers)
    for n in range(16):
        small.run(syn(small, 4, 1000 + n))
    assert len(small.entries()) == 16
    turns = [servers[n % 3] for n in range(MAGLEV)]
    for port in range(2000, 2040):
        result = small.run(syn(small, 4, port))
        assert result.events["STATELESS"] == result.events["TABLE_FULL"] == 1
        wanted = servers.index(turns[client_slot(CLIENT[4], port, MAGLEV)])
        assert result.frame[5] == 0x11 + wanted
