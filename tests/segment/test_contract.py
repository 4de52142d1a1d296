"""What every hub and switch does, ours in memory and the kernel's own bridge alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.segments import (
    BROADCAST,
    MULTICAST,
    PAUSE,
    SPANNING_TREE,
    A,
    B,
    Bench,
    C,
    bridge_group,
    compare_both,
    frame,
    tagged,
)

NEWCOMERS_PORT = 3


@pytest.fixture(params=["memory", pytest.param("kernel", marks=pytest.mark.root)])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(request.param, stack)


@pytest.mark.parametrize("destination", [A, BROADCAST, MULTICAST], ids=bytes.hex)
def test_a_hub_repeats_every_frame_to_every_other_port(bench: Bench, destination: bytes) -> None:
    hub = bench.hub(4)
    bench.out(hub, 0, frame(B, A))
    sent = frame(destination, B)
    for port in range(4):
        assert bench.out(hub, port, sent) == {other: sent for other in range(4) if other != port}


@pytest.mark.parametrize("last", [last for last in range(16) if last != PAUSE])
def test_a_hub_repeats_what_bridges_tell_each_other(bench: Bench, last: int) -> None:
    sent = frame(bridge_group(last), A)
    assert bench.out(bench.hub(3), 0, sent) == {1: sent, 2: sent}


def test_a_frame_to_the_unknown_is_flooded_and_its_answer_is_not(bench: Bench) -> None:
    switch = bench.switch()
    question, answer = frame(B, A), frame(A, B)
    assert bench.out(switch, 0, question) == dict.fromkeys((1, 2, 3), question)
    assert bench.out(switch, 1, answer) == {0: answer}
    assert bench.out(switch, 0, question) == {1: question}


@pytest.mark.parametrize(
    "group", [BROADCAST, MULTICAST, bytes.fromhex("333300000001"), bridge_group(16)], ids=bytes.hex
)
def test_frames_to_groups_go_to_every_other_port_always(bench: Bench, group: bytes) -> None:
    switch = bench.switch(3)
    for port, mac in ((0, A), (1, B), (2, C), (0, A)):
        sent = frame(group, mac)
        assert bench.out(switch, port, sent) == {other: sent for other in range(3) if other != port}


def test_nothing_goes_back_to_where_it_came_from(bench: Bench) -> None:
    switch = bench.switch(3)
    for mac in (A, B):
        bench.out(switch, 0, frame(BROADCAST, mac))
    assert bench.out(switch, 0, frame(B, A)) == {}
    assert bench.out(switch, 0, frame(A, A)) == {}
    assert bench.out(switch, 1, frame(C, C)) == {}


@pytest.mark.parametrize("source", [BROADCAST, MULTICAST, bytes.fromhex("03000000000a"), bytes(6)], ids=bytes.hex)
def test_nobody_is_learned_from_an_address_that_no_station_has(bench: Bench, source: bytes) -> None:
    switch = bench.switch(3)
    bench.out(switch, 0, frame(BROADCAST, B))
    assert bench.out(switch, 2, frame(B, source)) == {}
    sent = frame(source, A)
    assert bench.out(switch, 1, sent) == {0: sent, 2: sent}


@pytest.mark.parametrize("last", range(16))
def test_what_bridges_tell_each_other_is_not_passed_on_but_learned_from(bench: Bench, last: int) -> None:
    switch = bench.switch(3)
    sent = frame(bridge_group(last), A)
    # The kernel's, while it speaks no spanning tree itself, lets those that do speak through it.
    transparent = bench.kind == "kernel" and last == SPANNING_TREE
    assert bench.out(switch, 0, sent) == ({1: sent, 2: sent} if transparent else {})
    if last != PAUSE or bench.kind == "memory":  # a pause is not even looked at by the kernel
        assert list(bench.out(switch, 1, frame(A, B))) == [0]


def test_a_station_that_moves_is_found_with_its_first_frame(bench: Bench) -> None:
    switch = bench.switch()
    bench.out(switch, 0, frame(BROADCAST, A))
    bench.out(switch, 1, frame(BROADCAST, B))
    assert list(bench.out(switch, 1, frame(A, B))) == [0]
    bench.out(switch, 2, frame(B, A))
    assert list(bench.out(switch, 1, frame(A, B))) == [2]
    bench.out(switch, 0, frame(B, A))
    assert list(bench.out(switch, 1, frame(A, B))) == [0]


def test_a_silent_station_is_forgotten_and_found_again(bench: Bench) -> None:
    switch = bench.switch(3, ageing=1.0)
    bench.out(switch, 0, frame(BROADCAST, A))
    assert list(bench.out(switch, 1, frame(A, B))) == [0]
    bench.grow_old(switch, A, 1.0)
    assert list(bench.out(switch, 1, frame(A, B))) == [0, 2]
    bench.out(switch, 0, frame(BROADCAST, A))
    assert list(bench.out(switch, 1, frame(A, B))) == [0]


def test_a_flood_of_a_hundred_thousand_sources_stops_nobody(bench: Bench) -> None:
    switch = bench.switch()
    bench.out(switch, 0, frame(BROADCAST, A))
    bench.out(switch, 1, frame(BROADCAST, B))
    short = bytes.fromhex("88b5")
    for number in range(100_000):
        switch.receive(2, A + bytes.fromhex("0a00") + number.to_bytes(4, "big") + short, bench.now)
    assert 0 in bench.out(switch, 1, frame(A, B))
    assert 1 in bench.out(switch, 0, frame(B, A))
    newcomer = bench.out(switch, NEWCOMERS_PORT, frame(A, C))
    assert 0 in newcomer
    assert NEWCOMERS_PORT in bench.out(switch, 0, frame(C, A))


def test_a_switch_that_knows_no_vlans_passes_tags_on_as_they_are(bench: Bench) -> None:
    switch = bench.switch(3)
    for sent in (tagged(BROADCAST, A, 10, 5), tagged(BROADCAST, A, 0, 7), tagged(BROADCAST, A, 4095)):
        assert bench.out(switch, 0, sent) == {1: sent, 2: sent}
    assert list(bench.out(switch, 1, tagged(A, B, 20))) == [0]


@pytest.mark.root
def test_whatever_is_sent_both_do_the_same() -> None:
    compare_both(None, examples=400)
