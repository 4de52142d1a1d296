"""What every data plane does, the one in memory and the kernel's alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.entries import Planter
from tests.support.planes import bpf_file_system, opened
from tests.support.services import connection, endpoint, server, service
from vipd.dataplane.memory import MemoryDataplane
from vipd.dataplane.port import Dataplane, Matching, Port, PutService, RemoveService
from vipd.errors import DataplaneError
from vipd.model.director import Endpoint, Method, OnServerRemoved, Scheduler, Timeouts
from vipd.model.outcome import EVENTS, OUTCOMES
from vipd.model.state import Connection, Counters, HeldService

RESET = OnServerRemoved.RESET
WEB, WEB6, DNS = endpoint(), endpoint("2001:db8::10"), endpoint("192.0.2.10", 53, transport="udp")
PORTS, ALL = endpoint("192.0.2.11", 1000, 2999), endpoint("192.0.2.12", 0, 65535, "udp")
A, B = "10.0.0.1", "10.0.0.2"


@dataclass(frozen=True)
class Case:
    plane: Dataplane
    plant: Callable[[Connection], None]
    "Make a connection known, as if packets had made it."
    forget: Callable[[], None]
    "End all connections, as if they had expired."


@pytest.fixture(params=["memory", pytest.param("xdp", marks=pytest.mark.root)])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    if request.param == "memory":
        memory = MemoryDataplane()
        yield Case(memory, memory.known.append, memory.known.clear)
        return
    with bpf_file_system() as root:
        plane = opened(root)
        planter = Planter(plane)
        yield Case(plane, planter.plant, planter.forget)
        plane.down()


def put(held: HeldService, policy: OnServerRemoved = RESET) -> PutService:
    return PutService(held, policy)


EVERYTHING = [
    service(WEB, server(WEB, A, 8080), server(WEB, B, 8080, weight=7), scheduler=Scheduler.WRR),
    service(WEB6, server(WEB6, "2001:db8:1::1"), scheduler=Scheduler.MH),
    service(DNS, server(DNS, A, method=Method.DR), server(DNS, B, weight=0, method=Method.DR)),
    service(PORTS, server(PORTS, A, method=Method.TUN, tunnel_source="172.16.0.0"), scheduler=Scheduler.RR),
    service(ALL, scheduler=Scheduler.SH),
]


def test_nothing_is_held_at_first(case: Case) -> None:
    assert case.plane.held() == {}
    assert case.plane.counters() == {}
    assert list(case.plane.connections()) == []


def test_what_was_applied_is_held(case: Case) -> None:
    case.plane.apply([put(held) for held in EVERYTHING])
    assert case.plane.held() == {held.endpoint: held for held in EVERYTHING}


def test_applying_the_same_again_changes_nothing(case: Case) -> None:
    for _ in range(3):
        case.plane.apply([put(held) for held in EVERYTHING])
    assert case.plane.held() == {held.endpoint: held for held in EVERYTHING}


def test_the_order_of_servers_is_kept(case: Case) -> None:
    for addresses in ((A, B, "10.0.0.3"), ("10.0.0.3", A, B), (B, "10.0.0.3", A)):
        wanted = service(WEB, *(server(WEB, address) for address in addresses))
        case.plane.apply([put(wanted)])
        assert case.plane.held()[WEB] == wanted


def test_of_several_changes_to_a_service_the_last_counts(case: Case) -> None:
    last = service(WEB, server(WEB, B))
    case.plane.apply([put(service(WEB, server(WEB, A))), RemoveService(WEB, RESET), put(last)])
    assert case.plane.held() == {WEB: last}


def test_a_removed_service_is_gone_and_the_others_stay(case: Case) -> None:
    case.plane.apply([put(held) for held in EVERYTHING])
    case.plane.apply([RemoveService(WEB, RESET), RemoveService(PORTS, RESET), RemoveService(endpoint(first=81), RESET)])
    assert case.plane.held() == {held.endpoint: held for held in EVERYTHING if held.endpoint not in (WEB, PORTS)}


def test_a_removed_server_is_counted_until_its_last_connection_ended(case: Case) -> None:
    case.plane.apply([put(service(WEB, server(WEB, A), server(WEB, B)))])
    case.plant(connection(WEB, A))
    case.plane.apply([put(service(WEB, server(WEB, B)))])
    assert case.plane.collect() == 0
    assert case.plane.counters() == {
        server(WEB, A).key: Counters(active=1, connections=1),
        server(WEB, B).key: Counters(),
    }
    case.forget()
    assert case.plane.collect() == 1
    assert case.plane.counters().keys() == {server(WEB, B).key}
    assert case.plane.collect() == 0


def test_the_servers_of_a_removed_service_are_counted_likewise(case: Case) -> None:
    case.plane.apply([put(held) for held in EVERYTHING])
    case.plant(connection(DNS, A))
    case.plane.apply([RemoveService(DNS, RESET)])
    assert case.plane.collect() == 1
    assert case.plane.counters()[server(DNS, A).key] == Counters(inactive=1, connections=1)
    case.forget()
    assert case.plane.collect() == 1
    assert server(DNS, A).key not in case.plane.counters()


def test_a_server_that_comes_back_has_its_connections_again(case: Case) -> None:
    both = service(WEB, server(WEB, A), server(WEB, B))
    case.plane.apply([put(both)])
    case.plant(connection(WEB, A))
    case.plane.apply([RemoveService(WEB, OnServerRemoved.KEEP)])
    case.plane.apply([put(both)])
    assert case.plane.held() == {WEB: both}
    assert case.plane.counters()[server(WEB, A).key].active == 1
    assert case.plane.collect() == 0


KNOWN = [
    connection(WEB, A),
    connection(WEB, B, client="198.51.100.8", state="fin_wait", active=False),
    connection(DNS, A, client="203.0.113.9"),
    connection(WEB6, "2001:db8:1::1", client="2001:db8:2::1"),
]


@pytest.mark.parametrize(
    ("matching", "found"),
    [
        (Matching(), {0, 1, 2, 3}),
        (Matching(client=ip_network("198.51.100.0/24")), {0, 1}),
        (Matching(client=ip_network("198.51.100.8/32")), {1}),
        (Matching(client=ip_network("2001:db8::/32")), {3}),
        (Matching(client=ip_network("0.0.0.0/0")), {0, 1, 2}),
        (Matching(vip=ip_address("192.0.2.10")), {0, 1, 2}),
        (Matching(vip=ip_address("192.0.2.10"), vip_port=53), {2}),
        (Matching(server=ip_address(A)), {0, 2}),
        (Matching(state="fin_wait"), {1}),
        (Matching(state="udp"), {2}),
        (Matching(server=ip_address(A), state="fin_wait"), set()),
    ],
)
def test_connections_are_told_as_far_as_they_fit(case: Case, matching: Matching, found: set[int]) -> None:
    web = service(WEB, server(WEB, A), server(WEB, B))
    case.plane.apply([put(web), put(service(DNS, server(DNS, A))), put(service(WEB6, server(WEB6, "2001:db8:1::1")))])
    for known in KNOWN:
        case.plant(known)
    told = list(case.plane.connections(matching))
    assert all(59 < one.expires <= 61 for one in told)
    assert {replace(one, expires=60.0) for one in told} == {KNOWN[number] for number in found}
    assert len(told) == len(found)


def test_every_outcome_and_event_is_told(case: Case) -> None:
    totals = case.plane.totals()
    assert totals.outcomes == dict.fromkeys(OUTCOMES, 0)
    assert totals.events == dict.fromkeys(EVENTS, 0)


def test_ports_that_cannot_be_told_apart_are_refused(case: Case) -> None:
    mac = bytes(6)
    case.plane.set_ports([Port("a", 1, mac, True), Port("b", 2, mac, False)])
    with pytest.raises(DataplaneError, match="cannot be told"):
        case.plane.set_ports([Port("a", 3, mac, True), Port("b", 65539, mac, True)])
    case.plane.set_timeouts(Timeouts(established=86_400))


def test_more_servers_than_there_is_room_for_are_refused_and_nothing_changes(case: Case) -> None:
    before = service(WEB, server(WEB, A))
    case.plane.apply([put(before)])
    crowd = [server(DNS, str(ip_address("10.1.0.0") + number)) for number in range(65_535)]
    with pytest.raises(DataplaneError, match="at most 65535 real servers"):
        case.plane.apply([RemoveService(WEB, RESET), put(service(DNS, *crowd))])
    assert case.plane.held() == {WEB: before}


def services_of(where: Endpoint) -> st.SearchStrategy[HeldService]:
    addresses = st.lists(st.integers(1, 9), unique=True, max_size=5)
    host = "2001:db8:1::{}" if where.vip.version == 6 else "10.0.0.{}"
    return st.builds(
        lambda numbers, weight, scheduler: service(
            where, *(server(where, host.format(n), weight=(n * weight) % 4) for n in numbers), scheduler=scheduler
        ),
        addresses,
        st.integers(0, 3),
        st.sampled_from(list(Scheduler)),
    )


CHANGES = st.lists(
    st.sampled_from([WEB, WEB6, DNS, PORTS, ALL]).flatmap(
        lambda where: st.one_of(
            st.builds(PutService, services_of(where), st.sampled_from(list(OnServerRemoved))),
            st.builds(RemoveService, st.just(where), st.sampled_from(list(OnServerRemoved))),
        )
    ),
    max_size=4,
)


# Tables of slots are long; Hypothesis warns of what it costs to print them.
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(steps=st.lists(CHANGES, max_size=5))
def test_any_history_ends_in_what_was_last_asked(case: Case, steps: list[list[PutService | RemoveService]]) -> None:
    case.plane.apply([RemoveService(where, RESET) for where in case.plane.held()])
    wanted: dict[Endpoint, HeldService] = {}
    for changes in steps:
        case.plane.apply(changes)
        for change in changes:
            if isinstance(change, PutService):
                wanted[change.service.endpoint] = change.service
            else:
                wanted.pop(change.endpoint, None)
        assert case.plane.held() == wanted
        case.plane.collect()
        assert case.plane.held() == wanted
    assert case.plane.counters().keys() == {one.key for held in wanted.values() for one in held.servers}
