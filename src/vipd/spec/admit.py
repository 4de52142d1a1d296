"""A packet of no known connection: for which service is it, may it come in, or is it a reply. The third stage."""

from __future__ import annotations

from ipaddress import IPv4Address

from vipd.model.director import Address
from vipd.spec.packet import Journey
from vipd.spec.reason import rules_of

_rule = rules_of("admit")
SERVICE = _rule("service", "the service {endpoint} listens there", "docs/configuration.md, listen")
NO_SERVICE = _rule(
    "no_service", "{vip} is a VIP, but no service listens on port {port}: the kernel's", "docs/configuration.md"
)
NOT_VIP = _rule(
    "not_vip", "{destination} is no VIP, and nothing answers from {source}: the kernel's", "docs/configuration.md"
)
FLAGS = _rule("flags", "flags that no stack sends together", "RFC 9293 3.1, 3.10")
MARTIAN = _rule("martian", "{source} is an address that nobody may send from", "RFC 1122 3.2.1.3, RFC 4291 2.5, 2.7")
LAND = _rule("land", "from the VIP itself to the VIP", "RFC 1122 3.2.1.3: a source that is the host's own")
SERVERS_OWN = _rule(
    "servers_own", "a real server under NAT begins a connection of its own: the kernel's", "docs/lvs.md, NAT"
)
ORPHAN = _rule(
    "orphan",
    "a real server's reply under NAT, and which service it answers for cannot be told: with the server's "
    "own address on it, it would help nobody",
    "ARCHITECTURE.md, a SYN begins, others follow",
)
STATELESS = _rule(
    "stateless",
    "a reply of no known connection; {server} serves {endpoint} alone, so that it is told all the same",
    "ARCHITECTURE.md, a SYN begins, others follow",
)


def admit(journey: Journey) -> str | None:
    flow = journey.flow
    number = (
        journey.configuration.service_at(flow.destination, flow.protocol, flow.destination_port)
        if journey.to_vip
        else 0
    )
    if not number:
        return _reply(journey)
    journey.service = number
    journey.because(SERVICE, endpoint=journey.configuration.services[number].endpoint)
    if journey.odd_flags:
        journey.because(FLAGS)
        return "drop_tcp_flags"
    if flow.source == flow.destination:
        journey.because(LAND)
        return "drop_martian"
    if is_martian(flow.source):
        journey.because(MARTIAN, source=flow.source)
        return "drop_martian"
    return None


def is_martian(source: Address) -> bool:
    """This network, loopback, multicast and reserved; the unspecified address, loopback and multicast of IPv6."""
    if isinstance(source, IPv4Address):
        first = source.packed[0]
        return first in (0, 127) or first >= 224
    return source.is_multicast or source.is_loopback or source.is_unspecified


def _reply(journey: Journey) -> str | None:
    """Perhaps a real server's reply under NAT, whose connection is forgotten or could not be remembered."""
    flow, configuration = journey.flow, journey.configuration
    number = configuration.derived.nat_sources.get((flow.source, flow.protocol, flow.source_port))
    begins = journey.tcp is not None and journey.may_begin
    if number is None or begins:
        if number is not None:
            journey.because(SERVERS_OWN)
        elif journey.to_vip:
            journey.because(NO_SERVICE, vip=flow.destination, port=flow.destination_port)
        else:
            journey.because(NOT_VIP, source=flow.source, destination=flow.destination)
        return "pass_no_service" if journey.to_vip else "pass_not_ours"
    if number == 0:
        journey.because(ORPHAN)
        return "drop_unknown_reply"
    server = configuration.servers[number]
    endpoint = configuration.services[server.service].endpoint
    journey.because(STATELESS, server=server.address, endpoint=endpoint)
    journey.happened("stateless")
    journey.is_reply = True
    journey.server, journey.service, journey.service_port = number, server.service, endpoint.first_port
    return None
