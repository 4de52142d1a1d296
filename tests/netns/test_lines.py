"""What a real kernel makes of packets that came in by a line, whatever their first bytes look like to it.

After XDP it takes the first 14 bytes of an IP packet for an Ethernet header, and where they are
not what they were, reads the protocol anew (bpf/point_to_point.h). So the addresses here are chosen
to look like Ethernet types, and to look the same before and after.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Any, Final

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from tests.support.lan import DEADLINE, Lan, eventually
from tests.support.tun import Tun

pytestmark = pytest.mark.root

VIP: Final = {4: "203.0.113.10", 6: "2001:db8:f::10"}
BEYOND: Final = {4: "10.2.2.2", 6: "2001:db8:22::2"}
"A server behind the second line; the clients are behind the first."
NEAR: Final = {4: "10.0.0.2", 6: "2001:db8:2::2"}
NAT_BEYOND, NAT_NEAR, TUN_4, TUN_6, NOBODY, TUN_NEAR_4, TUN_NEAR_6 = range(1001, 1008)
"Ports, each a service of its own."
SOURCE: Final = {4: "172.16.0.0/32", 6: "2001:db8:800::1/128"}
"Of tunnels: bytes 12 and 13 of the packets are ac10 and 0800."
SERVICES: Final = {
    NAT_BEYOND: ("nat", BEYOND, BEYOND),
    NAT_NEAR: ("nat", NEAR, NEAR),
    TUN_4: ("tun", {4: BEYOND[4], 6: BEYOND[4]}, {}),
    TUN_6: ("tun", {4: BEYOND[6], 6: BEYOND[6]}, {}),
    TUN_NEAR_4: ("tun", {4: NEAR[4], 6: NEAR[4]}, {}),
    TUN_NEAR_6: ("tun", {4: NEAR[6], 6: NEAR[6]}, {}),
    NOBODY: ("nat", NEAR, {}),
}
CLIENTS: Final = {
    # As types: IPv4, IPv6, VLAN, and what a tunnel's outer source has; then the VIP's own and a common one.
    4: ["8.0.0.1", "134.221.0.1", "129.0.0.1", "172.16.7.7", "203.0.7.7", "100.64.0.9"],
    6: [
        "2001:db8:800::9",
        "2001:db8:86dd::9",
        "2001:db8:8100::9",
        "2001:db8:ac10::9",
        "2001:db8:f::9",
        "2001:db8:7::9",
    ],
}
_ETH_P_ALL: Final = 3
CASES: Final = [(family, client) for family in (4, 6) for client in CLIENTS[family]]
each_client = pytest.mark.parametrize(("family", "client"), CASES, ids=[client for _, client in CASES])
each_mark = pytest.mark.parametrize("mark", [0, 0x10], ids=["plain", "marked"])


@dataclass
class Lines:
    lan: Lan
    first: Tun
    second: Tun
    wire: socket.socket
    "On the server: frames."
    port: socket.socket
    "On the director's bridge: frames, and what the kernel thinks that they are."

    def outcomes(self) -> dict[str, int]:
        return {name: count for name, count in self.lan.status()["outcomes"].items() if count}


def configuration() -> str:
    lines = ["connections: 10000", "interfaces: [eth0, br0, line0, line1]", "vips:"]
    lines += [f'  "{vip}": {{routed: true}}' for vip in VIP.values()]
    lines.append("services:")
    for port, (method, servers, _) in SERVICES.items():
        for family in (4, 6):
            address = ip_address(servers[family])
            source = f', tunnel_source: "{SOURCE[address.version]}"' if method == "tun" else ""
            weight = ", weight: 0" if port == NOBODY else ""
            host = VIP[family] if family == 4 else f"[{VIP[family]}]"
            for transport in ("tcp", "udp"):
                lines += [
                    f"  {transport}{port}v{family}:",
                    f'    listen: "{host}:{port}/{transport}"',
                    f"    method: {method}",
                    f'    servers: [{{address: "{address}"{source}{weight}}}]',
                ]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lines]:
    path = tmp_path_factory.mktemp("lines") / "vipd.yaml"
    path.write_text(configuration())
    with Lan() as lan:
        first, second = (lan.director.inside(partial(Tun, name)) for name in ("line0", "line1"))
        with first, second:
            for tun, four, six in (
                (first, "10.9.9.1/32", "2001:db8:99::1/64"),
                (second, "10.2.2.1/24", "2001:db8:22::1/64"),
            ):
                lan.director.ip("addr", "add", four, "dev", tun.name)
                lan.director.ip("addr", "add", six, "dev", tun.name, "nodad")
                lan.director.ip("link", "set", "dev", tun.name, "up")
            lan.director.ip("route", "add", "default", "dev", "line0")
            lan.director.ip("-6", "route", "add", "default", "dev", "line0")
            bridge(lan)
            with (
                lan.daemon(path) as daemon,
                lan.server.inside(lambda: listener("eth0")) as wire,
                lan.director.inside(lambda: listener("eth1")) as port,
            ):
                daemon.ready()
                yield Lines(lan, first, second, wire, port)
                daemon.end()
            lan.down()


def bridge(lan: Lan) -> None:
    """Behind a bridge the kernel looks at what XDP sends as at anything else that it sends."""
    director = lan.director
    director.ip("link", "add", "br0", "type", "bridge")
    director.ip("addr", "flush", "dev", "eth1")
    director.ip("link", "set", "dev", "eth1", "master", "br0")
    director.ip("link", "set", "dev", "br0", "up")
    director.ip("addr", "add", "10.0.0.1/24", "dev", "br0")
    director.ip("addr", "add", "2001:db8:2::1/64", "dev", "br0", "nodad")


def listener(interface: str) -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    made.bind((interface, _ETH_P_ALL))
    made.settimeout(DEADLINE)
    return made


def ip(family: int, **fields: Any) -> Any:
    mark = fields.pop("mark", 0)
    return IP(**fields, tos=mark) if family == 4 else IPv6(**fields, tc=mark)


def found(receive: Callable[[], bytes], wanted: Callable[[bytes], bool]) -> bytes:
    """Neighbour and router messages of the kernel's own are none of ours."""
    while not wanted(data := receive()):
        pass
    return data


def transport_of(packet: bytes) -> int:
    return packet[9] if packet[0] >> 4 == 4 else packet[6]


@each_mark
@each_client
@pytest.mark.parametrize("protocol", [UDP, TCP], ids=["udp", "tcp"])
def test_nat_from_line_to_line_and_back(lines: Lines, family: int, client: str, mark: int, protocol: Any) -> None:
    packet = (
        ip(family, src=client, dst=VIP[family], mark=mark)
        / protocol(sport=4000 + mark, dport=NAT_BEYOND)
        / Raw(b"there")
    )
    lines.first.write(bytes(packet))
    got = found(lines.second.receive, lambda data: transport_of(data) in (6, 17))
    expected = (
        ip(family, src=client, dst=BEYOND[family], mark=mark)
        / protocol(sport=4000 + mark, dport=NAT_BEYOND)
        / Raw(b"there")
    )
    setattr(expected, "ttl" if family == 4 else "hlim", 63)
    assert got == bytes(expected)
    reply = (
        ip(family, src=BEYOND[family], dst=client, mark=mark)
        / protocol(sport=NAT_BEYOND, dport=4000 + mark)
        / Raw(b"back")
    )
    lines.second.write(bytes(reply))
    got = found(lines.first.receive, lambda data: transport_of(data) in (6, 17))
    expected = (
        ip(family, src=VIP[family], dst=client, mark=mark)
        / protocol(sport=NAT_BEYOND, dport=4000 + mark)
        / Raw(b"back")
    )
    setattr(expected, "ttl" if family == 4 else "hlim", 63)
    assert got == bytes(expected)


def is_tunnel(packet: bytes) -> bool:
    return transport_of(packet) in (4, 41)


@each_mark
@each_client
@pytest.mark.parametrize("port", [TUN_4, TUN_6], ids=["in-ipv4", "in-ipv6"])
def test_tun_from_line_to_line(lines: Lines, family: int, client: str, mark: int, port: int) -> None:
    outside = 4 if port == TUN_4 else 6
    packet = ip(family, src=client, dst=VIP[family], mark=mark) / UDP(sport=4000 + mark, dport=port) / Raw(b"there")
    before = lines.outcomes()
    lines.first.write(bytes(packet))
    source = ip_address(SOURCE[outside].split("/")[0]).packed
    alike = bytes(packet)[12:14] == (source[:2] if outside == 4 else source[4:6])
    if family != outside and alike and (mark == 0x10):
        eventually(lambda: lines.outcomes().get("drop_no_ethernet", 0) == before.get("drop_no_ethernet", 0) + 1)
        return
    got = found(lines.second.receive, is_tunnel)
    head = (IP if outside == 4 else IPv6)(got)
    assert (head.src, head.dst) == (SOURCE[outside].split("/")[0], BEYOND[outside])
    assert (head.ttl if outside == 4 else head.hlim) == 63
    setattr(packet, "ttl" if family == 4 else "hlim", 63)
    assert got[20 if outside == 4 else 40 :] == bytes(packet)


@each_mark
@each_client
@pytest.mark.parametrize("protocol", [UDP, TCP], ids=["udp", "tcp"])
def test_refusals_go_back_over_the_line(lines: Lines, family: int, client: str, mark: int, protocol: Any) -> None:
    packet = ip(family, src=client, dst=VIP[family], mark=mark) / protocol(sport=4000 + mark, dport=NOBODY)
    lines.first.write(bytes(packet))
    wanted = {TCP: 6, UDP: 1 if family == 4 else 58}[protocol]
    got = found(
        lines.first.receive,
        lambda data: transport_of(data) == wanted and (IP if family == 4 else IPv6)(data).dst == client,
    )
    head = (IP if family == 4 else IPv6)(got)
    assert (head.src, bytes(head)) == (VIP[family], got)
    if protocol is TCP:
        assert head[TCP].flags == "RA"
    else:
        assert bytes(packet)[:40] in got
        assert family == 6 or (head[ICMP].type, head[ICMP].code) == (3, 3)


@each_mark
@each_client
@pytest.mark.parametrize("port", [NAT_NEAR, TUN_NEAR_4, TUN_NEAR_6])
def test_frames_leave_by_ethernet_whole(lines: Lines, family: int, client: str, mark: int, port: int) -> None:
    packet = ip(family, src=client, dst=VIP[family], mark=mark) / UDP(sport=4000 + mark, dport=port) / Raw(b"there")
    lines.first.write(bytes(packet))
    sender, receiver = lines.lan.director.mac("br0"), lines.lan.server.mac("eth0")
    outside = {NAT_NEAR: family, TUN_NEAR_4: 4, TUN_NEAR_6: 6}[port]
    kind = {4: 0x0800, 6: 0x86DD}[outside]

    def ours(data: bytes) -> bool:
        """The server, where nobody listens, quotes it in its answer."""
        return data[6:12].hex(":") == sender and b"there" in data

    got = found(lambda: lines.wire.recv(65_535), ours)
    seen = b"", ("", 0)
    while not ours(seen[0]):
        seen = lines.port.recvfrom(65_535)
    # Where the former bytes had the new type in its place, the kernel did not look again; the frame is right.
    hidden = family != outside and bytes(packet)[12:14] == kind.to_bytes(2, "big")
    assert seen[1][1] == kind or hidden
    frame = Ether(got)
    assert (frame.dst, frame.type) == (receiver, kind)
    assert frame.payload.dst == NEAR[outside]
    setattr(packet, "ttl" if family == 4 else "hlim", 63)
    if port == NAT_NEAR:
        packet.dst = NEAR[family]
        assert got[14:] == bytes(packet)
    else:
        assert got[14 + (20 if outside == 4 else 40) :] == bytes(packet)
