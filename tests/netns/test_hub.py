"""A director and its real servers on a hub: everybody hears everything, and only what is for him counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from scapy.utils import RawPcapReader

from tests.support.labs import Site, mac, site, until_closed
from vipd.lab.topology import DR, FAMILIES, NAT, TUN, Role, Topology
from vipd.model.director import Transport

pytestmark = pytest.mark.root

EVERYTHING: Final = "tcp port 80 or tcp port 8080 or proto 4"
"Of a request over TCP and IPv4, under any method."


def on_hubs(topology: Topology) -> Topology:
    segments = tuple(replace(segment, hub=True) for segment in topology.segments)
    return replace(topology, name=f"{topology.name}hub", segments=segments)


@pytest.fixture(scope="module", params=[NAT, DR, TUN], ids=["nat", "dr", "tun"])
def hubs(request: pytest.FixtureRequest) -> Iterator[Site]:
    with site(on_hubs(request.param)) as made:
        yield made


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("transport", Transport)
def test_the_director_works_on_a_hub(hubs: Site, transport: Transport, family: int) -> None:
    before = hubs.outcomes()["pass_other_mac"]
    result = hubs.client(transport, family, connections=90)
    assert (result.answered, result.errors) == (90, {})
    assert result.servers == {f"server{number}": 30 for number in (1, 2, 3)}
    # Replies that pass it by are heard all the same, and are another's.
    if replies_pass_by(hubs.lab.topology):
        assert hubs.outcomes()["pass_other_mac"] - before >= 90


def replies_pass_by(topology: Topology) -> bool:
    """On a segment of the director's."""
    shared = {link.segment for link in topology.director.links}
    return any(link.segment in shared for host in topology.servers for link in host.links) and (
        topology.servers[0].gateway != topology.director.name
    )


def heard_and_said(where: Site, segment: str, directory: Path) -> tuple[dict[str, Counter[bytes]], ...]:
    """Of some requests, by host: what its port was sent, and what it sent itself."""
    hosts = [(host.name, host.device_on(segment)) for host in where.lab.topology.hosts if host.link_on(segment)]
    captures = {host: where.capture(f"{segment}-{host}", directory / f"{host}.pcap", EVERYTHING) for host, _ in hosts}
    assert where.client(Transport.TCP, 4, connections=9).answered == 9
    until_closed(where)
    heard, said = dict[str, Counter[bytes]](), dict[str, Counter[bytes]]()
    for host, device in hosts:
        captures[host].stop()
        with RawPcapReader(str(captures[host].path)) as packets:
            passed = Counter(data for data, _ in packets)
        own = bytes.fromhex(mac(where, host, device).replace(":", ""))
        said[host] = Counter({data: count for data, count in passed.items() if data[6:12] == own})
        heard[host] = passed - said[host]
    return heard, said


def test_a_hub_repeats_every_frame_at_every_other_port_once(hubs: Site, tmp_path: Path) -> None:
    topology = hubs.lab.topology
    segment = topology.servers[0].links[0].segment
    heard, said = heard_and_said(hubs, segment, tmp_path)
    assert sum(said.values(), Counter[bytes]()).total() >= 3 * 9
    for host, its in heard.items():
        others = [sent for other, sent in said.items() if other != host]
        assert its == sum(others, Counter[bytes]()), host


def test_a_switch_does_not(tmp_path: Path) -> None:
    """Else the test before this one would show nothing."""
    with site(DR) as where:
        heard, said = heard_and_said(where, "lan", tmp_path)
        servers = {host.name for host in where.lab.topology.with_role(Role.SERVER)}
        for host in servers:
            assert 0 < heard[host].total() < sum(said.values(), Counter[bytes]()).total() // 2
