"""The way to a real server, and back to a client: the kernel's answer, remembered for a while."""

from __future__ import annotations

from typing import Final

from vipd.model.director import Address
from vipd.spec.configuration import Server
from vipd.spec.packet import Journey
from vipd.spec.reason import rules_of
from vipd.spec.routes import Answer
from vipd.spec.state import Hop, ReplyEntry
from vipd.wire.ethernet import mac_text

ETHERNET: Final = "ethernet"
"XDP sends, to a MAC address that is known."
BACK: Final = "back"
"XDP sends, but only out of the interface that the packet came in by."
KERNEL: Final = "kernel"
"Reachable, but only the kernel can send there."
UNRESOLVED: Final = "unresolved"
NO_ROUTE: Final = "no_route"

NO_MAC: Final = bytes(6)
RETURN_HOPS: Final = 4096
_GRACE: Final = 32
"Times the age of a next hop: 16 s."
_LOOK: Final = 29
"2^29 ns: a connection asks anew in one of eight such spans, about every four seconds."

_rule = rules_of("next_hop")
ASKED = _rule(
    "asked",
    "the kernel's way to {to}: {kind}, interface {ifindex}, MTU {mtu}, MAC {mac}",
    "ARCHITECTURE.md, the next hop is cached",
)
CACHED = _rule(
    "cached",
    "the way is known: {kind}, interface {ifindex}, MTU {mtu}, MAC {mac}",
    "ARCHITECTURE.md, the next hop is cached",
)
GRACE = _rule(
    "grace",
    "the kernel has forgotten the neighbour; for a while it is where it was",
    "RFC 4861 7.3.3: an entry that is probed goes on being used",
)


def of_server(journey: Journey, server: Server) -> Hop:
    """Asked for again once it is older than the configured age. Where nothing is resolved, by every packet."""
    held = journey.draft.next_hops.get(journey.server)
    age = journey.configuration.next_hop_age
    if held is not None and held.resolved_at and journey.now - held.resolved_at <= age:
        _show(journey, held)
        return held
    fresh, found = _ask(journey, server.address)
    if found:
        fresh = fresh._replace(resolved_at=journey.now)
    elif (
        held is not None
        and held.resolved_at
        and (fresh.kind, fresh.ifindex) == (UNRESOLVED, held.ifindex)
        and journey.now - held.resolved_at < age * _GRACE
    ):
        journey.because(GRACE)
        return held
    journey.draft.next_hops.put(journey.server, fresh)
    return fresh


def of_client(journey: Journey) -> Hop:
    """The way back, which a connection remembers by the number of a place that is shared."""
    held = journey.draft.return_hops.get(_reply_entry(journey).return_hop) if journey.known else None
    if held is not None and _is_fresh(journey, held):
        _show(journey, held)
        return held
    hop, found = _ask(journey, journey.flow.destination)
    if journey.known:
        number = _place(journey, hop) if found else 0
        entry = _reply_entry(journey)
        if entry.return_hop != number:
            journey.draft.connections.put(journey.flow, entry._replace(return_hop=number))
    return hop


def ask_client(journey: Journey) -> Hop:
    """The way to the packet's destination, not remembered."""
    return _ask(journey, journey.flow.destination)[0]


def kind(journey: Journey, hop: Hop) -> str:
    """What the hop is for this packet; a remembered one serves those of any interface."""
    if hop.kind != BACK:
        return hop.kind
    # Where a packet came in without Ethernet, XDP is the kernel's generic one: that sends out of any interface.
    anywhere = not journey.ingress.ethernet
    return ETHERNET if anywhere or hop.ifindex == journey.ingress.ifindex else KERNEL


def _ask(journey: Journey, to: Address) -> tuple[Hop, bool]:
    """The kernel's answer as a hop, and whether it may be remembered."""
    way = journey.routes.ask(journey.ingress.ifindex, to)
    journey.happened("next_hop_refreshed")
    match way.answer:
        case Answer.NEIGHBOUR:
            reach = _reach(journey, way.ifindex)
            hop = Hop(reach, way.ifindex, way.mtu, way.destination, way.source, way.gateway)
        case Answer.NO_NEIGHBOUR:
            reach = _reach(journey, way.ifindex)
            hop = Hop(KERNEL if reach == KERNEL else UNRESOLVED, way.ifindex, way.mtu)
        case Answer.ENCAPSULATED:
            hop = Hop(KERNEL, way.ifindex, way.mtu)
        case Answer.NO_ROUTE:
            hop = Hop(NO_ROUTE, way.ifindex, way.mtu)
    journey.because(ASKED, to=to, **_facts(hop))
    return hop, way.answer is Answer.NEIGHBOUR


def _reach(journey: Journey, ifindex: int) -> str:
    """What an interface is good for; frames of one without a MAC address are the kernel's to make."""
    interface = journey.configuration.interfaces.get(ifindex)
    if interface is None or interface.mac == NO_MAC:
        return KERNEL
    return ETHERNET if interface.redirect else BACK


def _reply_entry(journey: Journey) -> ReplyEntry:
    entry = journey.draft.connections.get(journey.flow)
    assert isinstance(entry, ReplyEntry)
    return entry


def _is_fresh(journey: Journey, held: Hop) -> bool:
    """Anew when nobody got it as an answer for a while, and by each connection of its own every few seconds:
    routes may change for one client alone."""
    if journey.now - held.resolved_at > journey.configuration.next_hop_age:
        return False
    return not journey.noted or (journey.hash ^ journey.now >> _LOOK) % 8 != 0


def _place(journey: Journey, hop: Hop) -> int:
    """The hop's place among those that are shared; 0 where another has it, and the kernel is asked for each packet."""
    place = _hop_hash(hop)
    if not place:
        return 0
    held = journey.draft.return_hops.get(place)
    fresh = hop._replace(resolved_at=journey.now, gateway=False)
    if held is not None and held._replace(resolved_at=journey.now) != fresh:
        return 0
    journey.draft.return_hops.put(place, fresh)
    return place


def _hop_hash(hop: Hop) -> int:
    """0 to RETURN_HOPS - 1, by MAC and interface."""
    a, b, c = (int.from_bytes(hop.destination[at : at + 2], "little") for at in (0, 2, 4))
    key = (a ^ b ^ c ^ hop.ifindex * 0x9E37) & 0xFFFFFFFF
    return (key ^ key >> 12) % RETURN_HOPS


def _show(journey: Journey, hop: Hop) -> None:
    journey.because(CACHED, **_facts(hop))


def _facts(hop: Hop) -> dict[str, object]:
    return {"kind": hop.kind, "ifindex": hop.ifindex, "mtu": hop.mtu, "mac": mac_text(hop.destination)}
