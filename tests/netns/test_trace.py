"""Real traffic, traced: each packet that passed is told, with where it went and why."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.utils import rdpcap

from tests.netns.conftest import MakeSite
from tests.support.labs import Site, site, until_closed
from tests.support.tracing import Ending, Trace, trace
from vipd.lab import namespace
from vipd.lab.topology import FAMILIES, TOPOLOGIES, methods_of
from vipd.model.director import Method, Transport

pytestmark = pytest.mark.root

CONNECTIONS: Final = 12
SERVED: Final = 80
each_family = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="module", params=list(Method))
def each_site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """One lab for each method, all of Ethernet: what XDP sends on itself."""
    with site(TOPOLOGIES[request.param]) as made:
        yield made


@contextmanager
def traced(where: Site, *options: str) -> Iterator[Trace]:
    here = namespace.path_of(where.lab.network.namespace(where.director.host.name))
    with trace(where.director.instance, *options, before=("nsenter", f"--net={here}")) as running:
        yield running


def client_of(site: Site, family: int) -> str:
    return str(site.lab.topology.address(site.lab.topology.client, family))


def asked(site: Site, transport: Transport, family: int) -> tuple[Ending, Counter[str]]:
    """The client's requests, traced, and what the director counted meanwhile."""
    before = site.audit.books().outcomes
    with traced(site, "--json", "--rate", "0", "--client", client_of(site, family)) as running:
        assert site.client(transport, family, connections=CONNECTIONS).answered == CONNECTIONS
        until_closed(site)
        after = site.audit.books().outcomes
        ending = running.end()
    return ending, Counter(after) - Counter(before)


@each_family
@pytest.mark.parametrize("transport", list(Transport))
def test_every_packet_of_every_connection_is_told(each_site: Site, transport: Transport, family: int) -> None:
    ending, counted = asked(each_site, transport, family)
    [method] = methods_of(each_site.lab.topology)
    there = [packet for packet in ending.packets if packet["outcome"] == f"forward_{method}"]
    back = [packet for packet in ending.packets if packet["outcome"] == "forward_nat_reply"]
    assert len(there) == counted[f"forward_{method}"] >= CONNECTIONS
    assert len(back) == counted["forward_nat_reply"]
    assert bool(back) is (method is Method.NAT)
    assert ending.summary["lost"] == 0
    new = [packet for packet in there if "connection_new" in packet["events"]]
    assert len(new) == CONNECTIONS
    assert {packet["reason"] for packet in new} == {"new connection, rr: the next in turn"}
    assert Counter(packet["server"] for packet in new) == dict.fromkeys(servers(each_site, family), CONNECTIONS // 3)
    where_to = {flow_key(packet): packet["server"] for packet in new}
    for packet in there:
        assert packet["flow"]["source"] == client_of(each_site, family)
        assert packet["server"] == where_to[flow_key(packet)]
        assert packet["egress"]
        assert packet["known"] is (packet not in new)
        assert packet["service"].endswith(f"/{transport}")


def servers(site: Site, family: int) -> set[str]:
    return {each["address"] for each in site.servers() if (":" in each["address"]) == (family == 6)}


def flow_key(packet: dict[str, Any]) -> tuple[object, ...]:
    return tuple(packet["flow"].values())


def send(site: Site, family: int, packet: Any) -> None:
    """As it is, from the client's raw socket, by the client's routes."""
    kind = socket.AF_INET6 if family == 6 else socket.AF_INET
    octets = bytes(packet)
    with site.at(site.lab.topology.client.name), socket.socket(kind, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.sendto(octets, (packet.dst, 0))


@each_family
def test_dropped_packets_are_told_and_captured_as_they_came(each_site: Site, tmp_path: Path, family: int) -> None:
    layer = IPv6 if family == 6 else IP
    ends = {"src": client_of(each_site, family), "dst": str(each_site.lab.topology.vip_address(family))}
    path = tmp_path / "dropped.pcapng"
    scan = layer(**ends) / TCP(sport=999, dport=SERVED, flags="SF", seq=7)
    short = layer(**ends) / UDP(sport=998, dport=SERVED, len=7)
    fine = layer(**ends) / UDP(sport=998, dport=1)
    with traced(each_site, "--outcome", "drop*", "--pcap", str(path)) as running:
        for packet in (fine, scan, short):
            send(each_site, family, packet)
        lines = [running.out.until("drop_tcp_flags"), running.out.until("drop_malformed")]
        ending = running.end()
    assert ending.out.splitlines(keepends=True) == lines
    assert "2 packets told in" in ending.err
    assert "TCP flags that no honest stack sends together" in ending.err
    assert "A scan; nothing, or a filter before the director." in ending.err
    found = rdpcap(str(path))
    assert [bytes(packet[layer].payload) for packet in found] == [
        bytes(layer(bytes(packet)).payload) for packet in (scan, short)
    ]
    comments = subprocess.run(
        ["tshark", "-r", str(path), "-T", "fields", "-e", "frame.interface_name", "-e", "frame.comment"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    interface = lines[0].split()[1]
    assert comments[0].startswith(f"{interface}\tvipd: drop_tcp_flags: ")
    assert comments[1].startswith(f"{interface}\tvipd: drop_malformed: ")


def test_a_service_is_known_by_its_name_in_the_configuration(each_site: Site) -> None:
    with traced(each_site, "--json", "--service", "web4") as running:
        for transport in Transport:
            assert each_site.client(transport, 4, connections=1).answered == 1
        assert each_site.client(Transport.TCP, 6, connections=1).answered == 1
        running.out.until("forward_")
        ending = running.end()
    assert {packet["service"] for packet in ending.packets} == {
        f"{each_site.lab.topology.vip_address(4)}:{SERVED}/tcp",
    }


def test_tracing_goes_on_without_the_daemon_and_with_the_next(lab: MakeSite) -> None:
    made = lab("nat")
    with traced(made, "--client", client_of(made, 4)) as running:
        made.director.stop(signal.SIGKILL)
        assert made.client(Transport.TCP, 4, connections=1).answered == 1
        running.out.until("new connection")
        made.start()
        assert made.client(Transport.TCP, 4, connections=1).answered == 1
        running.out.until("new connection")
        assert running.end().status == 0
