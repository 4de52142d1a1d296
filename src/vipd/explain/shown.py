"""A frame in one line for people."""

from __future__ import annotations

from typing import Final

from vipd.anatomy.show import count
from vipd.errors import WireError
from vipd.model.director import with_port
from vipd.wire import ip, transport
from vipd.wire.ethernet import IP_TYPES, TYPE_ARP, TYPE_IPV4, TYPE_IPV6, Frame
from vipd.wire.icmp import Icmp
from vipd.wire.transport import Tcp, Udp

_TYPES: Final = {TYPE_IPV4: "IPv4", TYPE_IPV6: "IPv6", TYPE_ARP: "ARP"}


def shown(frame: bytes) -> str:
    """`TCP SYN 198.51.100.7:40000 > 192.0.2.10:80`."""
    try:
        outer = Frame.decode(frame)
    except WireError:
        return count(len(frame), "byte")
    tagged = f", VLAN {outer.tags[0].vlan}" if outer.tags else ""
    if outer.type not in IP_TYPES.values():
        return f"{_TYPES.get(outer.type, f'EtherType 0x{outer.type:04x}')}{tagged}, {count(len(frame), 'byte')}"
    return f"{shown_packet(outer.payload)}{tagged}"


def shown_packet(octets: bytes) -> str:
    """From its IP header on."""
    try:
        packet = ip.decode(octets)
    except WireError as error:
        return f"{count(len(octets), 'byte')}, no sound IP packet: {error}"
    part = packet.fragmentation
    fragment = f", fragment at {part.offset}" if part is not None else ""
    return f"{_packet(packet)}{fragment}"


def _packet(packet: ip.Packet) -> str:
    ends = packet.source, packet.destination
    part = packet.fragmentation
    bare = f"protocol {packet.protocol} {packet.source} > {packet.destination}"
    if part is not None and part.offset:
        return bare
    try:
        if packet.protocol == ip.TCP:
            tcp = Tcp.decode(packet.payload, *ends)
            return f"TCP {flags_text(tcp.flags)} {_ports(packet, tcp.source_port, tcp.destination_port)}"
        if packet.protocol == ip.UDP:
            udp = Udp.decode(packet.payload, *ends)
            return f"UDP {_ports(packet, udp.source_port, udp.destination_port)}"
        if packet.protocol in (ip.ICMP, ip.ICMPV6):
            icmp = Icmp.decode(packet.payload, *ends)
            return f"ICMP type {icmp.type} code {icmp.code} {packet.source} > {packet.destination}"
    except WireError as error:
        return f"{bare}, broken: {error}"
    return bare


def _ports(packet: ip.Packet, source: int, destination: int) -> str:
    return f"{with_port(packet.source, source)} > {with_port(packet.destination, destination)}"


def flags_text(flags: int) -> str:
    return "+".join(name for name, bit in transport.FLAGS.items() if flags & bit) or "without flags"
