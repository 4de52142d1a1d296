"""What RFC 1661's states remember (4.2), and what alone may change it: held against every cell of the table."""

from __future__ import annotations

from tests.support.automaton import BELOW_IS_DOWN, each_cell
from vipd.ppp.automaton import Action, Event, State, Transition

NOT_WANTED = {State.INITIAL, State.CLOSED, State.CLOSING}
"No Open came, or a Close since."
REST = {State.INITIAL, State.STARTING, State.CLOSED, State.STOPPED}
TERMINATING = {State.CLOSING, State.STOPPING}
NEGOTIATING = {State.REQ_SENT, State.ACK_RCVD, State.ACK_SENT, State.OPENED}
THEY_ACKED = {State.ACK_RCVD, State.OPENED}
WE_ACKED = {State.ACK_SENT, State.OPENED}
REQUESTS = {Event.GOOD_REQUEST, Event.BAD_REQUEST}
REPLIES = {Event.CONFIGURE_ACK, Event.CONFIGURE_NAK_OR_REJECT}
REQUEST, TERMINATE = Action.SEND_CONFIGURE_REQUEST, Action.SEND_TERMINATE_REQUEST


@each_cell
def test_open_and_close_alone_tell_whether_the_layer_is_wanted(state: State, event: Event, cell: Transition) -> None:
    wanted = {Event.OPEN: True, Event.CLOSE: False}.get(event, state not in NOT_WANTED)
    assert (cell.state not in NOT_WANTED) is wanted


@each_cell
def test_up_and_down_alone_tell_whether_the_lower_layer_is_there(state: State, event: Event, cell: Transition) -> None:
    there = {Event.UP: True, Event.DOWN: False}.get(event, state not in BELOW_IS_DOWN)
    assert (cell.state not in BELOW_IS_DOWN) is there


@each_cell
def test_what_is_wished_already_or_tells_nothing_changes_nothing(state: State, event: Event, cell: Transition) -> None:
    wished = (event is Event.OPEN and state not in NOT_WANTED) or (event is Event.CLOSE and state in NOT_WANTED)
    if wished or event in (Event.UNKNOWN_CODE, Event.ECHO_OR_DISCARD):
        assert cell.state is state
    if wished:
        assert cell.actions == ()


@each_cell
def test_a_negotiation_begins_with_a_request_and_an_end_with_another(
    state: State, event: Event, cell: Transition
) -> None:
    if cell.state in NEGOTIATING and state not in NEGOTIATING:
        assert REQUEST in cell.actions
    if cell.state in TERMINATING and state not in TERMINATING and event is not Event.TERMINATE_REQUEST:
        assert TERMINATE in cell.actions
    # 4.2: whoever is told to end waits before it rests, for its Ack to arrive; but for nobody who was never up.
    if event is Event.TERMINATE_REQUEST and state in NEGOTIATING:
        assert (cell.state is State.STOPPING) is (state is State.OPENED)


@each_cell
def test_an_ack_is_held_until_what_it_acknowledged_is_replaced(state: State, event: Event, cell: Transition) -> None:
    if cell.state not in NEGOTIATING:
        return
    if event is Event.CONFIGURE_ACK and state not in THEY_ACKED:
        expected = True
    else:
        # A Terminate or a rejected code shows that the peer is not where its Ack said.
        lost = REQUEST in cell.actions or event in (
            Event.TERMINATE_REQUEST,
            Event.TERMINATE_ACK,
            Event.BEARABLE_REJECT,
        )
        expected = state in THEY_ACKED and (not lost or (event is Event.BEARABLE_REJECT and state is State.OPENED))
    assert (cell.state in THEY_ACKED) is expected


@each_cell
def test_our_ack_holds_until_the_peer_asks_otherwise_or_ends_it(state: State, event: Event, cell: Transition) -> None:
    if cell.state not in NEGOTIATING:
        return
    said = {Event.GOOD_REQUEST: True, Event.BAD_REQUEST: False, Event.TERMINATE_REQUEST: False}
    # From Opened, what shows that the peer is not there takes all back.
    kept = state in WE_ACKED and not (state is State.OPENED and event in {*REPLIES, Event.TERMINATE_ACK})
    assert (cell.state in WE_ACKED) is said.get(event, kept)


@each_cell
def test_each_packet_gets_its_answer_and_no_other(state: State, event: Event, cell: Transition) -> None:
    closed = event in REQUESTS and state is State.CLOSED
    resting = event in REPLIES and state in (State.CLOSED, State.STOPPED)
    judged = state in NEGOTIATING | {State.STOPPED}
    answers = {
        Action.SEND_CONFIGURE_ACK: event is Event.GOOD_REQUEST and judged,
        Action.SEND_CONFIGURE_NAK: event is Event.BAD_REQUEST and judged,
        Action.SEND_TERMINATE_ACK: event is Event.TERMINATE_REQUEST or closed or resting,
        Action.SEND_CODE_REJECT: event is Event.UNKNOWN_CODE,
        Action.SEND_ECHO_REPLY: event is Event.ECHO_OR_DISCARD and state is State.OPENED,
        Action.ZERO_RESTART_COUNT: event is Event.TERMINATE_REQUEST and state is State.OPENED,
    }
    assert {action: action in cell.actions for action in answers} == answers


@each_cell
def test_a_request_is_sent_where_none_is_under_way_or_it_was_answered(
    state: State, event: Event, cell: Transition
) -> None:
    begins = cell.state in NEGOTIATING and state not in NEGOTIATING
    again = event is Event.TIMEOUT and state in NEGOTIATING
    refused = event is Event.CONFIGURE_NAK_OR_REJECT and state in NEGOTIATING
    crossed = event is Event.CONFIGURE_ACK and state in THEY_ACKED
    anew = state is State.OPENED and event in {*REQUESTS, Event.TERMINATE_ACK}
    assert (REQUEST in cell.actions) is (begins or again or refused or crossed or anew)
    ends = cell.state in TERMINATING and state in NEGOTIATING and event in (Event.CLOSE, Event.FATAL_REJECT)
    assert (TERMINATE in cell.actions) is (ends or (event is Event.TIMEOUT and state in TERMINATING))


@each_cell
def test_the_count_begins_with_what_is_counted_and_with_each_answer(
    state: State, event: Event, cell: Transition
) -> None:
    """4.4, irc; the RFC's table begins none for a request that leaves Opened, where none was used up."""
    begins = REQUEST in cell.actions and state in REST
    ends = TERMINATE in cell.actions and event is not Event.TIMEOUT
    answered = event in REPLIES and state in (State.REQ_SENT, State.ACK_SENT)
    assert (Action.INITIALIZE_RESTART_COUNT in cell.actions) is (begins or ends or answered)


@each_cell
def test_a_layer_is_finished_when_it_comes_to_rest_by_itself_or_must(
    state: State, event: Event, cell: Transition
) -> None:
    """A fatal reject says so even at rest; Opened ends first, for the peer may have something to say to that."""
    fatal = event is Event.FATAL_REJECT
    rests = cell.state in REST - {State.STARTING} and state not in REST - {State.STARTING}
    assert (Action.THIS_LAYER_FINISHED in cell.actions) is (
        (rests and event is not Event.DOWN) or (fatal and state is not State.OPENED)
    )
    if fatal:
        assert cell.state in (TERMINATING if state is State.OPENED else REST)


@each_cell
def test_actions_come_in_the_order_in_which_they_make_sense(state: State, event: Event, cell: Transition) -> None:
    """What is above hears of it first, then the count is set, then what it counts is sent, then the answer."""
    del state, event
    order = [
        Action.THIS_LAYER_DOWN,
        Action.INITIALIZE_RESTART_COUNT,
        Action.ZERO_RESTART_COUNT,
        REQUEST,
        TERMINATE,
        Action.SEND_CONFIGURE_ACK,
        Action.SEND_CONFIGURE_NAK,
        Action.SEND_TERMINATE_ACK,
        Action.THIS_LAYER_UP,
    ]
    places = [order.index(action) for action in cell.actions if action in order]
    assert places == sorted(places)
