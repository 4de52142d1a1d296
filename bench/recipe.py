"""Frames as the BPF side makes them: a template and what varies in it (bpf/bench_frame.h)."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, replace
from enum import IntFlag
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from vipd.model.director import Address, Transport

FRAME4: Final = 64
FRAME6: Final = 80
CLIENT_PORT_BITS: Final = 6


class Flag(IntFlag):
    """`enum recipe_flag`."""

    IPV6 = 1
    UDP = 2
    REPLY = 4
    SCATTERED = 8


class Recipe(ctypes.LittleEndianStructure):
    """`struct recipe`."""

    _fields_ = (
        ("frame", ctypes.c_uint8 * FRAME6),
        ("flags", ctypes.c_uint32),
        ("program", ctypes.c_uint32),
        ("cursor", ctypes.c_uint32),
        ("mask", ctypes.c_uint32),
        ("scatter_shift", ctypes.c_uint32),
        ("first", ctypes.c_uint32),
        ("client", ctypes.c_uint32),
        ("server", ctypes.c_uint32),
        ("server_mask", ctypes.c_uint32),
        ("server_turn", ctypes.c_uint32),
        ("ip_sum", ctypes.c_uint32),
        ("l4_sum", ctypes.c_uint32),
        ("written", ctypes.c_uint64),
    )


@dataclass(frozen=True, slots=True)
class Traffic:
    """Frames of many flows of one kind, towards a VIP or (`reply`) back from its real servers."""

    destination_mac: str
    source_mac: str
    clients: Address
    "The first client; flow n is of client n >> CLIENT_PORT_BITS."
    address: Address
    "The VIP, or the first of `servers` real servers."
    port: int
    transport: Transport
    tcp_flags: str = "A"
    reply: bool = False
    servers: int = 1
    server_turn: int = 0

    def with_flags(self, tcp_flags: str) -> Traffic:
        return replace(self, tcp_flags=tcp_flags)

    def _template(self) -> Packet:
        ipv6 = self.clients.version == 6
        # The varied words are 0 in the template, so that its checksums leave them out.
        client, address = _without_low_word(self.clients), _without_low_word(self.address)
        source, destination = (address, client) if self.reply else (client, address)
        sport, dport = (self.port, 0) if self.reply else (0, self.port)
        ip = (
            IPv6(src=str(source), dst=str(destination), hlim=64)
            if ipv6
            else IP(src=str(source), dst=str(destination), ttl=64, id=1, flags="DF")
        )
        udp = self.transport is Transport.UDP
        tcp = TCP(sport=sport, dport=dport, flags=self.tcp_flags, seq=1000, ack=2000)
        l4: Packet = UDP(sport=sport, dport=dport) if udp else tcp
        frame = Ether(dst=self.destination_mac, src=self.source_mac) / ip / l4
        return frame / Raw(bytes((FRAME6 if ipv6 else FRAME4) - len(frame)))

    def recipe(self, flows: int, *, scattered: bool, first: int = 0) -> Recipe:
        if flows & (flows - 1):
            raise ValueError(f"a power of two of flows expected, not {flows}")
        template = self._template()
        frame = bytes(template)
        built = Ether(frame)
        l4 = UDP if self.transport is Transport.UDP else TCP
        flags = Flag(0)
        flags |= Flag.IPV6 if self.clients.version == 6 else Flag(0)
        flags |= Flag.UDP if l4 is UDP else Flag(0)
        flags |= Flag.REPLY if self.reply else Flag(0)
        flags |= Flag.SCATTERED if scattered else Flag(0)
        return Recipe(
            frame=(ctypes.c_uint8 * FRAME6)(*frame),
            flags=flags,
            mask=flows - 1,
            scatter_shift=max(1, (flows - 1).bit_length() // 2),
            first=first,
            client=_low_word(self.clients),
            server=_low_word(self.address),
            server_mask=self.servers - 1,
            server_turn=self.server_turn,
            ip_sum=0 if built.version == 6 else _sum_behind(built[IP].chksum),
            l4_sum=_sum_behind(built[l4].chksum),
        )

    @property
    def length(self) -> int:
        return FRAME6 if self.clients.version == 6 else FRAME4


def _low_word(address: Address) -> int:
    return int(address) & 0xFFFFFFFF


def _without_low_word(address: Address) -> Address:
    high = int(address) & ~0xFFFFFFFF
    return IPv4Address(high) if address.version == 4 else IPv6Address(high)


def _sum_behind(check: int) -> int:
    """The sum whose complement a checksum is, in the machine's order as BPF adds it up."""
    return ~int.from_bytes(check.to_bytes(2, "big"), "little") & 0xFFFF


def client_of(traffic: Traffic, flow: int) -> tuple[Address, int]:
    """Who sends flow number `flow`."""
    address = ip_address(int(traffic.clients) + (flow >> CLIENT_PORT_BITS))
    return address, 32768 + (flow & ((1 << CLIENT_PORT_BITS) - 1))
