"""Each method carries every request and takes its own path: counted by clients, director and wires."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.utils import rdpcap

from tests.support.labs import Site
from vipd.lab.client import Result
from vipd.lab.topology import FAMILIES, methods_of
from vipd.model.director import Method, Transport

MANY = 10_000
TRANSPORTS = pytest.mark.parametrize("transport", list(Transport))
EACH_FAMILY = pytest.mark.parametrize("family", FAMILIES)


def assert_all_answered(site: Site, family: int, result: Result, connections: int) -> None:
    assert (result.sent, result.answered, result.errors) == (connections, connections, {})
    assert result.retransmits == 0, "TCP hid a loss"
    assert result.clients == {str(site.lab.topology.address(site.lab.topology.client, family)): connections}
    share = connections // 3
    assert set(result.servers) == {"server1", "server2", "server3"}
    assert all(share <= count <= share + 1 for count in result.servers.values()), result.servers


@TRANSPORTS
@EACH_FAMILY
def test_300_connections_in_turn_and_none_lost(each_site: Site, transport: Transport, family: int) -> None:
    result = each_site.client(transport, family, connections=300, first_port=2000)
    assert_all_answered(each_site, family, result, 300)


@pytest.mark.parametrize("family", [4])
def test_10_000_connections_and_none_lost(each_site: Site, family: int) -> None:
    result = each_site.client(Transport.TCP, family, connections=MANY)
    assert_all_answered(each_site, family, result, MANY)


@pytest.fixture
def passing(each_site: Site, tmp_path: Path) -> list[TCP]:
    """What tcpdump sees the director send from the VIP during ten requests."""
    topology = each_site.lab.topology
    vip = topology.vip_address(4)
    port = f"{topology.vip.segment}-{topology.director.name}"
    capture = each_site.capture(port, tmp_path / "out.pcap", f"tcp and src host {vip}", direction="in")
    assert each_site.client(Transport.TCP, 4, connections=10).answered == 10
    capture.stop()
    return list(rdpcap(str(capture.path)))


def test_replies_pass_the_director_under_nat_alone(each_site: Site, passing: list[TCP]) -> None:
    topology = each_site.lab.topology
    if Method.NAT not in methods_of(topology):
        assert passing == []
        return
    client = str(topology.address(topology.client, 4))
    assert {(packet[IP].dst, packet[TCP].sport) for packet in passing} == {(client, 80)}
    assert len({packet[TCP].dport for packet in passing if packet[TCP].flags == "SA"}) == 10
