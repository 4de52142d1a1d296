"""How a connection's state and expiry follow its packets: LVS's tables, in LVS's order of states."""

from __future__ import annotations

from typing import Final

from vipd.spec.packet import Journey
from vipd.spec.reason import rules_of
from vipd.spec.state import Entry, Flow, Load

_NAMES: Final = {
    "NO": "none",
    "ES": "established",
    "SS": "syn_sent",
    "SR": "syn_recv",
    "FW": "fin_wait",
    "TW": "time_wait",
    "CL": "close",
    "CW": "close_wait",
    "LA": "last_ack",
    "LI": "listen",
    "SA": "synack",
}
# lvs: net/netfilter/ipvs/ip_vs_proto_tcp.c, tcp_states. `input`: a client's packet, where replies pass the
# director too; `output`: a server's; `input_only`: a client's, where replies do not pass (DR, TUN, local).
_TABLE: Final = """
                 NO ES SS SR FW TW CL CW LA LI SA
input       syn  SR ES ES SR SR SR SR SR SR SR SR
input       fin  CL CW SS TW TW TW CL CW LA LI TW
input       ack  ES ES SS ES FW TW CL CW CL LI ES
input       rst  CL CL CL SR CL CL CL CL LA LI SR
output      syn  SS ES SS SR SS SS SS SS SS LI SR
output      fin  TW FW SS TW FW TW CL TW LA LI TW
output      ack  ES ES SS ES FW TW CL CW LA ES ES
output      rst  CL CL SS CL CL TW CL CL CL CL CL
input_only  syn  SR ES ES SR SR SR SR SR SR SR SR
input_only  fin  CL FW SS TW FW TW CL CW LA LI TW
input_only  ack  ES ES SS ES FW TW CL CW CL LI ES
input_only  rst  CL CL CL SR CL CL CL CL LA LI CL
"""
_COLUMNS: Final = _TABLE.split("\n")[1].split()
NEXT: Final = {
    (direction, segment, _NAMES[before]): _NAMES[after]
    for direction, segment, *cells in (line.split() for line in _TABLE.strip().splitlines()[1:])
    for before, after in zip(_COLUMNS, cells, strict=True)
}
"Direction, deciding flag and state to the state that follows."

ACTIVE: Final = frozenset({"established", "syn_sent", "syn_recv", "synack"})
"Counted as active by lc and wlc (newer kernels' tcp_state_active_table); the others, and UDP's, as inactive."
CLOSING: Final = frozenset({"fin_wait", "time_wait", "close", "close_wait", "last_ack"})
"A SYN on one of these begins anew (docs/lvs.md)."
UDP: Final = "udp"

TOUCH: Final = 8
"Ticks, about half a second: expiry is written again only when it moves by so much."

_rule = rules_of("connection")
STATE = _rule("state", "{segment} in state {before}: the state is {after}", "LVS, ip_vs_proto_tcp.c tcp_states")
PROLONGED = _rule("prolonged", "lives on, {seconds:.0f} s from now", "ARCHITECTURE.md, touched rarely")
UNTOUCHED = _rule(
    "untouched",
    "nothing to note: state {before}, and expiry moves by less than half a second",
    "ARCHITECTURE.md, touched rarely",
)


def state_after(state: str, direction: str, segment: str) -> str:
    return UDP if state == UDP else NEXT[direction, segment, state]


def touch(journey: Journey, flow: Flow, entry: Entry, direction: str) -> None:
    """Take note of a packet in the client's entry: state, counts, expiry.

    Known packets mostly only read, so expiry is written only when that tells much. A reply looks at the
    client's entry only every TOUCH ticks: the last two such spans of a life always write.
    """
    after = state_after(entry.state, direction, journey.segment)
    two_way = entry.two_way or direction == "output"
    expires = journey.tick + journey.configuration.derived.ticks[after]
    soon = entry.expires - journey.tick <= 2 * TOUCH
    seen = {"direction": direction, "segment": journey.segment.upper(), "before": entry.state}
    if (after, two_way) == (entry.state, entry.two_way) and expires - entry.expires < TOUCH and not soon:
        journey.because(UNTOUCHED, **seen)
        return
    journey.draft.connections.put(flow, entry._replace(state=after, two_way=two_way, expires=expires))
    if after == entry.state:
        journey.because(PROLONGED, seconds=getattr(journey.configuration.timeouts, after), **seen)
    else:
        journey.because(STATE, after=after, **seen)
    if (after in ACTIVE) != (entry.state in ACTIVE):
        add_load(journey, entry.server, entry.state, -1)
        add_load(journey, entry.server, after, 1)


def add_load(journey: Journey, server: int, state: str, by: int) -> None:
    now = journey.draft.loads.get(server) or Load()
    more = now._replace(active=now.active + by) if state in ACTIVE else now._replace(inactive=now.inactive + by)
    journey.draft.loads.put(server, more)
