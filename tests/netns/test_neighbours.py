"""MAC addresses that change, are forgotten, or are claimed by the wrong machine."""

from __future__ import annotations

import errno
import time
from contextlib import suppress

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from tests.netns.conftest import MakeSite
from tests.support.labs import Site, mac
from tests.support.lan import SOON
from tests.support.talk import Tcp, Udp, eventually
from vipd.lab import namespace
from vipd.lab.topology import DR, FAMILIES
from vipd.model.director import Transport

EACH_FAMILY = pytest.mark.parametrize("family", FAMILIES)
FLUSHES = 100
NEW_MAC = "02:00:00:00:99:01"


def forget(where: Site, host: str, address: str) -> None:
    with namespace.netlink(where.lab.network.namespace(host)) as netlink:
        for entry in netlink.get_neighbours(dst=address):
            try:
                netlink.neigh("del", dst=address, ifindex=entry["ifindex"])
            except NetlinkError as error:  # gone by itself meanwhile
                if error.code != errno.ENOENT:
                    raise


def learned(where: Site, host: str, address: str) -> str | None:
    with namespace.netlink(where.lab.network.namespace(host)) as netlink:
        found = [entry.get("lladdr") for entry in netlink.get_neighbours(dst=address)]
    return next((str(each) for each in found if each), None)


@EACH_FAMILY
def test_the_vip_always_resolves_to_the_director(lab: MakeSite, family: int) -> None:
    """Real servers hold the VIP too, and keep silent about it."""
    site = lab("dr")
    vip, director = str(DR.vip_address(family)), mac(site, "director")
    for _ in range(FLUSHES):
        forget(site, "router", vip)
        with Udp(site, family) as talk:
            talk.ask()
        assert learned(site, "router", vip) == director
    assert all(vip["conflicts"] == [] for vip in site.status()["vips"])


def test_a_server_that_answers_for_the_vip_is_found_out(lab: MakeSite) -> None:
    site = lab("dr")
    vip, wrong = str(DR.vip_address(4)), mac(site, "server1")
    for key in ("all.arp_ignore", "eth0.arp_ignore"):
        site.lab.run("server1", "sysctl", "-qw", f"net.ipv4.conf.{key}=0")

    def found_out() -> bool:
        shown = next(each for each in site.status()["vips"] if each["address"] == vip)
        return bool(shown["conflicts"] == [wrong])

    # It tells only who asks; the director does twice a minute.
    eventually(found_out, "the conflict to be shown", 45)
    log = site.director.process.log.read_text() if site.director.process else ""
    assert f"{vip} on eth0 is answered for by {wrong} too" in log


@EACH_FAMILY
@pytest.mark.parametrize("topology", ["nat", "dr"])
def test_a_servers_new_mac_is_followed_soon_after_its_announcement(lab: MakeSite, topology: str, family: int) -> None:
    site = lab(topology)
    key = "net.ipv4.conf.eth0.arp_notify=1" if family == 4 else "net.ipv6.conf.eth0.ndisc_notify=1"
    site.lab.run("server1", "sysctl", "-qw", key)
    assert site.client(Transport.UDP, family, connections=30).answered == 30
    site.lab.run("server1", "ip", "link", "set", "dev", "eth0", "address", NEW_MAC)
    began = time.monotonic()
    # To the old address nothing comes back from it; a connection is lost, the next one finds it.
    eventually(lambda: served_by(site, family, "server1"), "server1 to be reached")
    assert time.monotonic() - began < SOON
    assert site.client(Transport.TCP, family, connections=90).lost == 0


def served_by(where: Site, family: int, server: str) -> bool:
    """Whether one of the next three datagrams is answered by it."""
    for _ in range(3):
        with Udp(where, family) as talk:
            talk.socket.settimeout(0.2)
            with suppress(TimeoutError):
                if talk.ask()["server"] == server:
                    return True
    return False


@EACH_FAMILY
def test_a_forgotten_neighbour_costs_no_packet(each_site: Site, family: int) -> None:
    site, topology = each_site, each_site.lab.topology
    director = topology.director
    hops = [topology.address(server, family) for server in topology.servers]
    gateway = topology.gateway_address(director, family)
    assert gateway is not None
    assert site.client(Transport.TCP, family, connections=30).answered == 30
    before = site.counters("client")["TcpExtTCPSynRetrans"]
    refreshed = site.status()["events"]["next_hop_refreshed"]

    def asked_again() -> bool:
        for address in (*hops, gateway):
            forget(site, director.name, str(address))
        with Tcp(site, family) as talk:
            talk.ask()
        return bool(site.status()["events"]["next_hop_refreshed"] > refreshed + 9)

    # Until the data plane has asked the kernel several times, which had forgotten each time.
    eventually(asked_again, "next hops to be asked for again")
    assert site.counters("client")["TcpExtTCPSynRetrans"] == before
