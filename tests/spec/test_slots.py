"""The tables that the control plane makes are those that the specification explains, slot by slot."""

from __future__ import annotations

from ipaddress import ip_address
from struct import iter_unpack
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vipd.control import desired
from vipd.model.director import Address, Director, Endpoint, Method, RealServer, Scheduler, Transport, VirtualService
from vipd.model.state import Egress
from vipd.spec.slots import EXACT, Candidate, in_order, maglev, region, turns

SECRET: Final = bytes(range(16))
PRIMES: Final = (7, 31, 251)
addresses: Final = st.ip_addresses(v=4) | st.ip_addresses(v=6)
weights: Final = st.sampled_from((0, 1, 1, 1, 2, 3, 7, 100, 65_535))
servers: Final = st.dictionaries(st.tuples(addresses, st.sampled_from((None, 8080, 9090))), weights, max_size=12)


def table(packed: bytes) -> list[int]:
    return [place for (place,) in iter_unpack("<I", packed)]


@given(servers, st.sampled_from(Scheduler), st.sampled_from(PRIMES), st.binary(min_size=16, max_size=16))
@settings(deadline=None, max_examples=300)
def test_every_region_is_what_the_rules_make_of_the_weights(
    given_servers: dict[tuple[Address, int | None], int], scheduler: Scheduler, slots: int, secret: bytes
) -> None:
    endpoint = Endpoint(ip_address("203.0.113.10"), 80, 80, Transport.TCP)
    real = tuple(RealServer(address, port, weight, Method.NAT) for (address, port), weight in given_servers.items())
    service = VirtualService("web", (endpoint,), real, scheduler, maglev_slots=slots)
    held = desired(Director(("eth0",), (service,)), lambda _: Egress.ON_LINK, secret)[endpoint]
    mine = in_order([Candidate(each.address, each.port or 0, each.weight) for each in real])
    assert [(each.key.address, each.key.port or 0, each.weight) for each in held.servers] == mine
    assert table(held.slots) == region(scheduler, mine, slots, secret)
    assert table(held.fallback) == maglev(mine, len(held.fallback) // 4 or slots, secret)


@given(st.lists(st.sampled_from((1, 2, 3, 999, 65_535)), min_size=1, max_size=40))
@example([65_535, 65_534])
@settings(deadline=None, max_examples=30)
def test_long_cycles_are_rounded_alike(given_weights: list[int]) -> None:
    real = tuple(
        RealServer(ip_address(0x0A000001 + n), None, weight, Method.NAT) for n, weight in enumerate(given_weights)
    )
    endpoint = Endpoint(ip_address("203.0.113.10"), 80, 80, Transport.TCP)
    service = VirtualService("web", (endpoint,), real, Scheduler.WRR, maglev_slots=7)
    held = desired(Director(("eth0",), (service,)), lambda _: Egress.ON_LINK, SECRET)[endpoint]
    assert table(held.slots) == turns(given_weights)


def test_a_cycle_is_told_by_its_turns() -> None:
    assert turns([1, 2, 3]) == [2, 1, 0, 2, 1, 2]
    assert turns([2, 4]) == turns([1, 2]) == [1, 0, 1]
    assert turns([0, 0]) == []
    assert [turns([65_535, 1]).count(place) for place in (0, 1)] == [EXACT - 1, 1]


@pytest.mark.parametrize("gone", range(5))
def test_who_goes_takes_little_else_along(gone: int) -> None:
    all_five = [Candidate(ip_address(0x0A000001 + n), 0, 1) for n in range(5)]
    before = [all_five[place].address for place in maglev(all_five, 251, SECRET)]
    others = [each for each in all_five if each != all_five[gone]]
    after = [others[place].address for place in maglev(others, 251, SECRET)]
    moved = [a for a, b in zip(before, after, strict=True) if a != b]
    assert moved.count(all_five[gone].address) == before.count(all_five[gone].address)
    assert len(moved) - before.count(all_five[gone].address) < 251 // 10
