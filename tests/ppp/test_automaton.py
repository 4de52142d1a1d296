"""RFC 1661's automaton: what the RFC says of its states and actions, held against every cell of the table."""

from __future__ import annotations

from math import inf

import pytest

from tests.support.automaton import BELOW_IS_DOWN, CELLS, each_cell
from vipd.ppp.automaton import TIMED, TRANSITIONS, Action, Automaton, Event, Option, State, Transition
from vipd.ppp.settings import Timing

PACKETS = set(Event) - {Event.UP, Event.DOWN, Event.OPEN, Event.CLOSE, Event.TIMEOUT, Event.LAST_TIMEOUT}
TIMEOUTS = {Event.TIMEOUT, Event.LAST_TIMEOUT}


def test_the_table_has_as_many_cells_as_the_rfc() -> None:
    # 16 rows of 10 columns, less the 40 that the RFC marks with "-".
    assert len(TRANSITIONS) == 16 * 10 - 40


@each_cell
def test_this_layer_is_up_exactly_when_opened_is_entered(state: State, event: Event, cell: Transition) -> None:
    del event
    entered = state is not State.OPENED and cell.state is State.OPENED
    assert (Action.THIS_LAYER_UP in cell.actions) is entered


@each_cell
def test_this_layer_is_down_exactly_when_opened_is_left(state: State, event: Event, cell: Transition) -> None:
    del event
    left = state is State.OPENED and cell.state is not State.OPENED
    assert (Action.THIS_LAYER_DOWN in cell.actions) is left


@each_cell
def test_this_layer_starts_exactly_when_starting_is_entered_from_rest(
    state: State, event: Event, cell: Transition
) -> None:
    """4.4: when Starting is entered; a negotiation that the lower layer's Down cuts off still wants the layer."""
    del event
    entered = cell.state is State.STARTING and state in (State.INITIAL, State.STOPPED)
    assert (Action.THIS_LAYER_STARTED in cell.actions) is entered


@each_cell
def test_nothing_is_sent_while_the_lower_layer_is_down(state: State, event: Event, cell: Transition) -> None:
    """4.2: in Initial and Starting the lower layer is unavailable."""
    if cell.state in BELOW_IS_DOWN:
        assert not any(action.startswith("s") for action in cell.actions)
    if state in BELOW_IS_DOWN:
        assert event not in PACKETS | TIMEOUTS | {Event.DOWN}


@each_cell
def test_the_timer_expires_only_where_it_runs(state: State, event: Event, cell: Transition) -> None:
    del cell
    if event in TIMEOUTS:
        assert state in TIMED


@pytest.mark.parametrize("state", [state for state in State if state not in BELOW_IS_DOWN])
def test_every_packet_is_foreseen_while_the_lower_layer_is_up(state: State) -> None:
    """Whatever a peer sends, there is a cell for it."""
    assert {event for event in PACKETS if (state, event) in TRANSITIONS} == PACKETS


@pytest.mark.parametrize("state", sorted(TIMED))
def test_a_running_timer_ends_in_either_way(state: State) -> None:
    assert all((state, event) in TRANSITIONS for event in TIMEOUTS)
    assert Action.THIS_LAYER_FINISHED in TRANSITIONS[state, Event.LAST_TIMEOUT].actions


@pytest.mark.parametrize("state", State)
def test_open_and_close_are_possible_everywhere(state: State) -> None:
    assert (state, Event.OPEN) in TRANSITIONS
    assert (state, Event.CLOSE) in TRANSITIONS


def test_every_state_is_reached_from_the_first() -> None:
    reached = {State.INITIAL}
    while more := {cell.state for (state, _), cell in CELLS if state in reached} - reached:
        reached |= more
    assert reached == set(State)


@pytest.mark.parametrize("state", State)
def test_the_first_state_is_reached_from_every_other(state: State) -> None:
    reached = {state}
    while more := {cell.state for (before, _), cell in CELLS if before in reached} - reached:
        reached |= more
    assert State.INITIAL in reached


def test_the_marks_stand_where_the_rfc_has_them() -> None:
    marks = {option: {key for key, cell in CELLS if cell.option is option} for option in Option}
    assert marks[Option.PASSIVE] == {
        (state, Event.LAST_TIMEOUT) for state in (State.REQ_SENT, State.ACK_RCVD, State.ACK_SENT)
    }
    assert marks[Option.RESTART] == {
        (state, Event.OPEN) for state in (State.STOPPED, State.CLOSING, State.STOPPING, State.OPENED)
    }
    assert marks[Option.CROSSED] == {
        (state, event)
        for state in (State.ACK_RCVD, State.OPENED)
        for event in (Event.CONFIGURE_ACK, Event.CONFIGURE_NAK_OR_REJECT)
    }


def automaton_in(state: State, timing: Timing | None = None, *, passive: bool = False) -> Automaton:
    """An automaton that got there by legal steps, at the time 0."""
    ways = {
        State.INITIAL: [],
        State.STARTING: [Event.OPEN],
        State.CLOSED: [Event.UP],
        State.STOPPED: [Event.OPEN, Event.UP, Event.FATAL_REJECT],
        State.CLOSING: [Event.OPEN, Event.UP, Event.CLOSE],
        State.STOPPING: [Event.OPEN, Event.UP, Event.GOOD_REQUEST, Event.CONFIGURE_ACK, Event.TERMINATE_REQUEST],
        State.REQ_SENT: [Event.OPEN, Event.UP],
        State.ACK_RCVD: [Event.OPEN, Event.UP, Event.CONFIGURE_ACK],
        State.ACK_SENT: [Event.OPEN, Event.UP, Event.GOOD_REQUEST],
        State.OPENED: [Event.OPEN, Event.UP, Event.GOOD_REQUEST, Event.CONFIGURE_ACK],
    }
    automaton = Automaton(timing or Timing(), passive=passive)
    for event in ways[state]:
        automaton.fire(event, 0.0)
    assert automaton.state is state
    return automaton


@pytest.mark.parametrize("state", State)
def test_the_restart_timer_runs_exactly_where_the_rfc_says(state: State) -> None:
    assert (automaton_in(state).deadline < inf) is (
        state in {State.CLOSING, State.STOPPING, State.REQ_SENT, State.ACK_RCVD, State.ACK_SENT}
    )


@each_cell
def test_each_cell_moves_the_automaton_as_it_says(state: State, event: Event, cell: Transition) -> None:
    automaton = automaton_in(state)
    assert automaton.fire(event, 1.0) == cell.actions
    assert automaton.state is cell.state
    assert (automaton.deadline < inf) is (cell.state in TIMED)


@pytest.mark.parametrize(
    ("state", "event"),
    [(state, event) for state in State for event in Event if (state, event) not in TRANSITIONS],
)
def test_what_cannot_happen_is_loud_and_changes_nothing(state: State, event: Event) -> None:
    automaton = automaton_in(state)
    with pytest.raises(KeyError):
        automaton.fire(event, 1.0)
    assert automaton.state is state


def timeline(automaton: Automaton) -> list[tuple[float, tuple[Action, ...]]]:
    """What the Restart timer alone makes of it."""
    seen = []
    while automaton.deadline < inf:
        now = automaton.deadline
        assert automaton.expired(now - 0.001) is None
        event = automaton.expired(now)
        assert event
        seen.append((now, automaton.fire(event, now)))
    return seen


def test_ten_requests_are_sent_three_seconds_apart_and_then_it_gives_up() -> None:
    automaton = automaton_in(State.REQ_SENT)  # the first request went out at 0
    again = [(3.0 * n, (Action.SEND_CONFIGURE_REQUEST,)) for n in range(1, 10)]
    assert timeline(automaton) == [*again, (30.0, (Action.THIS_LAYER_FINISHED,))]
    assert automaton.state is State.STOPPED


def test_two_terminate_requests_are_sent_and_then_it_is_closed() -> None:
    automaton = automaton_in(State.CLOSING)
    assert timeline(automaton) == [(3.0, (Action.SEND_TERMINATE_REQUEST,)), (6.0, (Action.THIS_LAYER_FINISHED,))]
    assert automaton.state is State.CLOSED


def test_a_terminated_end_waits_once_for_its_ack_to_arrive() -> None:
    automaton = automaton_in(State.STOPPING)
    assert timeline(automaton) == [(3.0, (Action.THIS_LAYER_FINISHED,))]
    assert automaton.state is State.STOPPED


def test_an_ack_gives_all_tries_back() -> None:
    automaton = automaton_in(State.REQ_SENT, Timing(max_configure=3))
    for now in (3.0, 6.0):
        assert automaton.expired(now) is Event.TIMEOUT
        automaton.fire(Event.TIMEOUT, now)
    automaton.fire(Event.CONFIGURE_ACK, 7.0)
    assert automaton.deadline == 9.0  # the timer itself runs on
    assert [now for now, _ in timeline(automaton)] == [9.0, 12.0, 15.0, 18.0]


def test_the_passive_option_stops_without_a_word() -> None:
    automaton = automaton_in(State.REQ_SENT, Timing(max_configure=1), passive=True)
    assert timeline(automaton) == [(3.0, ())]
    assert automaton.state is State.STOPPED
    assert automaton.fire(Event.GOOD_REQUEST, 99.0) == TRANSITIONS[State.STOPPED, Event.GOOD_REQUEST].actions


def test_the_passive_option_is_for_negotiations_alone() -> None:
    automaton = automaton_in(State.CLOSING, passive=True)
    assert timeline(automaton)[-1] == (6.0, (Action.THIS_LAYER_FINISHED,))
