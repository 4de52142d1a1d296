"""Ethernet frames (IEEE 802.3, 802.1Q, 802.2) from the destination on, and ARP (RFC 826)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vipd.anatomy import names, show
from vipd.anatomy.hdlc import control
from vipd.anatomy.ip import packet
from vipd.anatomy.scan import Scanner
from vipd.wire.ethernet import (
    BROADCAST,
    MAX_LENGTH,
    MIN_TYPE,
    TYPE_ARP,
    TYPE_IPV4,
    TYPE_IPV6,
    TYPE_SERVICE_VLAN,
    TYPE_VLAN,
)
from vipd.wire.llc import SAP_SNAP

TAGS: Final = {TYPE_VLAN: "802.1Q tag", TYPE_SERVICE_VLAN: "802.1ad service tag"}
_BRIDGE_GROUP: Final = bytes.fromhex("0180c20000")
_UI: Final = 0x03


def ethernet(scan: Scanner) -> None:
    scan.octets("destination", 6, show.mac, destination_meaning)
    scan.octets("source", 6, show.mac, fault=_source_fault)
    while int.from_bytes(scan.peek(2), "big") in TAGS and scan.left >= 2:
        with scan.group(TAGS[int.from_bytes(scan.peek(2), "big")]) as tag:
            scan.bits("tag type", 16, show.hex16)
            scan.bits("priority", 3)
            scan.bits("drop eligible", 1, meaning=show.flag)
            vlan = scan.bits("VLAN", 12, meaning=show.named({0: "none: a priority only", 4095: "reserved"}))
            tag.meaning = f"VLAN {vlan}"
    if scan.left < 2:
        scan.bits("type or length", 16)
    kind = int.from_bytes(scan.peek(2), "big")
    if kind <= MAX_LENGTH:
        length = scan.bits("length", 16, fault=_too_long(scan.left - 2))
        with scan.group("", min(length, scan.left)):
            _llc(scan)
    else:
        scan.bits("type", 16, show.hex16, show.named(names.ETHER_TYPES), _type_fault)
        payload(scan, kind)
    scan.rest("padding")


def destination_meaning(mac: bytes) -> str:
    if mac == BROADCAST:
        return "broadcast"
    if mac[:5] == _BRIDGE_GROUP and mac[5] < 16:
        return "bridges, no further"
    return "multicast" if mac[0] & 1 else ""


def _source_fault(mac: bytes) -> str:
    return "a group address, which nobody has" if mac[0] & 1 else ""


def _too_long(available: int) -> Callable[[int], str]:
    return lambda length: "" if length <= available else f"{max(0, available)} octets are here"


def _type_fault(kind: int) -> str:
    return "" if kind >= MIN_TYPE else "neither a length (up to 1500) nor a type (from 0x0600)"


def payload(scan: Scanner, kind: int) -> None:
    """By the EtherType; what is behind a packet that tells its length is left."""
    if kind in (TYPE_IPV4, TYPE_IPV6):
        packet(scan)
    elif kind == TYPE_ARP:
        arp(scan)
    else:
        scan.rest("data")


def _llc(scan: Scanner) -> None:
    """802.2: two service access points, and a control field as HDLC's."""
    with scan.group("LLC"):
        to = scan.bits("DSAP", 8, show.hex8, lambda n: names.SERVICE_ACCESS_POINTS.get(n & 0xFE, ""))
        by = scan.bits("SSAP", 8, show.hex8, lambda n: "response" if n & 1 else "command")
        first = control(scan, 128)
    if to == by == SAP_SNAP and first == _UI:
        with scan.group("SNAP"):
            organisation = scan.octets("organisation", 3)
            kind = scan.bits("type", 16, show.hex16, show.named({} if any(organisation) else names.ETHER_TYPES))
        if not any(organisation):
            payload(scan, kind)
    scan.rest("data")


def arp(scan: Scanner) -> None:
    with scan.group("ARP") as group:
        hardware = scan.bits("hardware type", 16, meaning=show.named({1: "Ethernet"}))
        protocol = scan.bits("protocol type", 16, show.hex16, show.named(names.ETHER_TYPES))
        sizes = scan.bits("hardware size", 8), scan.bits("protocol size", 8)
        operation = scan.bits("operation", 16, meaning=show.named(names.ARP_OPERATIONS))
        group.meaning = names.ARP_OPERATIONS.get(operation, "").partition(":")[0]
        usual = (hardware, protocol, *sizes) == (1, TYPE_IPV4, 6, 4)
        for name in ("sender", "target"):
            scan.octets(f"{name}'s MAC", sizes[0], show.mac if usual else show.octets)
            scan.octets(f"{name}'s address", sizes[1], show.ipv4 if usual else show.octets)
