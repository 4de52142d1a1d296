"""The desired state and the plan that leads to it."""

from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vipd import control
from vipd.control.desired import fallback_slots
from vipd.dataplane.port import Change, PutService, RemoveService
from vipd.model.director import (
    Address,
    Director,
    Endpoint,
    Method,
    OnServerRemoved,
    RealServer,
    Scheduler,
    Transport,
    VirtualService,
)
from vipd.model.state import Egress, HeldService

SECRET = bytes(range(16))
VIP = IPv4Address("192.0.2.1")


def on_link(_address: Address) -> Egress:
    return Egress.ON_LINK


def reach(service: VirtualService) -> tuple[Egress, ...]:
    return tuple(on_link(server.address) for server in service.servers)


def endpoint(port: int = 80, last: int = 0, vip: Address = VIP, transport: Transport = Transport.TCP) -> Endpoint:
    return Endpoint(vip, port, last or port, transport)


def v4(number: int) -> IPv4Address:
    return IPv4Address(0x0A000000 + number)


def web(*servers: RealServer, scheduler: Scheduler = Scheduler.WLC, **more: object) -> VirtualService:
    return replace(VirtualService("web", (endpoint(),), servers, scheduler), **more)  # type: ignore[arg-type]


def director(*services: VirtualService) -> Director:
    return Director(("eth0",), services)


def held(service: VirtualService, drained: frozenset[control.Drain] = frozenset()) -> HeldService:
    return control.desired(director(service), on_link, SECRET, drained)[service.listen[0]]


def regions(service: HeldService) -> tuple[list[int], list[int]]:
    slots, fallback = (np.frombuffer(each, "<u4").tolist() for each in (service.slots, service.fallback))
    return slots, fallback


@pytest.mark.parametrize("scheduler", Scheduler)
def test_no_scheduler_ever_sees_a_server_of_weight_0(scheduler: Scheduler) -> None:
    service = held(
        web(RealServer(v4(1)), RealServer(v4(2), weight=0), RealServer(v4(3), weight=7), scheduler=scheduler)
    )
    quiesced = next(index for index, each in enumerate(service.servers) if each.key.address == v4(2))
    for region in regions(service):
        assert set(region) == {0, 1, 2} - {quiesced}


@pytest.mark.parametrize("scheduler", Scheduler)
@pytest.mark.parametrize(
    "servers", [(), (RealServer(v4(1), weight=0), RealServer(v4(2), weight=0))], ids=["none", "all 0"]
)
def test_without_a_server_of_any_weight_both_regions_are_empty(
    scheduler: Scheduler, servers: tuple[RealServer, ...]
) -> None:
    assert regions(held(web(*servers, scheduler=scheduler))) == ([], [])


@pytest.mark.parametrize("scheduler", Scheduler)
@given(weights=st.lists(st.integers(0, 65535), min_size=1, max_size=12))
@settings(deadline=None, max_examples=30)
def test_each_scheduler_shares_by_weight_or_evenly(scheduler: Scheduler, weights: list[int]) -> None:
    service = held(web(*(RealServer(v4(n), weight=w) for n, w in enumerate(weights)), scheduler=scheduler))
    weight = np.array([each.weight for each in service.servers])
    if not weight.any():
        return
    slots, fallback = regions(service)
    even = scheduler in (Scheduler.RR, Scheduler.LC, Scheduler.WLC)
    fair = (weight > 0) / np.count_nonzero(weight) if even else weight / weight.sum()
    assert np.abs(np.bincount(slots, minlength=len(weight)) / len(slots) - fair).max() <= 0.01
    assert np.abs(np.bincount(fallback, minlength=len(weight)) / len(fallback) - weight / weight.sum()).max() <= 0.02


@pytest.mark.parametrize("scheduler", [Scheduler.SH, Scheduler.MH])
def test_hashing_schedulers_use_the_configured_table_for_both(scheduler: Scheduler) -> None:
    service = held(web(RealServer(v4(1)), RealServer(v4(2)), scheduler=scheduler, maglev_slots=509))
    assert len(regions(service)[0]) == 509
    assert service.fallback is service.slots


def test_the_fallback_grows_with_the_servers_and_never_beyond_the_configured_table() -> None:
    assert [fallback_slots(count, 65_537) for count in (1, 20, 21, 50, 1000)] == [251, 251, 257, 601, 12_007]
    assert fallback_slots(1000, 4093) == 4093


def test_the_order_in_the_file_makes_no_difference() -> None:
    servers = [RealServer(v4(n), weight=n % 4) for n in range(20)]
    first = held(web(*servers, scheduler=Scheduler.MH, maglev_slots=509))
    chance = random.Random(3)
    for _ in range(100):
        chance.shuffle(servers)
        assert held(web(*servers, scheduler=Scheduler.MH, maglev_slots=509)) == first


def test_a_port_that_says_nothing_new_makes_no_other_server() -> None:
    assert held(web(RealServer(v4(1), 80))) == held(web(RealServer(v4(1))))
    assert held(web(RealServer(v4(1), 81))) != held(web(RealServer(v4(1))))


def test_each_endpoint_has_a_service_of_its_own() -> None:
    other = endpoint(443)
    both = replace(web(RealServer(v4(1))), listen=(endpoint(), other, endpoint(5000, 5999)))
    wanted = control.desired(director(both), on_link, SECRET)
    assert list(wanted) == list(both.listen)
    assert all(each.key.endpoint == where for where, service in wanted.items() for each in service.servers)


@pytest.mark.parametrize(
    ("drain", "drained"),
    [
        (("web", v4(1), None), {(v4(1), None), (v4(1), 8080)}),
        (("web", v4(1), 8080), {(v4(1), 8080)}),
        (("web", v4(1), 80), {(v4(1), None)}),
        (("web", v4(1), 81), set()),
        (("web", v4(9), None), set()),
        (("other", v4(1), None), set()),
    ],
)
def test_a_drained_server_has_weight_0(drain: control.Drain, drained: set[tuple[Address, int | None]]) -> None:
    service = held(web(RealServer(v4(1)), RealServer(v4(1), 8080), RealServer(v4(2), weight=3)), frozenset({drain}))
    assert {(each.key.address, each.key.port) for each in service.servers if each.weight == 0} == drained
    able = {service.servers[index].key.address for index in regions(service)[1]}
    assert v4(2) in able


@pytest.mark.parametrize(
    ("server", "source", "bits"),
    [
        (RealServer(v4(1), method=Method.TUN), IPv4Address("172.16.0.0"), 16),
        (RealServer(IPv6Address("2001:db8::1"), method=Method.TUN), IPv6Address("100::"), 32),
        (RealServer(v4(1), method=Method.TUN, tunnel_source=IPv4Network("10.1.2.3")), IPv4Address("10.1.2.3"), 0),
        (RealServer(v4(1), method=Method.NAT), None, 0),
        (RealServer(v4(1), method=Method.DR), None, 0),
    ],
)
def test_only_a_tunnel_has_an_outer_source(server: RealServer, source: Address | None, bits: int) -> None:
    (found,) = held(web(server)).servers
    assert (found.tunnel_source, found.tunnel_source_bits) == (source, bits)


def test_a_server_that_is_the_director_itself_is_local() -> None:
    wanted = control.desired(director(web(RealServer(v4(1), method=Method.TUN))), lambda _: Egress.LOCAL, SECRET)[
        endpoint()
    ]
    (server,) = wanted.servers
    assert (server.local, server.tunnel_source) == (True, None)


def test_what_has_not_changed_is_the_same_object() -> None:
    desire = control.Desired()
    one = web(RealServer(v4(1)), RealServer(v4(2)))
    two = replace(one, name="two", listen=(endpoint(81),))
    before = desire(director(one, two), reach, SECRET)
    after = desire(director(replace(one, servers=(RealServer(v4(1)),)), two), reach, SECRET)
    assert after[endpoint(81)] is before[endpoint(81)]
    assert after[endpoint()] != before[endpoint()]
    moved = desire(director(one, two), lambda _: (Egress.LOCAL, Egress.ON_LINK), SECRET)
    assert moved[endpoint(81)].servers[0].local
    assert desire(director(one, two), reach, bytes(16))[endpoint()].fallback != before[endpoint()].fallback
    assert desire(director(one, two), reach, SECRET) == before


ADDRESSES = st.integers(1, 6).map(v4) | st.integers(1, 6).map(lambda n: IPv6Address((0x20010DB8 << 96) + n))
SERVERS = st.builds(
    RealServer, ADDRESSES, st.none() | st.integers(8080, 8082), st.integers(0, 3), st.sampled_from(Method)
)


@st.composite
def directors(draw: st.DrawFn) -> Director:
    """Both families mixed, in services that come and go from one to the next."""
    services = []
    for name in draw(st.lists(st.sampled_from("abcd"), unique=True)):
        vip = IPv6Address("2001:db8::a") if draw(st.booleans()) else VIP
        where = endpoint(100 + ord(name), draw(st.sampled_from([0, 250])), vip, draw(st.sampled_from(Transport)))
        servers = draw(st.lists(SERVERS, max_size=5, unique_by=lambda server: (server.address, server.port)))
        services.append(
            VirtualService(
                name,
                (where,),
                tuple(servers),
                draw(st.sampled_from(Scheduler)),
                draw(st.sampled_from(OnServerRemoved)),
                251,
                draw(st.booleans()),
                draw(st.booleans()),
            )
        )
    return director(*services)


def applied(changes: tuple[Change, ...], state: dict[Endpoint, HeldService]) -> dict[Endpoint, HeldService]:
    state = dict(state)
    for change in changes:
        if isinstance(change, RemoveService):
            del state[change.endpoint]
        else:
            state[change.service.endpoint] = change.service
    return state


@given(directors(), directors())
@settings(deadline=None)
def test_a_plan_leads_from_any_state_to_any_other_and_back(one: Director, other: Director) -> None:
    a, b = (control.desired(each, on_link, SECRET) for each in (one, other))
    forth = control.plan(b, a, control.policies(other))
    assert applied(forth, a) == b
    assert applied(control.plan(a, b, control.policies(one)), applied(forth, a)) == a
    assert control.plan(a, a, control.policies(one)) == ()
    untouched = {where for where in a if a[where] == b.get(where)}
    assert untouched.isdisjoint(
        change.endpoint if isinstance(change, RemoveService) else change.service.endpoint for change in forth
    )
    assert bool(control.describe(forth, a)) == bool(forth)


@given(st.lists(directors(), min_size=2, max_size=5))
@settings(deadline=None, max_examples=50)
def test_a_memory_of_earlier_states_changes_no_result(history: list[Director]) -> None:
    desire = control.Desired()
    for each in [*history, *reversed(history)]:
        assert desire(each, reach, SECRET) == control.desired(each, on_link, SECRET)


def test_a_plan_names_the_policy_of_the_service() -> None:
    service = web(RealServer(v4(1)), on_server_removed=OnServerRemoved.KEEP)
    wanted = control.desired(director(service), on_link, SECRET)
    policies = control.policies(director(service))
    (put,) = control.plan(wanted, {}, policies)
    assert put == PutService(wanted[endpoint()], OnServerRemoved.KEEP)
    assert control.plan({}, wanted, policies) == (RemoveService(endpoint(), OnServerRemoved.KEEP),)
    assert control.plan({}, wanted, {}) == (RemoveService(endpoint(), OnServerRemoved.RESET),)


def test_a_plan_is_told_in_words() -> None:
    before = web(RealServer(v4(1)), RealServer(v4(2)), RealServer(v4(3)), on_server_removed=OnServerRemoved.RESCHEDULE)
    after = replace(
        before,
        servers=(RealServer(v4(1), weight=5), RealServer(v4(2), method=Method.TUN), RealServer(v4(4), 8080)),
        scheduler=Scheduler.MH,
        clamp_mss=False,
    )
    old, new = (control.desired(director(each), on_link, SECRET) for each in (before, after))
    policies = control.policies(director(after))
    where = "192.0.2.1:80/tcp: "
    assert [str(step) for step in control.describe(control.plan(new, old, policies), old)] == [
        where + "scheduler wlc becomes mh",
        where + "clamp_mss becomes false",
        where + "remove server 10.0.0.3, its connections go to other servers",
        where + "server 10.0.0.1: weight 1 becomes 5",
        where + "server 10.0.0.2: nat becomes tun, outer source none becomes 172.16.0.0/16",
        where + "add server 10.0.0.4:8080 by nat with weight 1",
    ]
    assert [str(step) for step in control.describe(control.plan(new, {}, policies), {})] == [
        where + "add the service with mh and 3 servers"
    ]
    assert [str(step) for step in control.describe(control.plan({}, old, {}), old)] == [
        where + "remove the service, its connections are reset"
    ]
    tampered = {endpoint(): replace(new[endpoint()], slots=b"")}
    assert [step.text for step in control.describe(control.plan(new, tampered, policies), tampered)] == [
        "cut the slot tables anew"
    ]
