"""The option negotiation automaton of RFC 1661 section 4. Knows no packet: events go in, actions come out."""

from __future__ import annotations

import re
from enum import IntEnum, StrEnum
from math import inf
from typing import Final, NamedTuple

from vipd.ppp.settings import Timing


class State(IntEnum):
    """RFC 1661 4.2, with the table's numbers."""

    INITIAL = 0
    STARTING = 1
    CLOSED = 2
    STOPPED = 3
    CLOSING = 4
    STOPPING = 5
    REQ_SENT = 6
    ACK_RCVD = 7
    ACK_SENT = 8
    OPENED = 9


class Event(StrEnum):
    """RFC 1661 4.3, with the table's abbreviations."""

    UP = "Up"
    DOWN = "Down"
    OPEN = "Open"
    CLOSE = "Close"
    TIMEOUT = "TO+"
    "The Restart timer expired, tries are left."
    LAST_TIMEOUT = "TO-"
    "The Restart timer expired, none is left."
    GOOD_REQUEST = "RCR+"
    BAD_REQUEST = "RCR-"
    CONFIGURE_ACK = "RCA"
    CONFIGURE_NAK_OR_REJECT = "RCN"
    TERMINATE_REQUEST = "RTR"
    TERMINATE_ACK = "RTA"
    UNKNOWN_CODE = "RUC"
    BEARABLE_REJECT = "RXJ+"
    "Of a code or protocol that we can do without."
    FATAL_REJECT = "RXJ-"
    ECHO_OR_DISCARD = "RXR"


class Action(StrEnum):
    """RFC 1661 4.4, with the table's abbreviations."""

    THIS_LAYER_UP = "tlu"
    THIS_LAYER_DOWN = "tld"
    THIS_LAYER_STARTED = "tls"
    THIS_LAYER_FINISHED = "tlf"
    INITIALIZE_RESTART_COUNT = "irc"
    ZERO_RESTART_COUNT = "zrc"
    SEND_CONFIGURE_REQUEST = "scr"
    SEND_CONFIGURE_ACK = "sca"
    SEND_CONFIGURE_NAK = "scn"
    "Or Reject."
    SEND_TERMINATE_REQUEST = "str"
    SEND_TERMINATE_ACK = "sta"
    SEND_CODE_REJECT = "scj"
    SEND_ECHO_REPLY = "ser"


class Option(StrEnum):
    """The marks behind a state in the table (RFC 1661 4.1)."""

    NONE = ""
    PASSIVE = "p"
    "Passive option: the layer stays Stopped without being finished."
    RESTART = "r"
    "Restart option: Down, then Up."
    CROSSED = "x"
    "Crossed connection; RCA and RCN of no request of ours, which a careful receiver never lets in."


class Transition(NamedTuple):
    actions: tuple[Action, ...]
    state: State
    option: Option


_TABLE: Final = """
#      0         1          2          3              4         5         6          7          8          9
#      Initial   Starting   Closed     Stopped        Closing   Stopping  Req-Sent   Ack-Rcvd   Ack-Sent   Opened
Up     2         irc,scr/6  -          -              -         -         -          -          -          -
Down   -         -          0          tls/1          0         1         1          1          1          tld/1
Open   tls/1     1          irc,scr/6  3r             5r        5r        6          7          8          9r
Close  0         tlf/0      2          2              4         4         irc,str/4  irc,str/4  irc,str/4  tld,irc,str/4

TO+    -         -          -          -              str/4     str/5     scr/6      scr/6      scr/8      -
TO-    -         -          -          -              tlf/2     tlf/3     tlf/3p     tlf/3p     tlf/3p     -

RCR+   -         -          sta/2      irc,scr,sca/8  4         5         sca/8      sca,tlu/9  sca/8      tld,scr,sca/8
RCR-   -         -          sta/2      irc,scr,scn/6  4         5         scn/6      scn/7      scn/6      tld,scr,scn/6
RCA    -         -          sta/2      sta/3          4         5         irc/7      scr/6x     irc,tlu/9  tld,scr/6x
RCN    -         -          sta/2      sta/3          4         5         irc,scr/6  scr/6x     irc,scr/8  tld,scr/6x

RTR    -         -          sta/2      sta/3          sta/4     sta/5     sta/6      sta/6      sta/6      tld,zrc,sta/5
RTA    -         -          2          3              tlf/2     tlf/3     6          6          8          tld,scr/6

RUC    -         -          scj/2      scj/3          scj/4     scj/5     scj/6      scj/7      scj/8      scj/9
RXJ+   -         -          2          3              4         5         6          6          8          9
RXJ-   -         -          tlf/2      tlf/3          tlf/2     tlf/3     tlf/3      tlf/3      tlf/3      tld,irc,str/5

RXR    -         -          2          3              4         5         6          7          8          ser/9
"""
_CELL: Final = re.compile(r"(?:(?P<actions>[a-z,]+)/)?(?P<state>\d)(?P<option>[prx]?)")


def _read(cell: str) -> Transition:
    found = _CELL.fullmatch(cell)
    assert found, cell
    actions = tuple(Action(name) for name in (found["actions"] or "").split(",") if name)
    return Transition(actions, State(int(found["state"])), Option(found["option"]))


TRANSITIONS: Final[dict[tuple[State, Event], Transition]] = {
    (state, Event(event)): _read(cell)
    for event, *cells in (line.split() for line in _TABLE.splitlines() if line and not line.startswith("#"))
    for state, cell in zip(State, cells, strict=True)
    if cell != "-"
}
"What is not in it cannot happen; a KeyError is a mistake of ours."

TIMED: Final = frozenset({State.CLOSING, State.STOPPING, State.REQ_SENT, State.ACK_RCVD, State.ACK_SENT})
"Where the Restart timer runs (RFC 1661 4.2)."


class Automaton:
    """The state, the Restart timer and its counter (RFC 1661 4.6) of one control protocol."""

    def __init__(self, timing: Timing, *, passive: bool = False) -> None:
        self.state = State.INITIAL
        self.deadline = inf
        "When the Restart timer expires."
        self._timing = timing
        self._passive = passive
        self._restart_count = 0

    def fire(self, event: Event, now: float) -> tuple[Action, ...]:
        """Moves, and tells what the owner has to do, in this order."""
        actions, state, option = TRANSITIONS[self.state, event]
        for action in actions:
            self._count(action, actions, now)
        self.state = state
        if state not in TIMED:
            self.deadline = inf
        if option is Option.PASSIVE and self._passive:
            return ()
        return actions

    def expired(self, now: float) -> Event | None:
        """The event to fire if the Restart timer has expired."""
        if now < self.deadline:
            return None
        return Event.TIMEOUT if self._restart_count > 0 else Event.LAST_TIMEOUT

    def _count(self, action: Action, actions: tuple[Action, ...], now: float) -> None:
        match action:
            case Action.INITIALIZE_RESTART_COUNT:
                terminating = Action.SEND_TERMINATE_REQUEST in actions
                self._restart_count = self._timing.max_terminate if terminating else self._timing.max_configure
            case Action.ZERO_RESTART_COUNT:
                self._restart_count = 0
                self.deadline = now + self._timing.restart
            case Action.SEND_CONFIGURE_REQUEST | Action.SEND_TERMINATE_REQUEST:
                self._restart_count -= 1
                self.deadline = now + self._timing.restart
            case _:
                pass
