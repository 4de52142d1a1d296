"""Real traffic to a real server: answered from the VIP by every way, and never answered for in ARP or NDP."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from ipaddress import ip_address, ip_network
from typing import Any, Final

import pytest
from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError
from scapy.layers.inet import TCP, UDP
from scapy.packet import Raw

from tests.realserver.frames import claimed, frames_until_answered, next_from_vip, query, tunnelled
from tests.realserver.lan import CLIENT, DEADLINE, SERVER, SERVER_MAC, VIP, Lan, execute, lan
from vipd.errors import EnvironmentProblem
from vipd.lab.namespace import inside
from vipd.lab.namespace import netlink as netlink_of
from vipd.model.director import Method
from vipd.realserver import run
from vipd.realserver.decapsulator import OBJECT
from vipd.realserver.options import Decapsulation, Options, Via

pytestmark = pytest.mark.root

PORT: Final = 8080
PERMANENT, NOARP = 0x80, 0x40
WAYS: Final = [Via.LOOPBACK, Via.REDIRECT]


@pytest.fixture
def wire() -> Iterator[Lan]:
    with lan() as made:
        yield made
        with inside(made.server):
            run.down(made.instance)


def up(wire: Lan, method: Method = Method.DR, via: Via = Via.LOOPBACK, **fields: Any) -> run.Report:
    vips = tuple(ip_address(text) for text in VIP.values())
    with inside(wire.server):
        report = run.up(Options(vips=vips, method=method, via=via, instance=wire.instance, **fields))
    assert report.complete
    return report


def bound(via: Via, family: int) -> tuple[str, int]:
    """A service behind a redirect must listen on the server's own address."""
    return (VIP if via is Via.LOOPBACK else SERVER)[family], PORT


@pytest.mark.parametrize("ports", [(), (PORT, PORT + 1)])
@pytest.mark.parametrize("via", WAYS)
@pytest.mark.parametrize("family", [4, 6])
def test_tcp_and_udp_sent_to_the_servers_mac_are_answered_from_the_vip(
    wire: Lan, family: int, via: Via, ports: tuple[int, ...]
) -> None:
    up(wire, via=via, ports=ports if via is Via.REDIRECT else ())
    with ExitStack() as stack:
        listener = stack.enter_context(wire.socket(wire.server, family, socket.SOCK_STREAM, bound(via, family)))
        listener.listen()
        client = stack.enter_context(wire.socket(wire.client, family, socket.SOCK_STREAM, None))
        client.connect((VIP[family], PORT))
        served, peer = listener.accept()
        stack.enter_context(served)
        assert peer[0] == CLIENT[family], "the server sees the client's own address"
        client.sendall(b"question")
        served.settimeout(DEADLINE)
        assert served.recv(100) == b"question"
        served.sendall(b"answer")
        assert client.recv(100) == b"answer"
    with (
        wire.socket(wire.server, family, socket.SOCK_DGRAM, bound(via, family)) as service,
        wire.socket(wire.client, family, socket.SOCK_DGRAM, None) as client,
    ):
        client.connect((VIP[family], PORT))  # takes answers from the VIP alone
        client.send(b"question")
        asked, peer = service.recvfrom(100)
        assert (asked, peer[0]) == (b"question", CLIENT[family])
        service.sendto(b"answer", peer)
        assert client.recv(100) == b"answer"


@pytest.mark.parametrize("family", [4, 6])
def test_a_port_that_is_not_redirected_is_not_routed_back_either(wire: Lan, family: int) -> None:
    execute(wire.server, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    execute(wire.server, f"ip -{family} route add default via {CLIENT[family]}")
    up(wire, via=Via.REDIRECT, ports=(PORT,))
    with wire.cable(wire.client) as cable, wire.socket(wire.client, family, socket.SOCK_DGRAM, None) as client:
        client.sendto(b"stray", (VIP[family], PORT + 1))
        seen = frames_until_answered(cable, family)
    assert [frame for frame in seen if b"stray" in bytes(frame) and frame.src == SERVER_MAC] == []


@pytest.mark.parametrize("forwarding", [0, 1])
@pytest.mark.parametrize("via", WAYS)
@pytest.mark.parametrize("family", [4, 6])
def test_the_server_never_answers_for_the_vip(wire: Lan, family: int, via: Via, forwarding: int) -> None:
    # The settings that make a Linux host talkative, on purpose.
    execute(wire.server, f"sysctl -qw net.ipv4.ip_forward={forwarding} net.ipv6.conf.all.forwarding={forwarding}")
    execute(wire.server, "sysctl -qw net.ipv4.conf.all.proxy_arp=1 net.ipv6.conf.all.proxy_ndp=1")
    execute(wire.server, "ip link add way-out type veth peer name way-out-peer && ip link set way-out up")
    execute(wire.server, f"ip link set way-out-peer up && ip -{family} route add default dev way-out")
    up(wire, via=via)
    claims: list[str] = []
    with (
        wire.cable(wire.client) as cable,
        wire.socket(wire.server, family, socket.SOCK_DGRAM, bound(via, family)) as service,
        wire.socket(wire.client, family, socket.SOCK_DGRAM, None) as client,
        netlink_of(wire.client) as here,
        netlink_of(wire.server) as there,
    ):
        client.connect((VIP[family], PORT))
        for number in range(100):
            for netlink in (here, there):
                forget_neighbours(netlink, family)
            nobody = "0.0.0.0" if family == 4 else "::"
            for unicast, sender in ((False, CLIENT[family]), (True, CLIENT[family]), (False, nobody)):
                cable.send(bytes(query(family, VIP[family], unicast, sender)))
            # To answer, the server must ask who the client is: not as the VIP (arp_announce).
            client.send(b"%d" % number)
            service.sendto(*service.recvfrom(100))
            assert client.recv(100) == b"%d" % number
            claims += map(claimed, frames_until_answered(cable, family))
    assert claims.count(SERVER[family]) >= 100
    assert claims.count(VIP[family]) == 0


def forget_neighbours(netlink: IPRoute, family: int) -> None:
    """All but those that somebody set by hand."""
    for entry in netlink.get_neighbours(family=socket.AF_INET if family == 4 else socket.AF_INET6):
        if not entry["state"] & (PERMANENT | NOARP):
            with suppress(NetlinkError):  # gone by itself meanwhile
                netlink.neigh("del", dst=entry.get("NDA_DST"), ifindex=entry["ifindex"])


def test_without_the_settings_a_server_does_answer_for_the_vip(wire: Lan) -> None:
    """So that the test above can fail."""
    execute(wire.server, f"ip address add {VIP[4]}/32 dev lo")
    with wire.cable(wire.client) as cable:
        cable.send(bytes(query(4, VIP[4], unicast=False, sender=CLIENT[4])))
        assert VIP[4] in map(claimed, frames_until_answered(cable, 4))


@pytest.mark.parametrize("via", WAYS)
@pytest.mark.parametrize(("inside_family", "outside_family"), [(4, 4), (6, 4), (4, 6), (6, 6)])
def test_tunnelled_packets_are_answered_from_the_vip(
    wire: Lan, inside_family: int, outside_family: int, via: Via
) -> None:
    execute(wire.server, "sysctl -qw net.ipv4.conf.lan-s.rp_filter=1")
    report = up(wire, method=Method.TUN, via=via, decapsulation=Decapsulation.BPF)
    assert "rp_filter" in " ".join(item.step.key for item in report.items)
    with ExitStack() as stack:
        cable = stack.enter_context(wire.cable(wire.client))
        place = bound(via, inside_family)
        service = stack.enter_context(wire.socket(wire.server, inside_family, socket.SOCK_DGRAM, place))
        cable.send(tunnelled(inside_family, outside_family, UDP(sport=4000, dport=PORT) / Raw(b"question")))
        asked, peer = service.recvfrom(100)
        assert (asked, peer[0]) == (b"question", CLIENT[inside_family])
        service.sendto(b"answer", peer)
        answer = next_from_vip(cable, inside_family, UDP)
        assert (answer[UDP].sport, bytes(answer[UDP].payload)[:6]) == (PORT, b"answer")
        listener = stack.enter_context(wire.socket(wire.server, inside_family, socket.SOCK_STREAM, place))
        listener.listen()
        cable.send(tunnelled(inside_family, outside_family, TCP(sport=4001, dport=PORT, flags="S", seq=9)))
        answer = next_from_vip(cable, inside_family, TCP)
        assert (answer[TCP].sport, str(answer[TCP].flags), answer[TCP].ack) == (PORT, "SA", 10)
    with inside(wire.server):
        counted = run.status(wire.instance)
    assert counted
    assert counted.outcomes[f"taken_{inside_family}in{outside_family}"] == 2


def test_a_stranger_is_not_believed(wire: Lan) -> None:
    up(wire, method=Method.TUN, decapsulation=Decapsulation.BPF, directors=(ip_network("203.0.113.0/24"),))
    with wire.cable(wire.client) as cable:
        cable.send(tunnelled(4, 4, UDP(sport=4000, dport=PORT) / Raw(b"question")))
        frames_until_answered(cable, 4)
    with inside(wire.server):
        report = run.status(wire.instance)
    assert report
    assert report.outcomes["drop_source"] == 1


def test_an_xdp_program_of_somebody_else_is_left_alone(wire: Lan) -> None:
    execute(wire.server, f"ip link set dev lan-s xdp object {OBJECT} program decapsulator")
    before = wire.snapshot()
    with pytest.raises(EnvironmentProblem, match="lan-s runs an XDP program of somebody else"):
        up(wire, method=Method.TUN, decapsulation=Decapsulation.BPF)
    assert wire.snapshot() == before
