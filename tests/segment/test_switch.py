"""Why the switch did what it did, and its table: bounded, with a clock that may step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.segments import BROADCAST, A, B, C, bridge_group, frame, tagged
from vipd.segment.switch import Switch, Verdict
from vipd.segment.table import Learning, Station, StationTable
from vipd.segment.vlan import Vlans, access, trunk


def test_each_end_of_a_frame_has_a_name_and_is_counted() -> None:
    switch = Switch(range(3), {0: access(10), 1: access(10), 2: access(20)})
    sent = [
        (0, frame(BROADCAST, A), Verdict.FLOODED_GROUP),
        (0, frame(B, A), Verdict.FLOODED_UNKNOWN),
        (1, frame(A, B), Verdict.UNICAST),
        (0, frame(A, A), Verdict.SAME_PORT),
        (0, frame(bridge_group(14), A), Verdict.RESERVED),
        (0, frame(A, BROADCAST), Verdict.BAD_SOURCE),
        (0, frame(A, B)[:13], Verdict.TOO_SHORT),
        (0, tagged(A, B, 10)[:17], Verdict.TOO_SHORT),
        (0, b"", Verdict.TOO_SHORT),
        (2, tagged(A, B, 10), Verdict.OTHER_VLAN),
    ]
    for port, octets, verdict in sent:
        assert switch.decide(port, octets, 0.0).verdict is verdict
        switch.receive(port, octets, 0.0)
    assert {each: count for each, count in switch.counters.items() if count} == {
        verdict: [v for _, _, v in sent].count(verdict) for _, _, verdict in sent
    }


def test_what_was_learned_is_told() -> None:
    switch = Switch(range(3), capacity=2)
    told = [
        switch.decide(port, frame(BROADCAST, mac), 0.0).learning
        for port, mac in ((0, A), (0, A), (1, A), (1, B), (2, C), (1, A))
    ]
    new, known, moved, full = Learning.NEW, Learning.KNOWN, Learning.MOVED, Learning.FULL
    assert told == [new, known, moved, new, full, known]
    assert Switch(range(3), ageing=0).decide(0, frame(BROADCAST, A), 0.0).learning is Learning.OFF
    assert list(switch.table.stations(1.5)) == [(Station(B, 0), 1, 1.5), (Station(A, 0), 1, 1.5)]


def test_a_full_table_has_room_again_when_a_station_was_silent() -> None:
    table = StationTable(ageing=10, capacity=2)
    assert table.learn(Station(A, 0), 0, 0.0) is Learning.NEW
    assert table.learn(Station(B, 0), 1, 5.0) is Learning.NEW
    assert table.learn(Station(C, 0), 2, 9.9) is Learning.FULL
    assert table.learn(Station(C, 0), 2, 10.0) is Learning.NEW
    assert [table.port_of(Station(mac, 0), 10.0) for mac in (A, B, C)] == [None, 1, 2]


def test_who_speaks_is_not_forgotten() -> None:
    table = StationTable(ageing=10)
    for now in range(0, 100, 9):
        table.learn(Station(A, 0), 0, float(now))
    assert table.port_of(Station(A, 0), 108.9) == 0
    assert table.port_of(Station(A, 0), 109.0) is None


def test_a_clock_that_steps_back_keeps_nobody_longer_and_forgets_nobody() -> None:
    table = StationTable(ageing=10)
    table.learn(Station(A, 0), 0, 1_000_000.0)
    assert table.port_of(Station(A, 0), 1_000_009.0) == 0
    assert table.port_of(Station(A, 0), 5.0) == 0
    assert table.port_of(Station(A, 0), 5.9) == 0
    assert table.port_of(Station(A, 0), 6.0) is None


def test_a_clock_that_leaps_forward_costs_a_flood_and_no_frame() -> None:
    switch = Switch(range(3))
    switch.receive(0, frame(BROADCAST, A), 0.0)
    assert [port for port, _ in switch.receive(1, frame(A, B), 1e9)] == [0, 2]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3), st.floats(0, 1e6)), max_size=60))
def test_the_table_never_holds_more_than_it_may(heard: list[tuple[int, int, float]]) -> None:
    table = StationTable(ageing=100, capacity=8)
    for number, port, now in heard:
        station = Station(number.to_bytes(6, "big"), 0)
        learning = table.learn(station, port, now)
        assert table.port_of(station, now) == (None if learning is Learning.FULL else port)
        assert len(table) <= 8


@given(st.binary(max_size=40), st.booleans())
def test_no_frame_is_too_odd_for_a_switch(octets: bytes, knows_vlans: bool) -> None:
    switch = Switch(range(2), {0: access(1), 1: trunk([1])} if knows_vlans else None)
    assert all(port == 1 for port, _ in switch.receive(0, octets, 0.0))


def test_ports_and_vlans_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"ports \[0, 1\], but VLANs for \[0\]"):
        Switch(range(2), {0: access(1)})
    for wrong in (0, 4095):
        with pytest.raises(ValueError, match=f"VLAN {wrong}: 1 to 4094"):
            access(wrong)
    with pytest.raises(ValueError, match="native VLAN 7 is none of the port's"):
        Vlans(frozenset({1}), 7)
