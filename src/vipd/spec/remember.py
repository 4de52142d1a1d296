"""A new connection's entries: one for what the client sends, under NAT one more for what the server sends back."""

from __future__ import annotations

from enum import Enum

from vipd.model.director import Method
from vipd.spec import table, tcp
from vipd.spec.configuration import Server
from vipd.spec.hashes import flow_hash
from vipd.spec.packet import Journey
from vipd.spec.reason import rules_of
from vipd.spec.state import Entry, Flow, ReplyEntry
from vipd.wire import ip

_rule = rules_of("remember")
MADE = _rule("made", "a new connection, in state {state}", "LVS, ip_vs_proto_tcp.c")
COLLISION = _rule(
    "collision",
    "the server has a connection with {client} port {port} already, by another service: its replies could not be told",
    "ARCHITECTURE.md, connection first: a reply's flow names one connection",
)
TAKEN_OVER = _rule(
    "taken_over",
    "the server had a connection with this client and port, which is {state}: it ends",
    "docs/lvs.md, a SYN on a closing connection",
)


class Remembered(Enum):
    YES = "yes"
    FULL = "full"
    COLLISION = "collision"


def remember(journey: Journey, number: int) -> Remembered:
    flow, server = journey.flow, journey.configuration.servers[number]
    bucket = table.reserve(journey, journey.hash)
    if bucket is None:
        return Remembered.FULL
    reply = None
    if server.method is Method.NAT:
        reply = reply_flow(flow, server)
        outcome = _remember_reply(journey, number, server, reply)
        if outcome is not Remembered.YES:
            table.release(journey, bucket)
            return outcome
    before, direction = "none" if flow.protocol == ip.TCP else tcp.UDP, "input" if reply else "input_only"
    state = tcp.state_after(before, direction, journey.segment)
    expires = journey.tick + journey.configuration.derived.ticks[state]
    journey.draft.connections.put(flow, Entry(number, server.service, state, expires, reply, bucket=bucket))
    tcp.add_load(journey, number, state, 1)
    journey.count(number, connections=1)
    journey.happened("connection_new")
    journey.because(MADE, state=state, direction=direction, segment=journey.segment.upper(), before=before)
    return Remembered.YES


def reply_flow(flow: Flow, server: Server) -> Flow:
    """What the server's packets back to the client look like."""
    return Flow(server.address, server.port or flow.destination_port, flow.source, flow.source_port, flow.protocol)


def _remember_reply(journey: Journey, number: int, server: Server, reply: Flow) -> Remembered:
    if not _is_free(journey, reply):
        journey.because(COLLISION, client=reply.destination, port=reply.destination_port)
        return Remembered.COLLISION
    bucket = table.reserve(journey, flow_hash(journey.configuration.keys, reply))
    if bucket is None:
        return Remembered.FULL
    # The first reply looks at the client's entry.
    made = ReplyEntry(
        number, server.service, journey.flow, journey.flow.destination_port, journey.tick - 1, bucket=bucket
    )
    journey.draft.connections.put(reply, made)
    return Remembered.YES


def _is_free(journey: Journey, reply: Flow) -> bool:
    """Whether no connection that counts has this reply; one that is closing or over makes room."""
    old = journey.draft.connections.get(reply)
    if old is None:
        return True
    client = journey.draft.connections.get(old.client) if isinstance(old, ReplyEntry) else None
    if not isinstance(old, ReplyEntry) or not isinstance(client, Entry):
        return False
    over = table.is_over(client.expires, journey.tick)
    if not over and client.state not in tcp.CLOSING:
        return False
    journey.because(TAKEN_OVER, state="over" if over else client.state)
    if over:
        journey.happened("connection_expired")
    table.end(journey, old.client, client)
    return True
