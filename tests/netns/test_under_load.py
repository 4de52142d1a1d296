"""What may not break a connection: a reload, a crash of the daemon, another server's removal."""

from __future__ import annotations

import os
import random
import signal
import threading
from typing import Final

import pytest

from tests.netns.conftest import MakeSite
from tests.support.labs import Site
from vipd.api.client import Client
from vipd.lab import process
from vipd.lab.client import Result
from vipd.lab.configuration import director_configuration
from vipd.lab.lab import VIPD
from vipd.lab.topology import TOPOLOGIES, Topology
from vipd.model.director import Transport
from vipd.model.instance import Instance

RELOADS: Final = 100
KILLS: Final = 500 if os.environ.get("SOAK") else 50
EACH_TOPOLOGY: Final = pytest.mark.parametrize("name", list(TOPOLOGIES))
LONG: Final = {"concurrency": 24, "requests": 10_000, "pause": 0.02}
"Connections that last as long as the test."


def assert_none_lost(result: Result) -> None:
    assert result.answered == result.sent > 0
    assert (result.errors, result.moved) == ({}, 0)


def without(configuration: str, topology: Topology, server: int) -> str:
    """The configuration without a server, in all services."""
    addresses = tuple(str(topology.address(topology.servers[server], family)) for family in (4, 6))
    kept = [
        line
        for line in configuration.splitlines()
        if not (line.lstrip().startswith("- ") and any(address in line for address in addresses))
    ]
    return "\n".join(kept) + "\n"


def variants(topology: Topology) -> list[str]:
    """The same services: as they are, in another order, by another scheduler, with a remark."""
    plain = director_configuration(topology)
    return [
        plain,
        director_configuration(topology, "wlc"),
        plain + "# a remark\n",
        director_configuration(topology, "mh"),
        plain.replace("scheduler: rr", "scheduler: rr\n    on_server_removed: keep"),
    ]


def test_100_reloads_under_load_lose_nothing(lab: MakeSite) -> None:
    site: Site = lab("nat")
    texts = variants(site.lab.topology)
    with (
        site.loading(Transport.TCP, 4, **LONG) as known,
        site.loading(Transport.TCP, 6, concurrency=8) as fresh,
        Client(Instance(site.director.instance)) as api,
    ):
        for number in range(RELOADS):
            site.lab.configuration.write_text(texts[number % len(texts)])
            api.reload()
        assert_none_lost(known.finish())
        assert_none_lost(fresh.finish())


def test_a_killed_daemon_loses_nothing_whenever_it_was_killed(lab: MakeSite) -> None:
    site: Site = lab("nat")
    texts = variants(site.lab.topology)
    chance = random.Random(20)
    unhurried = threading.Event()
    site.director.stop(signal.SIGKILL)
    with (
        site.loading(Transport.TCP, 4, **LONG) as known,
        site.loading(Transport.UDP, 6, concurrency=4, requests=50) as fresh,
    ):
        for number in range(KILLS):
            site.lab.configuration.write_text(texts[number % len(texts)])
            # In the midst of its start as a rule, sometimes after it.
            daemon = site.lab.start(
                site.director.host.name,
                *(*VIPD, "--instance", site.director.instance, "run", "-c", str(site.lab.configuration)),
                name="killed",
            )
            unhurried.wait(chance.uniform(0.2, 1.6))
            process.stop([daemon], number=signal.SIGKILL)
        assert_none_lost(known.finish())
        assert_none_lost(fresh.finish())
    site.lab.configuration.write_text(texts[0])
    site.start()
    status = site.status()
    assert {service["scheduler"] for service in status["services"]} == {"rr"}
    assert all(len(service["servers"]) == 3 for service in status["services"])


@EACH_TOPOLOGY
def test_of_a_removed_server_only_its_own_connections_end_and_at_once(lab: MakeSite, name: str) -> None:
    site: Site = lab(name)
    topology = site.lab.topology
    with site.loading(Transport.TCP, 4, **{**LONG, "concurrency": 60}, connections=60, timeout=3) as known:
        process.wait_until(lambda: active(site) == 60, "all connections to be known")
        site.director.configure(without(site.lab.configuration.read_text(), topology, server=1))
        process.wait_until(lambda: active(site) == 40, "the connections of the removed server to end")
        result = known.finish()
    assert (result.connections, result.moved) == (60, 0)
    # A reset at the next packet, not silence: nobody waited for an answer in vain.
    assert dict(result.errors) == {"reset": 20}
    assert result.retransmits == 0


def active(site: Site) -> int:
    return sum(server["active"] for service in site.status()["services"] for server in service["servers"])
