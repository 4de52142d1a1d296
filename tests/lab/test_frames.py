"""Frames as the lab reads them, against scapy, and the drawing of their way."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet as ScapyPacket

from vipd.lab.drawing import described, drawing
from vipd.lab.frames import Addresses, Packet, Paths, Sighting, decode, paths, sighting

CLIENT, VIP, SERVER = "198.51.100.2", "203.0.113.10", "10.0.0.11"
CLIENT6, VIP6, SERVER6 = "2001:db8:100::2", "2001:db8:113::10", "2001:db8:10::11"
HOSTS = {bytes.fromhex("020000000001"): "router", bytes.fromhex("020000000002"): "director"}


def ether() -> ScapyPacket:
    return Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")


def packet(source: str, source_port: int, destination: str, port: int, transport: str = "tcp") -> Packet:
    return Packet(Addresses(ip_address(source), ip_address(destination)), transport, source_port, port)


@pytest.mark.parametrize(
    ("ip", "source", "destination"),
    [
        (IP(src=CLIENT, dst=VIP), CLIENT, VIP),
        (IP(src=CLIENT, dst=VIP, options=[b"\x01\x01\x01\x00"]), CLIENT, VIP),
        (IPv6(src=CLIENT6, dst=VIP6), CLIENT6, VIP6),
    ],
    ids=["ipv4", "ipv4 with options", "ipv6"],
)
@pytest.mark.parametrize(("layer", "transport"), [(TCP, "tcp"), (UDP, "udp")], ids=["tcp", "udp"])
def test_a_plain_packet(ip: ScapyPacket, source: str, destination: str, layer: type, transport: str) -> None:
    frame = bytes(ether() / ip / layer(sport=4321, dport=80))
    assert decode(frame) == packet(source, 4321, destination, 80, transport)


@pytest.mark.parametrize("outer", [IP(src="172.16.3.4", dst=SERVER), IPv6(src="100::7", dst=SERVER6)], ids=["4", "6"])
@pytest.mark.parametrize("inner", [IP(src=CLIENT, dst=VIP), IPv6(src=CLIENT6, dst=VIP6)], ids=["4", "6"])
def test_a_tunnelled_packet(outer: ScapyPacket, inner: ScapyPacket) -> None:
    found = decode(bytes(ether() / outer / inner / UDP(sport=4321, dport=7)))
    assert found == Packet(
        Addresses(ip_address(inner.src), ip_address(inner.dst)),
        "udp",
        4321,
        7,
        Addresses(ip_address(outer.src), ip_address(outer.dst)),
    )


@pytest.mark.parametrize("other", [ARP(pdst=VIP), IP(dst=VIP) / ICMP()], ids=["arp", "icmp"])
def test_other_frames_are_left_out(other: ScapyPacket) -> None:
    assert decode(bytes(ether() / other)) is None


def test_a_truncated_frame_is_left_out() -> None:
    frame = bytes(ether() / IP(src=CLIENT, dst=VIP) / TCP(sport=4321, dport=80))
    ports_end = 14 + 20 + 4
    assert [length for length in range(len(frame)) if decode(frame[:length])] == list(range(ports_end, len(frame)))


def test_a_frame_is_seen_on_its_way_to_the_owner_of_its_address() -> None:
    frame = bytes(ether() / IP(src=CLIENT, dst=VIP) / TCP(sport=4321, dport=80))
    assert sighting("router", HOSTS, frame) == Sighting("router", "director", packet(CLIENT, 4321, VIP, 80))
    assert sighting("router", {}, frame) is None


def test_each_hop_is_taken_from_the_first_packet_of_its_direction() -> None:
    request, mapped = packet(CLIENT, 4321, VIP, 80), packet(CLIENT, 4321, SERVER, 8080)
    answer, shown = packet(SERVER, 8080, CLIENT, 4321), packet(VIP, 80, CLIENT, 4321)
    once = [
        Sighting("client", "router", request),
        Sighting("router", "director", request),
        Sighting("director", "server1", mapped),
        Sighting("server1", "director", answer),
        Sighting("director", "router", shown),
        Sighting("router", "client", shown),
    ]
    stranger = Sighting("router", "director", packet("198.51.100.9", 1, VIP, 80))
    found = paths([stranger, *once, *once], IPv4Address(CLIENT))
    assert found == Paths(tuple(once[:3]), tuple(once[3:]))
    assert drawing(found).splitlines() == [
        "there  client ──▶ router ──▶ director  198.51.100.2:4321 → 203.0.113.10:80",
        "       director ──▶ server1            198.51.100.2:4321 → 10.0.0.11:8080",
        "back   server1 ──▶ director            10.0.0.11:8080 → 198.51.100.2:4321",
        "       director ──▶ router ──▶ client  203.0.113.10:80 → 198.51.100.2:4321",
    ]


def test_direct_routing_is_drawn_as_a_step_of_its_own() -> None:
    request, answer = packet(CLIENT6, 4321, VIP6, 7, "udp"), packet(VIP6, 7, CLIENT6, 4321, "udp")
    found = Paths(
        (Sighting("router", "director", request), Sighting("director", "server1", request)),
        (Sighting("server1", "router", answer), Sighting("router", "client", answer)),
    )
    assert drawing(found).splitlines() == [
        "there  router ──▶ director            [2001:db8:100::2]:4321 → [2001:db8:113::10]:7",
        "       director ──▶ server1           [2001:db8:100::2]:4321 → [2001:db8:113::10]:7",
        "back   server1 ──▶ router ──▶ client  [2001:db8:113::10]:7 → [2001:db8:100::2]:4321",
    ]


def test_a_tunnel_is_drawn_around_its_packet() -> None:
    inside = packet(CLIENT, 4321, VIP, 80)
    outer = Addresses(ip_address("172.16.3.4"), ip_address("10.0.1.11"))
    tunnelled = Packet(inside.addresses, "tcp", 4321, 80, outer)
    assert described(tunnelled) == "172.16.3.4 → 10.0.1.11 [ 198.51.100.2:4321 → 203.0.113.10:80 ]"


def test_a_host_may_be_passed_twice_on_the_way() -> None:
    request = packet(CLIENT, 4321, VIP, 80)
    tunnelled = Packet(request.addresses, "tcp", 4321, 80, Addresses(ip_address("172.16.3.4"), ip_address(SERVER)))
    there = (
        Sighting("client", "router", request),
        Sighting("router", "director", request),
        Sighting("director", "router", tunnelled),
        Sighting("router", "server1", tunnelled),
    )
    found = paths([*there, *there], IPv4Address(CLIENT))
    assert found.there == there
    assert drawing(found).splitlines() == [
        "there  client ──▶ router ──▶ director   198.51.100.2:4321 → 203.0.113.10:80",
        "       director ──▶ router ──▶ server1  172.16.3.4 → 10.0.0.11 [ 198.51.100.2:4321 → 203.0.113.10:80 ]",
    ]


def test_the_end_of_an_earlier_conversation_is_not_taken_for_a_part_of_the_next() -> None:
    earlier, request, answer = (
        packet(CLIENT, 4320, VIP, 80),
        packet(CLIENT, 4321, VIP, 80),
        packet(VIP, 80, CLIENT, 4321),
    )
    late = packet(VIP, 80, CLIENT, 4320)
    found = paths(
        [
            Sighting("client", "router", earlier),
            Sighting("server2", "router", late),
            Sighting("client", "router", request),
            Sighting("director", "server1", earlier),
            Sighting("router", "client", late),
            Sighting("server1", "router", answer),
        ],
        IPv4Address(CLIENT),
    )
    assert found == Paths((Sighting("client", "router", request),), (Sighting("server1", "router", answer),))


def test_nothing_seen_is_nothing_drawn() -> None:
    assert drawing(Paths((), ())) == ""
