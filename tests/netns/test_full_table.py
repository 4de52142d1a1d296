"""A table too small for what comes: nothing that is known ends, and nothing vanishes without a name."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.netns.test_under_load import LONG, active, assert_none_lost
from tests.support.floods import flood
from tests.support.labs import Site, site
from tests.support.talk import Tcp, eventually
from vipd.lab.configuration import director_configuration
from vipd.lab.topology import TOPOLOGIES, methods_of
from vipd.model.director import Method, Transport

SMALL = 1024
MANY = 5000
FLOOD = 40_000
"More than ten times what a table of 1,024 has room for."


@pytest.fixture(scope="module", params=TOPOLOGIES)
def small_site(request: pytest.FixtureRequest) -> Iterator[Site]:
    topology = TOPOLOGIES[request.param]
    text = director_configuration(topology) + f"connections: {SMALL}\ntimeouts: {{syn_recv: 3s, close: 2s}}\n"
    with site(topology, text) as made:
        yield made


@pytest.fixture
def enough_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("enough_files")
def test_more_connections_than_the_table_holds_all_work(small_site: Site) -> None:
    talks = [Tcp(small_site) for _ in range(MANY)]
    try:
        met = [talk.ask()["server"] for talk in talks]
        assert [talk.ask()["server"] for talk in talks] == met, "a connection changed its server"
        status = small_site.status()
        assert status["events"]["table_full"] > 0
        assert status["events"]["stateless"] > 0
        assert status["connections"]["used"] >= SMALL
        share = Counter(met)
        assert all(share[f"server{n}"] > MANY / 3 * 0.8 for n in (1, 2, 3)), share
    finally:
        for talk in talks:
            talk.reset()
    eventually(lambda: small_site.status()["connections"]["used"] == 0, "all connections to be forgotten", 30)


def test_a_flood_of_syns_ends_no_connection_and_is_forgotten(small_site: Site) -> None:
    with small_site.loading(Transport.TCP, 4, **{**LONG, "concurrency": 60}) as known:
        before = small_site.status()
        flood(small_site, FLOOD)
        during = small_site.status()
        assert during["events"]["table_full"] > before["events"]["table_full"]
        # Newcomers are served in the midst of it.
        assert_none_lost(small_site.client(Transport.TCP, 4, connections=200))
        eventually(lambda: active(small_site) == 60, "half-open connections to go", 15)
        assert_none_lost(known.finish())
    forwarded = small_site.outcomes()
    assert Method.NAT not in methods_of(small_site.lab.topology) or forwarded["drop_unknown_reply"] == 0
