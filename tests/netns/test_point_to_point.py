"""Every method that can reach across a line without Ethernet, between real kernels, in both directions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.lan import eventually
from tests.support.town import CLIENT, FAR, MTU, WAYS, Town, town
from vipd.lab.client import Result

pytestmark = pytest.mark.root

each_way = pytest.mark.parametrize("name", WAYS)
each_family = pytest.mark.parametrize("family", [4, 6])
each_transport = pytest.mark.parametrize("transport", ["tcp", "udp"])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("town")) as made, made.lan.daemon(made.configuration()) as daemon:
        daemon.ready()
        yield made


def assert_all_answered(result: Result, name: str, family: int) -> None:
    way = WAYS[name]
    assert (result.answered, result.errors, result.retransmits) == (result.sent, {}, 0)
    assert set(result.servers) == {"far" if way.is_far else "near"}
    assert set(result.clients) == {(CLIENT if way.is_far else FAR)[family]}


@each_way
@each_family
@each_transport
def test_every_request_is_answered(running: Town, name: str, family: int, transport: str) -> None:
    before = running.outcomes()
    result = running.ask(name, transport, family)
    assert_all_answered(result, name, family)
    moved = {kind: count - before.get(kind, 0) for kind, count in running.outcomes().items()}
    way = WAYS[name]
    for outcome in (way.there, way.back):
        assert outcome is None or moved[outcome] >= result.sent
    others = {"forward_nat", "forward_tun", "forward_dr", "route_nat", "route_tun", "route_nat_reply"}
    assert {kind for kind in others - {way.there, way.back} if moved.get(kind)} == set()
    assert {kind for kind, count in moved.items() if count and kind.startswith("drop")} == set()


@each_way
@each_family
@pytest.mark.parametrize("direction", ["upload", "download"])
def test_transfers_fit_through_a_narrow_line(running: Town, name: str, family: int, direction: str) -> None:
    """Whoever sends too much is told what fits, in his own terms, and goes on."""
    result = running.ask(name, "tcp", family, connections=4, concurrency=2, timeout=20, **{direction: 200_000})
    assert (result.answered, result.errors) == (4, {})


@each_family
@pytest.mark.parametrize("name", ["nat-far", "nat-near"])
def test_datagrams_in_fragments_arrive_whole(running: Town, name: str, family: int) -> None:
    # A server's first one that is too large is lost: it is the question that the answer about sizes comes to.
    running.ask(name, "udp", family, connections=1, upload=3 * MTU, download=3 * MTU, timeout=1)
    result = running.ask(name, "udp", family, connections=8, upload=3 * MTU, download=3 * MTU)
    assert (result.answered, result.errors) == (8, {})


@each_family
def test_what_is_down_is_unreachable_by_name_and_well_again_after(running: Town, family: int) -> None:
    def counted(*names: str) -> int:
        return sum(running.outcomes().get(name, 0) for name in names)

    def ask() -> Result:
        return running.ask("nat-far", "udp", family, connections=4, concurrency=4, timeout=0.3)

    running.lan.director.ip("link", "set", "dev", running.line.device, "down")
    before = counted("drop_no_route", "route_nat")
    assert ask().answered == 0
    assert counted("drop_no_route", "route_nat") >= before + 4
    running.lan.director.ip("link", "set", "dev", running.line.device, "up")
    running.mend()
    eventually(lambda: ask().answered == 4)
