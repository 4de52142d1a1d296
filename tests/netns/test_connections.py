"""Connections that begin anew, end, or lose their server: with real sockets, closed by either side."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from typing import Final

import pytest

from tests.netns.conftest import MakeSite
from tests.netns.test_under_load import active, without
from tests.support.labs import Site
from tests.support.lan import SOON
from tests.support.talk import Tcp, Udp, eventually
from vipd.lab.configuration import director_configuration
from vipd.model.director import Timeouts, Transport

PORTS: Final = range(20_000, 20_200)
SECONDS: Final = 3.0
LONGEST: Final = 0.9
"A retransmitted SYN costs a whole second."


def reset_by_client(talk: Tcp) -> None:
    talk.reset()


def closed_by_client(talk: Tcp) -> None:
    talk.close()


def closed_by_server(talk: Tcp) -> None:
    talk.close()


def again_and_again(site: Site, close: Callable[[Tcp], None], seconds: float) -> tuple[Counter[str], float]:
    """From each port in turn, over and over: who answered, and the longest time that a connect took."""
    met: Counter[str] = Counter()
    longest = 0.0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for port in PORTS:
            talk = Tcp(site, port=port)
            met[talk.ask(last=close is closed_by_server)["server"]] += 1
            close(talk)
            longest = max(longest, talk.connected_after)
    return met, longest


@pytest.mark.parametrize("close", [closed_by_client, closed_by_server, reset_by_client])
def test_a_port_that_is_used_again_never_waits(
    each_site: Site, close: Callable[[Tcp], None], record_property: Callable[[str, object], None]
) -> None:
    site = each_site
    # The client forgets at once what it closed itself, and uses its ports again.
    site.lab.run("client", "sysctl", "-qw", "net.ipv4.tcp_max_tw_buckets=0")
    service = site.lab.topology.service(Transport.TCP).name + "4"
    address = str(site.lab.topology.address(site.lab.topology.servers[0], 4))
    before = site.counters("client")
    met, longest = again_and_again(site, close, SECONDS / 2)
    site.director.vipd("drain", service, address)
    drained, slow = again_and_again(site, close, SECONDS / 2)
    site.director.vipd("undrain", service, address)
    after = site.counters("client")
    record_property("connections", sum(met.values()) + sum(drained.values()))
    record_property("longest", max(longest, slow))
    assert set(met) == {"server1", "server2", "server3"}
    assert set(drained) == {"server2", "server3"}, "a drained server got new connections"
    assert after["TcpExtTCPSynRetrans"] == before["TcpExtTCPSynRetrans"]
    assert max(longest, slow) < LONGEST


def test_idle_connections_of_a_removed_server_are_told_at_their_next_packet(each_site: Site) -> None:
    site, topology = each_site, each_site.lab.topology
    talks = [Tcp(site) for _ in range(99)]
    met = [talk.ask()["server"] for talk in talks]
    assert Counter(met) == {"server1": 33, "server2": 33, "server3": 33}
    site.reload(without(director_configuration(topology), topology, server=1))
    try:
        for talk, server in zip(talks, met, strict=True):
            if server != "server2":
                assert talk.ask()["server"] == server
                continue
            began = time.monotonic()
            with pytest.raises(ConnectionResetError):
                talk.ask()
            with Tcp(site) as again:
                assert again.ask()["server"] != "server2"
            assert time.monotonic() - began < SOON
    finally:
        for talk in talks:
            talk.close()
        site.reload(director_configuration(topology))


def test_the_first_syn_after_a_removal_reaches_another_server(each_site: Site) -> None:
    """The director believes the old connection alive: it never heard that it ended."""
    site, topology = each_site, each_site.lab.topology
    talks = [Tcp(site) for _ in range(3)]
    old = next(talk for talk in talks if talk.ask()["server"] == "server2")
    port = old.port
    site.lab.run("client", "nft", "add table inet mute")
    site.lab.run("client", "nft", "add chain inet mute out { type filter hook output priority 0; }")
    site.lab.run("client", "nft", f"add rule inet mute out tcp sport {port} tcp flags & (fin|rst) != 0 drop")
    old.reset()
    site.lab.run("client", "nft", "delete table inet mute")
    before = site.counters("client")
    site.reload(without(director_configuration(topology), topology, server=1))
    try:
        with Tcp(site, port=port) as talk:
            assert talk.ask()["server"] != "server2"
            assert talk.connected_after < LONGEST
    finally:
        for talk in talks:
            talk.close()
        site.reload(director_configuration(topology))
    assert site.counters("client")["TcpExtTCPSynRetrans"] == before["TcpExtTCPSynRetrans"]


@pytest.mark.parametrize(("policy", "refusals", "ports"), [("reschedule", 0, 30_000), ("reset", 1, 31_000)])
def test_datagrams_from_one_port_leave_a_removed_server_at_once(
    each_site: Site, policy: str, refusals: int, ports: int
) -> None:
    site, topology = each_site, each_site.lab.topology
    text = director_configuration(topology).replace("scheduler: rr", f"scheduler: rr\n    on_server_removed: {policy}")
    site.reload(text)
    talks = [Udp(site, port=ports + n) for n in range(3)]
    talk = next(talk for talk in talks if talk.ask()["server"] == "server2")
    assert {talk.ask()["server"] for _ in range(20)} == {"server2"}
    site.reload(without(text, topology, server=1))
    refused = 0
    met = []
    for _ in range(20):
        try:
            met.append(talk.ask()["server"])
        except ConnectionRefusedError:
            refused += 1
    for each in talks:
        each.close()
    site.reload(director_configuration(topology))
    assert refused == refusals
    assert len(met) == 20 - refusals
    assert "server2" not in met
    assert len(set(met)) == 1


def short_lived(topology_text: str) -> str:
    return topology_text + "timeouts: {" + ", ".join(f"{field.name}: 4s" for field in fields(Timeouts)) + "}\n"


@pytest.mark.parametrize("topology", ["nat", "dr"])
def test_counts_return_to_zero_whatever_way_connections_ended(lab: MakeSite, topology: str) -> None:
    site = lab(topology)
    site.reload(short_lived(director_configuration(site.lab.topology, "wlc")))
    for family in (4, 6):
        assert site.client(Transport.TCP, family, connections=1000).lost == 0
        assert site.client(Transport.UDP, family, connections=300).lost == 0
    talks = [Tcp(site) for _ in range(60)]
    for number, talk in enumerate(talks):
        talk.ask()
        if number % 2:
            talk.reset()
    assert active(site) >= 30
    # The other half is left open without a word, until the director has forgotten it.
    eventually(lambda: site.status()["connections"]["used"] == 0, "all connections to be forgotten", 20)
    assert {(server["active"], server["inactive"]) for server in site.servers()} == {(0, 0)}
    for talk in talks[::2]:
        talk.reset()
