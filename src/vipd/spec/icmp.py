"""ICMP errors about a connection: found by the packet that they quote, sent to the end that they concern."""

from __future__ import annotations

from typing import Final

from vipd.model.director import Address, Method
from vipd.spec import forward, leaving, nexthop, table, tunnelling
from vipd.spec.hashes import flow_hash
from vipd.spec.packet import Journey
from vipd.spec.reason import rules_of
from vipd.spec.state import Entry, Flow, Hop, ReplyEntry
from vipd.wire import headers, ip
from vipd.wire.headers import Quote
from vipd.wire.icmp import is_error

_OTHER_END: Final = {"source": "destination", "destination": "source"}

_rule = rules_of("icmp")
NO_ERROR = _rule("no_error", "type {type} is no error about a packet: the kernel's", "RFC 792, RFC 4443 2.1")
NO_QUOTE = _rule(
    "no_quote",
    "it brings back no TCP or UDP packet with its ports, or not one from {destination}: the kernel's",
    "RFC 792, RFC 1122 3.2.2: an error goes to whom the quoted packet came from",
)
NOBODYS = _rule("nobodys", "about no known connection: the kernel's", "RFC 5927 4: an error must fit a connection")
TO_SERVER = _rule("to_server", "about a reply of {server}, to {client}: the server must know", "RFC 5508 4.2")
TO_CLIENT = _rule(
    "to_client", "about what NAT had sent to {server}: the client must know, in its own terms", "RFC 5508 4.2"
)
NOT_SENT_ON = _rule(
    "not_sent_on", "{server} is the director itself: the kernel's", "LVS, ip_vs_xmit.c ip_vs_null_xmit: local node"
)
REWRITTEN = _rule(
    "rewritten",
    "address and port of error and quote become {address} port {port}; the quoted transport checksum stays",
    "RFC 5508 4.2; LVS, ip_vs_core.c ip_vs_nat_icmp: a quote may end before it",
)


def about_connection(journey: Journey) -> str:
    """The outcome of an ICMP or ICMPv6 message. The connection that it is about is only read."""
    nobodys = "pass_icmp" if journey.to_vip else "pass_not_ours"
    kind = journey.packet[journey.offset]
    if not is_error(journey.network.version, kind):
        journey.because(NO_ERROR, type=kind)
        return nobodys
    quote = _quote(journey)
    if quote is None:
        journey.because(NO_QUOTE, destination=journey.network.destination)
        return nobodys
    # As an answer to the quoted packet would come.
    said = quote.network
    flow = Flow(said.destination, quote.destination_port, said.source, quote.source_port, said.protocol)
    entry = journey.draft.connections.get(flow)
    if entry is None or not _counts(journey, entry):
        journey.because(NOBODYS)
        return nobodys
    journey.hash = flow_hash(journey.configuration.keys, flow)
    journey.server, journey.service = entry.server, entry.service
    if isinstance(entry, ReplyEntry):
        return _to_client(journey, quote, entry)
    return _to_server(journey, quote)


def _quote(journey: Journey) -> Quote | None:
    network = journey.network
    quote = headers.read_quote(journey.packet, network.version, journey.offset + 8, network.length)
    if quote is None or quote.network.protocol not in (ip.TCP, ip.UDP):
        return None
    return quote if quote.network.source == network.destination else None


def _counts(journey: Journey, entry: Entry | ReplyEntry) -> bool:
    """Whether the connection is not over yet."""
    client = journey.draft.connections.get(entry.client) if isinstance(entry, ReplyEntry) else entry
    return isinstance(client, Entry) and not table.is_over(client.expires, journey.tick)


def _to_server(journey: Journey, quote: Quote) -> str:
    server = journey.configuration.servers[journey.server]
    if server.method is None:
        journey.because(NOT_SENT_ON, server=server.address)
        return "pass_icmp"
    journey.because(TO_SERVER, server=server.address, client=quote.network.destination)
    hop = nexthop.of_server(journey, server)
    if server.method is Method.DR:
        return _renamed(forward.forward_dr(journey, hop))
    if leaving.ttl_ends(journey):
        return "drop_ttl"
    if server.method is Method.TUN:
        return _renamed(tunnelling.forward_tun(journey, server, hop))
    if hop.kind == nexthop.NO_ROUTE:
        journey.because(leaving.NO_ROUTE)
        return "drop_no_route"
    _rewrite(journey, quote, "source", server.address, server.port or quote.source_port)
    leaving.count_in(journey)
    return _leave(journey, hop)


def _to_client(journey: Journey, quote: Quote, entry: ReplyEntry) -> str:
    journey.because(TO_CLIENT, server=quote.network.destination)
    if leaving.ttl_ends(journey):
        return "drop_ttl"
    hop = nexthop.ask_client(journey)
    if hop.kind == nexthop.NO_ROUTE:
        journey.because(leaving.NO_ROUTE)
        return "drop_no_route"
    vip = journey.configuration.services[entry.service].endpoint.vip
    _rewrite(journey, quote, "destination", vip, entry.service_port)
    leaving.count_out(journey)
    return _leave(journey, hop)


def _rewrite(journey: Journey, quote: Quote, which: str, address: Address, port: int) -> None:
    """One end of the quoted packet, and that same end of the error, which goes the other way.

    The quoted IPv4 header keeps its own sum: there address and sum cancel, so that the error's checksum
    follows from the port alone. ICMPv6 sums the addresses of the quote, and those of the error itself.
    """
    packet, offset = journey.packet, journey.offset
    quoted = headers.put_address(packet, which, address, quote.at)
    old, new = headers.put_port(packet, which, port, quote.ports_at), port.to_bytes(2, "big")
    outer = headers.put_address(packet, _OTHER_END[which], address)
    if journey.network.version == 6:
        old, new = old + quoted + outer, new + 2 * address.packed
    headers.sum_icmp(packet, offset, old, new)
    journey.because(REWRITTEN, address=address, port=port)


def _leave(journey: Journey, hop: Hop) -> str:
    fits = journey.network.length <= hop.mtu
    by_kernel = nexthop.kind(journey, hop) != nexthop.ETHERNET or not fits
    return leaving.leave_as_router(journey, hop, by_kernel, "icmp_error")


def _renamed(outcome: str) -> str:
    """What a packet of the connection would end in, as an error about it ends."""
    action, _, _ = outcome.partition("_")
    return f"{action}_icmp_error" if action in ("forward", "route") else outcome
