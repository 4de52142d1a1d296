"""Packets that do not fit: narrow hops, tunnels, fragments. Every transfer ends, no datagram is torn apart."""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import rdpcap

from tests.netns.conftest import MakeSite
from tests.support.labs import Site, mac, site
from tests.support.talk import Udp
from tests.support.topologies import BEHIND_ROUTER
from vipd.lab.configuration import director_configuration
from vipd.lab.topology import FAMILIES, methods_of
from vipd.model.director import Address, Method, Transport

NARROW = "1400"
MEGABYTE = 1_000_000
# Those where every server has a port of the switch, at which to look.
EACH_SWITCHED = pytest.mark.parametrize("each_site", ["nat", "dr", "tun"], indirect=True)
EACH_FAMILY = pytest.mark.parametrize("family", FAMILIES)


def narrow(where: Site, host: str, to: str, *way: str) -> None:
    """Packets to that network are routed as if the link took 1,400 bytes."""
    route(where, host, to, *way, "mtu", "lock", NARROW)


def route(where: Site, host: str, to: str, *way: str) -> None:
    """In place of the kernel's own, for a network on one of its links."""
    family, metric = ("-6", ("metric", "256")) if ":" in to else ("-4", ())
    where.lab.run(host, "ip", family, "route", "replace", to, *way, *metric)


def forget_paths(where: Site, host: str = "client") -> None:
    """What a host knows of the MTUs of paths."""
    for family in ("-4", "-6"):
        where.lab.run(host, "ip", family, "route", "flush", "cache")


def network(where: Site, segment: str, family: int) -> str:
    found = where.lab.topology.segment(segment)
    return str(found.ipv4 if family == 4 else found.ipv6)


@EACH_FAMILY
def test_servers_learn_of_a_narrow_way_to_the_client(each_site: Site, family: int) -> None:
    """The router's errors are for the VIP: only the director can tell which server they concern."""
    site = each_site
    router = site.lab.topology.host("router")
    to, device = network(site, "far", family), router.device_on("far")
    narrow(site, "router", to, "dev", device)
    before = site.outcomes()["forward_icmp_error"]
    try:
        result = site.client(Transport.TCP, family, connections=6, concurrency=2, download=MEGABYTE)
    finally:
        route(site, "router", to, "dev", device)
    assert (result.answered, result.errors) == (6, {})
    assert site.outcomes()["forward_icmp_error"] - before >= 3  # each server has learned by itself
    for server in site.lab.topology.servers:
        forget_paths(site, server.name)


@pytest.fixture(scope="module")
def behind_router() -> Iterator[Site]:
    with site(BEHIND_ROUTER, start=False) as made:
        for family in FAMILIES:
            core = BEHIND_ROUTER.segment("inner").address(2, family)
            made.lab.run(
                "director", "ip", f"-{family}", "route", "add", network(made, "rack", family), "via", str(core)
            )
        made.start()
        yield made


@EACH_FAMILY
def test_nat_serves_from_behind_a_router(behind_router: Site, family: int) -> None:
    for transport in Transport:
        result = behind_router.client(transport, family, connections=90, first_port=40_000)
        assert (result.answered, result.errors, result.retransmits) == (90, {}, 0)
        assert dict(result.servers) == {"server1": 30, "server2": 30, "server3": 30}


@EACH_FAMILY
def test_the_client_learns_of_a_narrow_way_to_servers_under_nat(behind_router: Site, family: int) -> None:
    site = behind_router
    narrow(site, "core", network(site, "rack", family), "dev", "eth1")
    result = site.client(Transport.TCP, family, connections=6, concurrency=2, upload=MEGABYTE)
    assert (result.answered, result.errors) == (6, {})
    assert site.outcomes()["forward_icmp_error"] > 0
    forget_paths(site)


def big_answers(where: Site, family: int, path: Path) -> tuple[Any, Any]:
    kind = "icmp[0] == 3 and icmp[1] == 4" if family == 4 else "icmp6 and ip6[40] == 2"
    return where.capture("front-director", path, kind, direction="in"), where.outcomes()["reply_too_big"]


@pytest.mark.parametrize("clamp", ["true", "false"])
@EACH_FAMILY
def test_uploads_through_a_tunnel_finish(lab: MakeSite, family: int, clamp: str, tmp_path: Path) -> None:
    site = lab("tun")
    text = director_configuration(site.lab.topology)
    site.reload(text.replace("scheduler: rr", f"scheduler: rr\n    clamp_mss: {clamp}"))
    capture, before = big_answers(site, family, tmp_path / "big.pcap")
    result = site.client(Transport.TCP, family, connections=6, concurrency=2, upload=MEGABYTE)
    capture.stop()
    status = site.status()
    assert (result.answered, result.errors) == (6, {})
    too_big = status["outcomes"]["reply_too_big"] - before
    assert (status["events"]["mss_clamped"] > 0) == (clamp == "true")
    # It is the server's MSS that bounds an upload, and its SYN-ACK goes by another way: the errors must do.
    assert too_big > 0
    vip = str(site.lab.topology.vip_address(family))
    packets = list(rdpcap(str(capture.path)))
    assert len(packets) == too_big
    assert {packet[IP].src if family == 4 else packet[IPv6].src for packet in packets} == {vip}


def filling(family: int) -> int:
    """What to add to a request so that it fills a packet of 1,500 bytes."""
    return 1500 - (20 if family == 4 else 40) - 8 - len('{"size": 0}')


@EACH_FAMILY
def test_a_datagram_too_large_for_the_tunnel_is_answered_and_the_next_one_fits(lab: MakeSite, family: int) -> None:
    site = lab("tun")
    filled = filling(family)
    with Udp(site, family) as talk:
        # The first one is lost, and its sender hears why; the second one leaves in fragments.
        with pytest.raises(OSError, match="Message too long"):
            talk.ask(upload=filled)
        assert site.outcomes()["reply_too_big"] == 1
        assert talk.ask(upload=filled)["received"] == filled + len('{"size": 0}')


@EACH_FAMILY
def test_a_narrow_way_to_a_tunnels_end_is_the_routes_to_tell(lab: MakeSite, family: int) -> None:
    """The director's own route says what fits; its errors follow it."""
    site = lab("tun")
    gateway = str(site.lab.topology.gateway_address(site.lab.topology.director, family))
    for rack in ("rack1", "rack2", "rack3"):
        narrow(site, "director", network(site, rack, family), "via", gateway)
        device = site.lab.topology.host("router").device_on(rack)
        narrow(site, "router", network(site, rack, family), "dev", device)
    result = site.client(Transport.TCP, family, connections=6, concurrency=2, upload=MEGABYTE)
    assert (result.answered, result.errors) == (6, {})
    assert site.outcomes()["reply_too_big"] > 0


@pytest.mark.parametrize("size", [2_000, 60_000])
@EACH_FAMILY
def test_datagrams_in_fragments_arrive_whole(each_site: Site, family: int, size: int) -> None:
    site = each_site
    teach_the_tunnel(site, family)
    # Fragments from over a line come slowly; the client must not give them up for those of others meanwhile.
    site.lab.run("client", "sysctl", "-qw", "net.ipv4.ipfrag_max_dist=0")
    result = site.client(Transport.UDP, family, connections=60, concurrency=4, upload=size, download=size)
    assert (result.answered, result.errors) == (60, {})
    assert set(result.servers) == {"server1", "server2", "server3"}


def teach_the_tunnel(where: Site, family: int) -> None:
    """Fragments too are too large for a tunnel, until the client has been told."""
    if Method.TUN not in methods_of(where.lab.topology):
        return
    with Udp(where, family) as talk:
        with suppress(OSError):
            talk.ask(upload=filling(family))
        talk.ask(upload=filling(family))


def servers_of_datagrams(captures: dict[str, Any]) -> dict[int, set[str]]:
    """By the fragments' number: where fragments of that datagram arrived. Numbers given twice are left out."""
    found: dict[int, set[str]] = defaultdict(set)
    ports: dict[int, set[int]] = defaultdict(set)
    for server, capture in captures.items():
        capture.stop()
        for packet in rdpcap(str(capture.path)):
            number = fragment_number(packet)
            if number is not None:
                found[number].add(server)
                ports[number] |= {packet[UDP].sport} if UDP in packet else set()
    # A connected socket begins anywhere among 65,536 numbers: two may meet.
    return {number: servers for number, servers in found.items() if len(ports[number]) < 2}


def fragment_number(packet: Any) -> int | None:
    if IPv6ExtHdrFragment in packet:
        return int(packet[IPv6ExtHdrFragment].id)
    layer = packet.getlayer(IP)
    while layer is not None and layer.payload.getlayer(IP) is not None:
        layer = layer.payload.getlayer(IP)
    return None if layer is None or not (layer.flags.MF or layer.frag) else int(layer.id)


def watching(where: Site, directory: Path) -> dict[str, Any]:
    topology = where.lab.topology
    servers = {server.name for server in topology.servers}
    # Answers are short here: whatever is in fragments, is a request.
    return {
        host.name: where.capture(port, directory / f"{host.name}.pcap", "not tcp")
        for port, host, _ in topology.ports()
        if host.name in servers
    }


@EACH_SWITCHED
@EACH_FAMILY
def test_a_lost_fragment_tears_no_datagram_apart(each_site: Site, family: int, tmp_path: Path) -> None:
    site = each_site
    teach_the_tunnel(site, family)
    captures = watching(site, tmp_path)
    device = site.lab.topology.host("router").device_on("far")
    hook = f"type filter hook ingress device {device} priority 0"
    site.lab.run("router", "nft", "add table netdev loss")
    site.lab.run("router", "nft", f"add chain netdev loss wire {{ {hook}; }}")
    # Not what the client asks about its neighbours: for a second, all would be lost.
    kind = ("ip", "protocol", "udp") if family == 4 else ("ip6", "nexthdr", "ipv6-frag")
    site.lab.run("router", "nft", "add", "rule", "netdev", "loss", "wire", *kind, "numgen random mod 100 < 1 drop")
    try:
        result = site.client(
            Transport.UDP, family, connections=90, concurrency=30, upload=60_000, timeout=1, first_port=9_000
        )
    finally:
        site.lab.run("router", "nft", "delete table netdev loss")
    assert 0 < result.answered < result.sent == 90
    met = servers_of_datagrams(captures)
    assert len(met) >= 80
    assert all(len(servers) == 1 for servers in met.values())


@EACH_SWITCHED
@pytest.mark.parametrize("order", [(0, 2, 1), (2, 1, 0)], ids=["first in front", "backwards"])
@EACH_FAMILY
def test_fragments_out_of_order_are_never_split(
    each_site: Site, family: int, order: tuple[int, ...], tmp_path: Path
) -> None:
    site = each_site
    # An address of its own: the client's has sent fragments before, by numbers that nobody knows.
    sender = site.lab.topology.segment("far").address(77, family)
    length = "24" if family == 4 else "64"
    site.lab.run("client", "ip", "address", "replace", f"{sender}/{length}", "dev", "eth0")
    captures = watching(site, tmp_path)
    before, arrived = site.outcomes(), 30
    sent = 0
    with site.at("client"):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with wire:
        wire.bind(("eth0", 0))
        for number in range(arrived):
            fragments = datagram(site, sender, 1 + number + 100 * order[0], 50_000 + number)
            assert len(fragments) == 3
            for place in order:
                sent += wire.send(fragments[place]) > 0
    after = site.audit.books().outcomes
    early = after["pass_early_fragment"] - before["pass_early_fragment"]
    # A frame may get lost on a crowded machine, and then is not counted either.
    assert early == 0 if order[0] == 0 else 0 < early <= 2 * arrived
    met = servers_of_datagrams(captures)
    assert len(met) == arrived
    assert all(len(servers) == 1 for servers in met.values())


def datagram(where: Site, client: Address, number: int, port: int) -> list[bytes]:
    """Three fragments, each small enough for any tunnel."""
    topology = where.lab.topology
    vip = topology.vip_address(client.version)
    head = Ether(src=mac(where, "client", "eth0"), dst=mac(where, "router", topology.host("router").device_on("far")))
    udp = UDP(sport=port, dport=7) / Raw(b'{"size": 0}' + b" " * 2_981)
    if client.version == 4:
        return [bytes(head / piece) for piece in fragment(IP(src=str(client), dst=str(vip), id=number) / udp, 1008)]
    whole = bytes(IPv6(src=str(client), dst=str(vip)) / udp)[40:]
    pieces = [whole[at : at + 1008] for at in range(0, len(whole), 1008)]
    frames = []
    for place, piece in enumerate(pieces):
        extension = IPv6ExtHdrFragment(nh=17, offset=place * 126, m=int(piece is not pieces[-1]), id=number)
        frames.append(bytes(head / IPv6(src=str(client), dst=str(vip)) / extension / Raw(piece)))
    return frames
