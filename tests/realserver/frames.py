"""Frames between a client and a real server: neighbour queries, tunnelled packets, and what comes back."""

from __future__ import annotations

import socket
import time
from typing import Any

from scapy.layers.inet import IP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.pton_ntop import inet_ntop, inet_pton
from scapy.utils6 import in6_getnsma, in6_getnsmac

from tests.realserver.lan import CLIENT, CLIENT_MAC, DEADLINE, SERVER, SERVER_MAC, VIP


def query(family: int, target: str, unicast: bool, sender: str) -> Any:
    """A neighbour query; `sender` is the address that it is asked from."""
    if family == 4:
        ether = Ether(src=CLIENT_MAC, dst=SERVER_MAC if unicast else "ff:ff:ff:ff:ff:ff")
        return ether / ARP(op="who-has", hwsrc=CLIENT_MAC, psrc=sender, pdst=target)
    group = in6_getnsma(inet_pton(socket.AF_INET6, target))
    ether = Ether(src=CLIENT_MAC, dst=SERVER_MAC if unicast else in6_getnsmac(group))
    header = IPv6(src=sender, dst=target if unicast else inet_ntop(socket.AF_INET6, group), hlim=255)
    # A probe of duplicate address detection comes from :: and carries no option (RFC 4862, 5.4.2).
    option = ICMPv6NDOptSrcLLAddr(lladdr=CLIENT_MAC) if sender != "::" else b""
    return ether / header / ICMPv6ND_NS(tgt=target) / option


def claimed(frame: Any) -> str:
    """The address that a frame claims for its sender in ARP or NDP, or nothing."""
    if ARP in frame:
        return str(frame[ARP].psrc)
    if ICMPv6ND_NA in frame:
        return str(frame[ICMPv6ND_NA].tgt)
    if ICMPv6ND_NS in frame:
        return str(frame[IPv6].src)
    return ""


def frames_until_answered(cable: socket.socket, family: int) -> list[Any]:
    """Asks for the server's own address and takes every frame up to the answer: all earlier ones have come by then."""
    cable.send(bytes(query(family, SERVER[family], unicast=False, sender=CLIENT[family])))
    seen = []
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        frame = Ether(cable.recv(2048))
        if frame.src == SERVER_MAC:
            seen.append(frame)
            if claimed(frame) == SERVER[family] and (ICMPv6ND_NA in frame or (ARP in frame and frame[ARP].op == 2)):
                return seen
    raise AssertionError(f"no answer for {SERVER[family]} within {DEADLINE} s: {seen}")


def tunnelled(inside_family: int, outside_family: int, payload: Any) -> bytes:
    inner = (IP if inside_family == 4 else IPv6)(src=CLIENT[inside_family], dst=VIP[inside_family]) / payload
    source = {4: "172.16.1.2", 6: "100::1:2"}[outside_family]
    outer = (IP if outside_family == 4 else IPv6)(src=source, dst=SERVER[outside_family])
    return bytes(Ether(src=CLIENT_MAC, dst=SERVER_MAC) / outer / inner)


def next_from_vip(cable: socket.socket, family: int, layer: Any) -> Any:
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        frame = Ether(cable.recv(2048))
        network = IP if family == 4 else IPv6
        if frame.src == SERVER_MAC and network in frame and layer in frame and frame[network].src == VIP[family]:
            return frame[network]
    raise AssertionError(f"nothing from {VIP[family]} within {DEADLINE} s")
