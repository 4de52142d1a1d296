"""A frame in one line for people."""

from __future__ import annotations

from vipd.errors import WireError
from vipd.wire import ip, transport
from vipd.wire.ethernet import Frame
from vipd.wire.icmp import Icmp
from vipd.wire.transport import Tcp, Udp

_NAMES = {0x0800: "IPv4", 0x86DD: "IPv6", 0x0806: "ARP", 0x8100: "VLAN"}


def shown(frame: bytes) -> str:
    try:
        outer = Frame.decode(frame)
    except WireError:
        return f"{len(frame)} bytes"
    if outer.type not in (0x0800, 0x86DD):
        return f"{_NAMES.get(outer.type, hex(outer.type))}, {len(frame)} bytes"
    try:
        packet = ip.decode(outer.payload)
    except WireError as error:
        return f"{_NAMES[outer.type]}, {len(frame)} bytes, broken: {error}"
    ends = f"{packet.source} > {packet.destination}"
    extensions = [f"header {each.kind}" for each in packet.extensions] if isinstance(packet, ip.IPv6) else []
    part = packet.fragmentation
    if part is not None:
        extensions.append(f"fragment {part.identification} at {part.offset}{', more to come' if part.more else ''}")
    return ", ".join([f"{ends}: {_transport(packet)}", *extensions, f"{len(packet.encode())} bytes"])


def _transport(packet: ip.Packet) -> str:
    part = packet.fragmentation
    if part is not None and part.offset:
        return f"protocol {packet.protocol}"
    try:
        if packet.protocol == ip.TCP:
            tcp = Tcp.decode(packet.payload, packet.source, packet.destination)
            flags = "+".join(name for name, bit in transport.FLAGS.items() if tcp.flags & bit)
            return f"TCP {tcp.source_port} > {tcp.destination_port} {flags or 'without flags'}"
        if packet.protocol == ip.UDP:
            udp = Udp.decode(packet.payload, packet.source, packet.destination)
            return f"UDP {udp.source_port} > {udp.destination_port}"
        if packet.protocol in (ip.ICMP, ip.ICMPV6):
            icmp = Icmp.decode(packet.payload, packet.source, packet.destination)
            return f"ICMP type {icmp.type} code {icmp.code}"
    except WireError as error:
        return f"protocol {packet.protocol}, broken: {error}"
    return f"protocol {packet.protocol}"
