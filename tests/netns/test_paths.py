"""Ways through the director: the same interface, three of them, the kernel, the director itself."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP
from scapy.layers.inet6 import ICMPv6ND_Redirect
from scapy.utils import rdpcap

from tests.netns.conftest import MakeSite
from tests.support.labs import Site, site
from tests.support.talk import Tcp, Udp, eventually
from tests.support.topologies import ONE_ARMED, THREE_ARMED, TWO_ARMED_TUN
from vipd.lab.configuration import director_configuration
from vipd.lab.process import await_line
from vipd.lab.topology import DR, FAMILIES, NAT, SWITCH, Topology
from vipd.model.director import Address, Transport

EACH_FAMILY = pytest.mark.parametrize("family", FAMILIES)


def assert_all_served(where: Site, family: int) -> None:
    for transport in Transport:
        result = where.client(transport, family, connections=90)
        assert (result.answered, result.errors, result.retransmits) == (90, {}, 0)
        assert dict(result.servers) == {"server1": 30, "server2": 30, "server3": 30}


@pytest.fixture(scope="module")
def one_armed() -> Iterator[Site]:
    with site(ONE_ARMED, start=False) as made:
        for name in ("all", "eth0"):
            made.lab.run("director", "sysctl", "-qw", f"net.ipv4.conf.{name}.send_redirects=1")
        made.start()
        yield made


@EACH_FAMILY
def test_one_interface_is_enough_for_nat(one_armed: Site, family: int) -> None:
    assert_all_served(one_armed, family)


@EACH_FAMILY
def test_nobody_is_told_to_talk_past_the_director(one_armed: Site, family: int, tmp_path: Path) -> None:
    client = str(ONE_ARMED.address(ONE_ARMED.client, family))
    capture = one_armed.capture("lan-director", tmp_path / "icmp.pcap", "icmp or icmp6")
    # What XDP forwards, and what it leaves to the kernel: both turn round on one interface.
    assert one_armed.client(Transport.TCP, family, connections=30).answered == 30
    one_armed.lab.run("server1", "ping", "-q", "-c", "3", "-i", "0.01", client)
    capture.stop()
    packets = list(rdpcap(str(capture.path)))
    assert len(packets) >= 3
    assert [p for p in packets if ICMPv6ND_Redirect in p or (ICMP in p and p[ICMP].type == 5)] == []


@EACH_FAMILY
def test_a_client_among_the_servers_needs_the_documented_way_back(one_armed: Site, family: int) -> None:
    near = str(ONE_ARMED.address(ONE_ARMED.host("near"), family))
    director = str(ONE_ARMED.address(ONE_ARMED.director, family))
    with Udp(one_armed, family, 9_000, host="near") as talk:
        talk.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            talk.ask()
    for server in ONE_ARMED.servers:
        one_armed.lab.run(server.name, "ip", f"-{family}", "route", "add", near, "via", director)
    with Tcp(one_armed, family, host="near") as tcp, Udp(one_armed, family, 9_001, host="near") as udp:
        assert tcp.ask()["client"].removeprefix("::ffff:") == near
        assert udp.ask()["client"].removeprefix("::ffff:") == near


def listing(topology: Topology, *interfaces: str) -> str:
    first, rest = director_configuration(topology).split("interfaces: ", 1)
    return f"{first}interfaces: [{', '.join(interfaces)}]\n{rest.split(chr(10), 1)[1]}"


@pytest.mark.parametrize(
    ("topology", "interfaces", "outcome", "other"),
    [
        (THREE_ARMED, ("eth0", "eth1", "eth2"), "forward_nat_reply", "route_nat_reply"),
        (THREE_ARMED, ("eth1", "eth2"), "route_nat_reply", "forward_nat_reply"),
        (TWO_ARMED_TUN, ("eth0", "eth1"), "forward_tun", "route_tun"),
        (TWO_ARMED_TUN, ("eth1",), "route_tun", "forward_tun"),
    ],
    ids=["nat by xdp", "nat by the kernel", "tun by xdp", "tun by the kernel"],
)
def test_what_comes_in_by_one_interface_leaves_by_another(
    topology: Topology, interfaces: tuple[str, ...], outcome: str, other: str
) -> None:
    with site(topology, listing(topology, *interfaces)) as made:
        for family in FAMILIES:
            assert_all_served(made, family)
        ended = made.outcomes()
        assert (ended[outcome] > 360, ended[other]) == (True, 0), ended
        port = json.loads(made.lab.run(SWITCH, "ip", "-s", "-j", "link", "show", "dev", "exit-director"))[0]
        assert port["stats64"]["rx"]["packets"] >= ended[outcome]


@pytest.mark.parametrize("scheduler", ["wrr", "wlc", "lc"])
def test_weights_are_shares(lab: MakeSite, scheduler: str) -> None:
    made = lab("nat")
    text = director_configuration(NAT, scheduler)
    for number in (1, 2, 3):
        old = f'- "10.0.0.1{number}:8080"'
        assert old in text
        text = text.replace(old, f"- {{address: 10.0.0.1{number}, port: 8080, weight: {number}}}")
    made.reload(text)
    talks = [Tcp(made) for _ in range(60)]
    service = next(each for each in made.status()["services"] if each["name"] == "web4")
    held = {server["address"]: server["active"] for server in service["servers"]}
    expected = (20, 20, 20) if scheduler == "lc" else (10, 20, 30)
    assert held == {f"10.0.0.1{n}": count for n, count in zip((1, 2, 3), expected, strict=True)}
    for talk in talks:
        talk.close()


def test_the_director_can_be_a_server_itself(lab: MakeSite) -> None:
    made = lab("dr")
    serving = made.lab.start(
        "director",
        sys.executable,
        "-m",
        "vipd.lab.server",
        "--name",
        "director",
        "--tcp",
        "80",
        "--udp",
        "7",
        name="own",
    )
    await_line(serving, "ready")
    text = director_configuration(DR)
    for family in FAMILIES:
        own, last = (str(DR.address(host, family)) for host in (DR.director, DR.servers[2]))
        text = text.replace(f'      - "{last}"', f'      - "{last}"\n      - "{own}"')
    made.reload(text)
    for family in FAMILIES:
        for transport in Transport:
            result = made.client(transport, family, connections=80)
            assert (result.answered, result.errors, result.retransmits) == (80, {}, 0)
            assert dict(result.servers) == {"server1": 20, "server2": 20, "server3": 20, "director": 20}
    assert made.outcomes()["pass_local_server"] > 0


def bracketed(address: Address) -> str:
    return f"[{address}]" if address.version == 6 else str(address)


def test_ranges_all_ports_and_routed_vips(lab: MakeSite) -> None:
    made = lab("nat")
    ports = [f"--tcp={port}" for port in (1, 80, 443, 8000, 8042, 8099, 65_535)]
    for host in NAT.servers:
        command = (sys.executable, "-m", "vipd.lab.server", "--name", host.name, *ports)
        await_line(made.lab.start(host.name, *command, name=f"{host.name}-more"), "ready")
    text = director_configuration(NAT).replace(":80/tcp", ":8000-8099/tcp")
    text = re.sub(r'"\[?([0-9a-f.:]+?)\]?:8080"', r'"\1"', text)
    other = {family: NAT.segment("outer").address(11, family) for family in FAMILIES}
    routed = {4: "192.0.2.99", 6: "2001:db8:99::1"}
    for family in FAMILIES:
        servers = ", ".join(f'"{NAT.address(host, family)}"' for host in NAT.servers)
        listen = f'["{bracketed(other[family])}:*/tcp", "{bracketed(ip_address(routed[family]))}:80/tcp"]'
        text += f"  all{family}: {{listen: {listen}, method: nat, servers: [{servers}]}}\n"
        via = str(NAT.address(NAT.director, family))
        made.lab.run("router", "ip", f"-{family}", "route", "add", routed[family], "via", via)
    text += "vips:\n" + "".join(f'  "{address}": {{routed: true}}\n' for address in routed.values())
    made.reload(text)
    for family in FAMILIES:
        vip = str(NAT.vip_address(family))
        reached = [(vip, 8000), (vip, 8042), (vip, 8099), (routed[family], 80)]
        for address, port in [*reached, *((str(other[family]), port) for port in (1, 443, 65_535))]:
            with Tcp(made, family, address=address, service=port) as talk:
                assert talk.ask()["server"].startswith("server")
        for port in (7999, 8100):
            with pytest.raises(ConnectionRefusedError):
                Tcp(made, family, address=vip, service=port)
    shown = made.lab.run("director", "ip", "-o", "addr", "show", "dev", "eth0")
    assert routed[4] not in shown
    assert routed[6] not in shown


def test_a_drain_under_load_breaks_nothing_and_lets_nothing_in(lab: MakeSite) -> None:
    made = lab("nat")
    address = str(NAT.address(NAT.servers[0], 4))

    def begun() -> dict[str, int]:
        service = next(each for each in made.status()["services"] if each["name"] == "web4")
        return {server["address"]: server["connections"] for server in service["servers"]}

    with (
        made.loading(Transport.TCP, 4, concurrency=30, requests=10_000, pause=0.02) as known,
        made.loading(Transport.TCP, 4, concurrency=8) as fresh,
    ):
        made.director.vipd("drain", "web4", address)
        at_drain = begun()
        others = sum(at_drain.values())
        eventually(lambda: sum(begun().values()) > others + 500, "new connections")
        assert begun()[address] == at_drain[address]
        made.director.vipd("undrain", "web4", address)
        eventually(lambda: begun()[address] > at_drain[address] + 50, "new connections of the server")
        for load in (known, fresh):
            result = load.finish()
            assert result.answered == result.sent > 0
            assert (result.errors, result.moved) == ({}, 0)
