"""Runs inside a machine with Debian's kernel, which has what a lean one lacks: dummy, ipip, sit, ip6tnl.

test_realserver_qemu.py starts it; by its name pytest does not find it elsewhere.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any, Final

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.packet import Raw

from tests.realserver.frames import claimed, frames_until_answered, next_from_vip, query, tunnelled
from tests.realserver.lan import CLIENT, SERVER, VIP, Lan, execute, lan
from vipd.lab.namespace import inside
from vipd.model.director import Method
from vipd.realserver import run
from vipd.realserver.observe import observe
from vipd.realserver.options import Decapsulation, Options, Via

pytestmark = pytest.mark.interop

PORT: Final = 8080
FAMILIES: Final = [(4, 4), (6, 4), (4, 6), (6, 6)]


@pytest.fixture
def host() -> Iterator[Lan]:
    with lan() as made:
        yield made
        with inside(made.server):
            run.down(made.instance)


def options(host: Lan, **fields: Any) -> Options:
    given = {"vips": tuple(map(ip_address, VIP.values())), "instance": host.instance, **fields}
    return Options(**given)


def up(host: Lan, **fields: Any) -> run.Report:
    with inside(host.server):
        report = run.up(options(host, **fields))
    assert report.complete
    return report


@pytest.mark.parametrize("method", [Method.DR, Method.TUN])
def test_this_kernel_is_used_by_default(host: Lan, method: Method) -> None:
    before = host.snapshot()
    report = up(host, method=method)
    decapsulation = Decapsulation.KERNEL if method is Method.TUN else None
    assert (report.options.via, report.options.decapsulation) == (Via.DUMMY, decapsulation)
    during = host.snapshot()
    up(host, method=method)
    assert host.snapshot() == during
    with inside(host.server):
        assert run.down(host.instance) == ()
    assert host.snapshot() == before


@pytest.mark.parametrize("via", [Via.DUMMY, Via.REDIRECT])
def test_the_printed_commands_do_what_up_does(host: Lan, via: Via) -> None:
    before = host.snapshot()
    fields = {"method": Method.TUN, "via": via, "directors": (ip_network("172.16.0.0/16"), ip_network("100::/64"))}
    with inside(host.server):
        printed = "\n".join(run.commands(options(host, **fields)))
    up(host, **fields)
    with inside(host.server):
        made, undoing = observe(host.instance), "\n".join(run.undoing(host.instance))
    during = host.snapshot()
    with inside(host.server):
        run.down(host.instance)
    execute(host.server, printed)
    with inside(host.server):
        again = observe(host.instance)
    assert (again.sysctls, again.tables) == (made.sysctls, made.tables)
    assert [known(link) for link in host.snapshot()["address"]] == [known(link) for link in during["address"]]
    execute(host.server, undoing)
    assert host.snapshot() == before


def known(link: dict[str, Any]) -> dict[str, Any]:
    """Less what the kernel draws by lot or counts up: numbers, and hardware and link-local addresses."""
    drawn = {"ifindex", "address", "permaddr", "link_index", "addr_info"}
    addresses = [
        {k: v for k, v in address.items() if k != "stable-privacy"}
        for address in link["addr_info"]
        if not address["local"].startswith("fe80:")
    ]
    return {**{key: value for key, value in link.items() if key not in drawn}, "addresses": addresses}


def test_a_dummy_takes_the_traffic_and_stays_silent(host: Lan) -> None:
    up(host, method=Method.DR, via=Via.DUMMY)
    for family in (4, 6):
        place = VIP[family], PORT
        with (
            host.cable(host.client) as cable,
            host.socket(host.server, family, socket.SOCK_DGRAM, place) as service,
            host.socket(host.client, family, socket.SOCK_DGRAM, None) as client,
        ):
            client.connect(place)
            for number in range(5):
                execute(host.server, f"ip -{family} neigh flush dev lan-s")
                cable.send(bytes(query(family, VIP[family], unicast=False, sender=CLIENT[family])))
                client.send(b"%d" % number)
                service.sendto(*service.recvfrom(100))
                assert client.recv(100) == b"%d" % number
                assert VIP[family] not in map(claimed, frames_until_answered(cable, family))


KERNEL, BPF = Decapsulation
WAYS: Final = [(Via.DUMMY, KERNEL), (Via.REDIRECT, KERNEL), (Via.DUMMY, BPF)]


@pytest.mark.parametrize(("via", "decapsulation"), WAYS)
def test_tunnelled_packets_are_answered_from_the_vip(host: Lan, via: Via, decapsulation: Decapsulation) -> None:
    # Strict checking everywhere, and a way back to the director's spread of sources.
    execute(host.server, "sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.lan-s.rp_filter=1 || true")
    execute(host.server, f"ip route add default via {CLIENT[4]}; ip -6 route add default via {CLIENT[6]}")
    allowed = (ip_network("172.16.0.0/16"), ip_network("100::/64"))
    up(host, method=Method.TUN, via=via, decapsulation=decapsulation, directors=allowed)
    for inner, outer in FAMILIES:
        answered(host, inner, outer, via)


def answered(host: Lan, inner: int, outer: int, via: Via) -> None:
    place = (VIP if via is Via.DUMMY else SERVER)[inner], PORT
    port = 4000 + 10 * inner + outer
    with (
        host.cable(host.client) as cable,
        host.socket(host.server, inner, socket.SOCK_DGRAM, place) as service,
        host.socket(host.server, inner, socket.SOCK_STREAM, place) as listener,
    ):
        cable.send(tunnelled(inner, outer, UDP(sport=port, dport=PORT) / Raw(b"question")))
        asked, peer = service.recvfrom(100)
        assert (asked, peer[:2]) == (b"question", (CLIENT[inner], port))
        service.sendto(b"answer", peer)
        answer = next_from_vip(cable, inner, UDP)
        assert (answer[UDP].sport, bytes(answer[UDP].payload)[:6]) == (PORT, b"answer")
        listener.listen()
        cable.send(tunnelled(inner, outer, TCP(sport=port, dport=PORT, flags="S", seq=9)))
        assert str(next_from_vip(cable, inner, TCP)[TCP].flags) == "SA"


def test_a_kernel_tunnel_believes_allowed_directors_only(host: Lan) -> None:
    stranger = (ip_network("203.0.113.0/24"),)
    up(host, method=Method.TUN, via=Via.DUMMY, decapsulation=Decapsulation.KERNEL, directors=stranger)
    for inner, outer in FAMILIES:
        with (
            host.cable(host.client) as cable,
            host.socket(host.server, inner, socket.SOCK_DGRAM, (VIP[inner], PORT)) as service,
        ):
            cable.send(tunnelled(inner, outer, UDP(sport=4000, dport=PORT) / Raw(b"question")))
            frames_until_answered(cable, outer)  # the server has dealt with it by now
            service.setblocking(False)
            with pytest.raises(BlockingIOError):
                service.recvfrom(100)
