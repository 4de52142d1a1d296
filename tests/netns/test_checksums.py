"""Offloads of hosts that are namespaces: who leaves a checksum to whom, and what a receiver counts."""

from __future__ import annotations

import pytest

from tests.netns.conftest import MakeSite
from tests.support.labs import Site
from vipd.lab.topology import FAMILIES, SWITCH, TOPOLOGIES
from vipd.model.director import Transport

TEN_MEGABYTES = 10_000_000
WRONG = ("TcpInCsumErrors", "UdpInCsumErrors", "Udp6InCsumErrors")


def offload(where: Site, host: str, device: str, switch: str) -> None:
    where.lab.run(host, "ethtool", "-K", device, "tx", switch)
    where.lab.run(host, "ethtool", "-K", device, "tso", switch, "gso", switch, "gro", switch)


def wrong_sums(where: Site) -> int:
    hosts = [host.name for host in where.lab.topology.hosts]
    return sum(counted[name] for counted in map(where.counters, hosts) for name in WRONG)


@pytest.mark.parametrize("offloads", ["on", "off"])
@pytest.mark.parametrize("name", TOPOLOGIES)
def test_transfers_arrive_without_a_wrong_sum(lab: MakeSite, name: str, offloads: str) -> None:
    """On: whoever sends into the director's cable finishes what senders left, once for all of them."""
    site = lab(name)
    topology = site.lab.topology
    for port, host, link in topology.ports():
        if host != topology.director:
            offload(site, host.name, host.device_on(link.segment), offloads)
        site.lab.run(SWITCH, "ethtool", "-K", port, "tx", "off" if host == topology.director else offloads)
    for family in FAMILIES:
        small = site.client(Transport.TCP, family, connections=100)
        large = site.client(
            Transport.TCP, family, connections=3, download=TEN_MEGABYTES, upload=TEN_MEGABYTES, timeout=40
        )
        datagrams = site.client(Transport.UDP, family, connections=60, upload=1_000, download=1_000)
        for result in (small, large, datagrams):
            assert result.answered == result.sent
            assert result.errors == {}
    assert wrong_sums(site) == 0
