"""Which real server a new connection gets: LVS's schedulers over the control plane's tables. The fourth stage."""

from __future__ import annotations

from vipd.model.director import Method, Scheduler, with_port
from vipd.spec import answer
from vipd.spec.configuration import Server, Service
from vipd.spec.hashes import client_hash, share
from vipd.spec.packet import Journey
from vipd.spec.reason import rules_of
from vipd.spec.remember import Remembered, remember
from vipd.spec.state import Load

_rule = rules_of("schedule")
NOBODY = _rule("nobody", "{scheduler}: no server takes new connections", "ipvsadm(8), --weight: 0 is quiesced")
NOBODY_WITHOUT_MEMORY = _rule(
    "nobody_without_memory", "no server stands in the Maglev table", "ipvsadm(8), --weight: 0 is quiesced"
)
TURN = _rule("turn", "{scheduler}: turn {turn} of {count}: server {server}", "LVS, ip_vs_rr.c, ip_vs_wrr.c")
COUNTED = _rule(
    "counted",
    "{scheduler}: {server} has {active} active and {inactive} inactive, weight {weight}: overhead {overhead}",
    "LVS, ip_vs_lc.c, ip_vs_wlc.c: active connections count 256 times",
)
FEWEST = _rule(
    "fewest", "{scheduler}: {server} has the least overhead, and stands first of those", "LVS, ip_vs_lc.c: no weights"
)
LEAST = _rule(
    "least", "{scheduler}: {server} has the least for its weight, and stands first of those", "LVS, ip_vs_wlc.c"
)
PASSED_OVER = _rule(
    "passed_over", "{scheduler}: {server} takes no new connections", "ipvsadm(8), --weight: 0 is quiesced"
)
HASHED = _rule(
    "hashed",
    "{scheduler}: the hash of {client} points at slot {slot} of {count}: server {server}",
    "ARCHITECTURE.md, a choice is a table where it can be; Maglev: Eisenbud et al., NSDI 2016, 3.4",
)
OWN = _rule("own", "{server} itself asks: it would answer itself, past the director", "RFC 1122 3.2.1.3")
FULL = _rule("full", "the connection table has no room in this flow's two buckets", "ARCHITECTURE.md, full")
UNREMEMBERED = _rule(
    "unremembered",
    "only a SYN or a datagram begins a connection: this goes by consistent hash, and leaves no trace",
    "ARCHITECTURE.md, a SYN begins, others follow",
)
CONSISTENT = _rule(
    "consistent",
    "the hash of {client} points at slot {slot} of the Maglev table's {count}: server {server}",
    "Eisenbud et al., NSDI 2016, 3.4",
)
NO_WAY_BACK = _rule(
    "no_way_back",
    "under NAT, and replies from {server} port {port} could not be told without memory of the connection",
    "ARCHITECTURE.md, a SYN begins, others follow",
)


def schedule(journey: Journey) -> str | None:
    """Choose and remember; what may or can not be remembered goes by consistent hash."""
    if journey.may_begin:
        number = _choose(journey, journey.configuration.services[journey.service])
        if number:
            if _asks_itself(journey, number):
                return "drop_martian"
            match remember(journey, number):
                case Remembered.YES:
                    journey.server = number
                    return None
                case Remembered.COLLISION:
                    return "drop_collision"
                case Remembered.FULL:
                    journey.because(FULL)
                    journey.happened("table_full")
    else:
        journey.because(UNREMEMBERED)
    return _without_memory(journey)


def _choose(journey: Journey, service: Service) -> int:
    """A server's number; 0 for none."""
    count = len(service.slots)
    if not count:
        journey.because(NOBODY, scheduler=service.scheduler)
        return 0
    match service.scheduler:
        case Scheduler.LC | Scheduler.WLC:
            return _least(journey, service)
        case Scheduler.RR | Scheduler.WRR:
            turn = journey.draft.cursors.get(journey.service) or 0
            journey.draft.cursors.put(journey.service, turn + 1)
            number = service.slots[turn % count]
            journey.because(
                TURN, scheduler=service.scheduler, turn=turn % count, count=count, server=_name(journey, number)
            )
        case Scheduler.SH | Scheduler.MH:
            slot = _hashed_slot(journey, service.hash_port, count)
            number = service.slots[slot]
            journey.because(
                HASHED,
                scheduler=service.scheduler,
                client=_client(journey, service.hash_port),
                slot=slot,
                count=count,
                server=_name(journey, number),
            )
    return number if _takes(journey, number) else 0


def _least(journey: Journey, service: Service) -> int:
    """lc and wlc: the least overhead, for wlc in proportion to the weight; of equals, the first of the table."""
    weighted = service.scheduler is Scheduler.WLC
    chosen, least, least_weight = 0, 0, 1
    for number in service.slots:
        server = journey.configuration.servers.get(number)
        if server is None or server.removed is not None or not server.weight:
            journey.because(PASSED_OVER, scheduler=service.scheduler, server=_name(journey, number))
            continue
        load = journey.draft.loads.get(number) or Load()
        overhead, weight = load.active * 256 + load.inactive, server.weight if weighted else 1
        journey.because(
            COUNTED,
            scheduler=service.scheduler,
            server=_name(journey, number),
            active=load.active,
            inactive=load.inactive,
            weight=server.weight,
            overhead=overhead,
        )
        if not chosen or overhead * least_weight < least * weight:
            chosen, least, least_weight = number, overhead, weight
    if chosen:
        journey.because(LEAST if weighted else FEWEST, scheduler=service.scheduler, server=_name(journey, chosen))
    else:
        journey.because(NOBODY, scheduler=service.scheduler)
    return chosen if _takes(journey, chosen) else 0


def _without_memory(journey: Journey) -> str | None:
    """The same server for every packet of a flow, with or without memory of it."""
    service = journey.configuration.services[journey.service]
    count = len(service.fallback)
    # sh and mh send a client's flows to one server, so that here too only its address counts.
    by_port = service.hash_port or service.scheduler not in (Scheduler.SH, Scheduler.MH)
    number = 0
    if count:
        slot = _hashed_slot(journey, by_port, count)
        number = service.fallback[slot]
        journey.because(
            CONSISTENT, client=_client(journey, by_port), slot=slot, count=count, server=_name(journey, number)
        )
    if not _takes(journey, number):
        journey.because(NOBODY_WITHOUT_MEMORY)
        return answer.refuse(journey, "no_server")
    if _asks_itself(journey, number):
        return "drop_martian"
    server = journey.configuration.servers[number]
    if not _reply_can_be_told(journey, number, server):
        return answer.refuse(journey, "no_connection")
    journey.happened("stateless")
    journey.server = number
    return None


def _takes(journey: Journey, number: int) -> bool:
    """Whether the server is one of this service and present."""
    server = journey.configuration.servers.get(number)
    return server is not None and server.removed is None and server.service == journey.service


def _asks_itself(journey: Journey, number: int) -> bool:
    server = journey.configuration.servers[number]
    if server.address != journey.flow.source:
        return False
    journey.because(OWN, server=server.address)
    return True


def _reply_can_be_told(journey: Journey, number: int, server: Server) -> bool:
    if server.method is not Method.NAT:
        return True
    port = server.port or journey.flow.destination_port
    key = server.address, journey.flow.protocol, port
    if journey.configuration.derived.nat_sources.get(key) == number:
        return True
    journey.because(NO_WAY_BACK, server=server.address, port=port)
    return False


def _hashed_slot(journey: Journey, by_port: bool, count: int) -> int:
    flow = journey.flow
    return share(client_hash(journey.configuration.keys, flow.source, flow.source_port if by_port else 0), count)


def _client(journey: Journey, by_port: bool) -> str:
    return f"{journey.flow.source} port {journey.flow.source_port}" if by_port else str(journey.flow.source)


def _name(journey: Journey, number: int) -> str:
    server = journey.configuration.servers.get(number)
    return with_port(server.address, server.port) if server else "none"
