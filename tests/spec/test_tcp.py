"""LVS's state tables: what holds for every cell of them, and the lives of connections that everybody knows."""

from __future__ import annotations

import pytest

from vipd.model.director import STATES
from vipd.spec.tcp import ACTIVE, CLOSING, NEXT, state_after

DIRECTIONS = ("input", "output", "input_only")


def test_every_state_has_a_successor_for_each_direction_and_flag() -> None:
    tcp = set(STATES) - {"udp"}
    assert set(NEXT) == {(d, s, state) for d in DIRECTIONS for s in ("syn", "fin", "ack", "rst") for state in tcp}
    assert set(NEXT.values()) <= tcp - {"none"}


def test_no_reset_makes_a_connection_active_that_was_not() -> None:
    for (direction, segment, before), after in NEXT.items():
        if segment == "rst" and before not in ACTIVE:
            assert after not in ACTIVE, (direction, before)


def test_a_client_that_begins_again_is_half_open_again() -> None:
    for state in CLOSING:
        assert NEXT["input", "syn", state] == NEXT["input_only", "syn", state] == "syn_recv"


@pytest.mark.parametrize(
    ("life", "states"),
    [
        # A whole connection under NAT, the client closes first.
        (
            "input syn, output syn, input ack, input fin, output ack, output fin, input ack",
            "syn_recv, syn_recv, established, close_wait, close_wait, time_wait, time_wait",
        ),
        # The server closes first.
        ("input syn, input ack, output fin, input fin", "syn_recv, established, fin_wait, time_wait"),
        # Under DR only the client is heard.
        ("input_only syn, input_only ack, input_only fin, input_only ack", "syn_recv, established, fin_wait, fin_wait"),
        ("input_only syn, input_only ack, input_only rst", "syn_recv, established, close"),
        ("input syn, output rst", "syn_recv, close"),
    ],
)
def test_well_known_lives_pass_through_lvs_states(life: str, states: str) -> None:
    state, seen = "none", []
    for each in life.split(", "):
        direction, segment = each.split()
        state = state_after(state, direction, segment)
        seen.append(state)
    assert ", ".join(seen) == states


def test_a_datagram_has_one_state_for_ever() -> None:
    assert {state_after("udp", direction, "ack") for direction in DIRECTIONS} == {"udp"}
