"""Half-open connections by the thousand: SYN frames that nobody stands behind."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from tests.support.labs import Site
from vipd.lab import namespace

NOBODY: Final = IPv4Network("198.18.0.0/15")
"RFC 2544's test networks: sources that no answer can reach."
_IP_CHECK, _SOURCE, _PORT, _TCP_CHECK = 24, 26, 34, 50


def syn_frames(source_mac: str, router_mac: str, vip: str, count: int, seed: int = 1) -> Iterator[bytes]:
    """Each from another address and port of nobody's."""
    first = int(NOBODY.network_address)
    packet = Ether(src=source_mac, dst=router_mac) / IP(src=str(IPv4Address(first)), dst=vip) / TCP(sport=0, dport=80)
    template = bytes(packet)
    chance = random.Random(seed)
    ip_check, tcp_check = (0xFFFF - int.from_bytes(template[at : at + 2], "big") for at in (_IP_CHECK, _TCP_CHECK))
    for _ in range(count):
        number, port = chance.randrange(1, 1 << 17), chance.randrange(1024, 65_536)
        frame = bytearray(template)
        struct.pack_into("!I", frame, _SOURCE, first + number)
        struct.pack_into("!H", frame, _PORT, port)
        more = (number >> 16) + (number & 0xFFFF)
        struct.pack_into("!H", frame, _IP_CHECK, _folded(ip_check + more))
        struct.pack_into("!H", frame, _TCP_CHECK, _folded(tcp_check + more + port))
        yield bytes(frame)


def _folded(total: int) -> int:
    total %= 0xFFFF
    return 0xFFFF - total


def flood(site: Site, count: int) -> None:
    """From the client's wire to the VIP; what servers answer ends at the router."""
    lab = site.lab
    lab.run("router", "ip", "route", "replace", "blackhole", str(NOBODY))
    with namespace.netlink(lab.network.namespace("client")) as netlink:
        own = str(netlink.get_links(ifname="eth0")[0].get("address"))
    with namespace.netlink(lab.network.namespace("router")) as netlink:
        device = lab.topology.host("router").device_on("far")
        router = str(netlink.get_links(ifname=device)[0].get("address"))
    with site.at("client"):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with wire:
        wire.bind(("eth0", 0))
        for frame in syn_frames(own, router, str(lab.topology.vip_address(4)), count):
            wire.send(frame)
