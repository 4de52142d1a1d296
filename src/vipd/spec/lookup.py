"""Flow to connection: is it known, does it still count, where did it go. The second stage; chooses nothing."""

from __future__ import annotations

from vipd.model.director import OnServerRemoved
from vipd.spec import table, tcp
from vipd.spec.configuration import TICK
from vipd.spec.hashes import flow_hash
from vipd.spec.packet import Journey, Part
from vipd.spec.reason import rules_of
from vipd.spec.state import Entry, Flow, ReplyEntry

_rule = rules_of("lookup")
UNKNOWN = _rule("unknown", "no connection of this flow is known", "ARCHITECTURE.md, connection first")
FLAGS = _rule("flags", "flags that no stack sends together: nothing of the connection changes", "RFC 9293 3.1, 3.10")
KNOWN = _rule("known", "a known connection, in state {state}, of server {server}", "ARCHITECTURE.md, connection first")
REPLY = _rule("reply", "the reply of a known connection, from server {server}", "ARCHITECTURE.md, connection first")
EXPIRED = _rule(
    "expired",
    "the connection's time was over {seconds:.1f} s ago: it is forgotten",
    "ARCHITECTURE.md, the connection table",
)
REUSED = _rule(
    "reused",
    "a SYN on a connection in state {state} ends it and begins anew, at once",
    "docs/lvs.md, a SYN on a closing connection",
)
KEPT = _rule("kept", "the server was removed; its connections go on", "docs/lvs.md, on_server_removed: keep")
RESET = _rule(
    "reset",
    "the server was removed: the connection ends, and the client is to know",
    "docs/lvs.md, on_server_removed: reset",
)
ANEW = _rule(
    "anew",
    "the server was removed: the connection ends here, and this packet goes to another",
    "docs/lvs.md, on_server_removed: reschedule; a SYN, which begins anew, has nothing to reset",
)


def lookup(journey: Journey) -> str | None:
    """Is the flow known? A later fragment has no flags to tell a state by: its first one was noted."""
    flow = journey.flow
    journey.hash = flow_hash(journey.configuration.keys, flow)
    found = journey.draft.connections.get(flow)
    if found is None:
        journey.because(UNKNOWN)
        return None
    if journey.odd_flags:
        journey.because(FLAGS)
        return "drop_tcp_flags"
    known = _reply(journey, found) if isinstance(found, ReplyEntry) else _client(journey, found)
    if known:
        journey.known = found
        journey.server, journey.service = found.server, found.service
    return None


def _reply(journey: Journey, entry: ReplyEntry) -> bool:
    """Whether the reply's connection still counts. Its life is the client's entry's.

    A mere ACK or datagram looks there only now and then; whatever may change the state looks at once.
    """
    if journey.segment != "ack" or table.is_over(entry.look_at, journey.tick):
        client = journey.draft.connections.get(entry.client)
        if not isinstance(client, Entry) or _expired(journey, entry, client):
            return False
        if journey.part is not Part.LATER:
            tcp.touch(journey, entry.client, client, "output")
            journey.draft.connections.put(journey.flow, entry._replace(look_at=journey.tick + tcp.TOUCH))
            journey.noted = True
    journey.because(REPLY, server=journey.configuration.servers[entry.server].address)
    journey.is_reply = True
    journey.service_port = entry.service_port
    return True


def _expired(journey: Journey, entry: ReplyEntry, client: Entry) -> bool:
    if not table.is_over(client.expires, journey.tick):
        return False
    _forget(journey, entry.client, client)
    return True


def _forget(journey: Journey, flow: Flow, entry: Entry) -> None:
    journey.because(EXPIRED, seconds=(journey.tick - entry.expires) * TICK / 1e9)
    journey.happened("connection_expired")
    table.end(journey, flow, entry)


def _client(journey: Journey, entry: Entry) -> bool:
    """Whether the client's connection still counts, and its server still stands."""
    if table.is_over(entry.expires, journey.tick):
        _forget(journey, journey.flow, entry)
        return False
    if journey.segment == "syn" and journey.may_begin and entry.state in tcp.CLOSING:
        journey.because(REUSED, state=entry.state)
        journey.happened("connection_reused")
        table.end(journey, journey.flow, entry)
        return False
    server = journey.configuration.servers[entry.server]
    journey.because(KNOWN, state=entry.state, server=server.address)
    if journey.part is not Part.LATER:
        tcp.touch(journey, journey.flow, entry, "input" if entry.reply else "input_only")
    return _stands(journey, server.removed)


def _stands(journey: Journey, removed: OnServerRemoved | None) -> bool:
    """What becomes of the connections of a server that is gone, as the operator chose."""
    if removed is None:
        return True
    if removed is OnServerRemoved.KEEP:
        journey.because(KEPT)
        return True
    if removed is OnServerRemoved.RESET and not (journey.tcp and journey.may_begin):
        journey.because(RESET)
        journey.removed = True
        return True
    journey.because(ANEW)
    # In the middle of a connection, if need be; but a later fragment tells too little.
    journey.may_begin = journey.part is not Part.LATER
    entry = journey.draft.connections.get(journey.flow)
    assert isinstance(entry, Entry)
    table.end(journey, journey.flow, entry)
    return False
