"""A packet that somebody asks about: built from a few words, or brought along."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from vipd.errors import WireError
from vipd.explain.ends import refused
from vipd.explain.scene import NOBODY_MAC, Scene
from vipd.model.director import Address, Transport
from vipd.spec import Ingress
from vipd.spec.configuration import PROTOCOLS
from vipd.spec.nexthop import NO_MAC
from vipd.wire import ip, transport
from vipd.wire.ethernet import HEADER, IP_TYPES, Frame, mac_text
from vipd.wire.transport import SYN, Tcp, Udp

_MSS: Final = {4: b"\x02\x04\x05\xb4", 6: b"\x02\x04\x05\xa0"}
"What a client on Ethernet offers: 1460 bytes, 1440."
_WINDOW: Final = 64240
_SEQUENCE: Final = 1_000_000
MOST_PAYLOAD: Final = 65_000
TTL: Final = 64
"Of packets that nobody gave one."


@dataclass(frozen=True, slots=True)
class Packet:
    """One that came in."""

    frame: bytes
    ingress: Ingress
    notes: tuple[str, ...] = ()
    "What was taken to be so."


@dataclass(frozen=True, slots=True)
class Wanted:
    """A packet of a client in a few words."""

    source: Address
    source_port: int
    destination: Address
    destination_port: int
    transport: Transport
    flags: int = SYN
    "Of TCP."
    payload: int = 0
    "Bytes."
    ttl: int = TTL

    def packet(self) -> bytes:
        """From the IP header on, whole and right."""
        ends = self.source, self.destination
        if self.transport is Transport.TCP:
            raw = self._segment().encode(*ends)
        else:
            raw = Udp(self.source_port, self.destination_port, bytes(self.payload)).encode(*ends)
        return ip.build(*ends, PROTOCOLS[self.transport], raw, self.ttl).encode()

    def _segment(self) -> Tcp:
        begins = self.flags & (transport.SYN | transport.ACK) == transport.SYN
        return Tcp(
            self.source_port,
            self.destination_port,
            self.flags,
            bytes(self.payload),
            _SEQUENCE + (not begins),
            0 if not self.flags & transport.ACK else _SEQUENCE,
            _WINDOW,
            options=_MSS[self.source.version] if self.flags & transport.SYN else b"",
        )

    def reversed(self, source: Address, source_port: int) -> Wanted:
        """What a server, or the VIP, sends back."""
        return replace(
            self,
            source=source,
            source_port=source_port,
            destination=self.source,
            destination_port=self.source_port,
        )


def flags_of(where: str, text: str) -> int:
    """`SYN`, `SYN+ACK`, `syn,ack`, `none`."""
    words = [word for word in re.split(r"[+,| ]+", text.strip().upper()) if word]
    if words == ["NONE"]:
        return 0
    unknown = [word for word in words if word not in transport.FLAGS]
    if unknown or not words:
        known = ", ".join(transport.FLAGS)
        raise refused(where, f"{text!r} are no flags of TCP; one or more of {known} are, with + between, or none")
    found = 0
    for word in words:
        found |= transport.FLAGS[word]
    return found


def interface_of(where: str, name: str, scene: Scene) -> int:
    for number, known in scene.names.interfaces.items():
        if known == name and number in scene.configuration.interfaces:
            return number
    names = ", ".join(scene.names.interface(number) for number in scene.configuration.interfaces) or "none"
    raise refused(where, f"{name!r} is no interface of this director; it looks at {names}")


def arrived(packet: bytes, scene: Scene, interface: int | None = None, source_mac: bytes | None = None) -> Packet:
    """An IP packet in the frame in which it would come, by the interface by which it would."""
    number, mac = _way_in(packet, scene)
    number = interface or number
    own = scene.configuration.interfaces[number].mac
    notes = (f"it comes in by {scene.names.interface(number)}",)
    if own == NO_MAC:
        return Packet(packet, Ingress(number, ethernet=False), notes)
    kind = IP_TYPES[6 if packet[:1] and packet[0] >> 4 == 6 else 4]
    return Packet(Frame(own, source_mac or mac, kind, packet).encode(), Ingress(number), notes)


def brought(
    octets: bytes, scene: Scene, interface: int | None = None, source_mac: bytes | None = None, keep_macs: bool = False
) -> Packet:
    """A frame, or an IP packet alone, that was captured somewhere. Its MAC address need not be the director's."""
    if _is_ip(octets):
        return arrived(octets, scene, interface, source_mac)
    frame = octets if source_mac is None else octets[:6] + source_mac + octets[12:]
    held = scene.configuration.interfaces
    owner = next((number for number, each in held.items() if each.mac == frame[:6]), None)
    number = interface or owner or _way_in(_payload(frame), scene)[0]
    own, name = held[number].mac, scene.names.interface(number)
    notes = [f"it comes in by {name}"] if owner != number else []
    if own == NO_MAC:
        notes.append(f"without its Ethernet header: {name} has none")
        return Packet(frame[HEADER:], Ingress(number, ethernet=False), tuple(notes))
    if len(frame) >= HEADER and frame[:6] != own and not keep_macs:
        notes.append(f"it is sent to {mac_text(own)}, which is {name}; it said {mac_text(frame[:6])}")
        frame = own + frame[6:]
    return Packet(frame, Ingress(number), tuple(notes))


def _is_ip(octets: bytes) -> bool:
    """Whether it begins with a whole IP header that makes sense, and not with an Ethernet header."""
    try:
        return len(ip.decode(octets).encode()) == len(octets)
    except WireError:
        return False


def _payload(frame: bytes) -> bytes:
    try:
        return Frame.decode(frame).payload
    except WireError:
        return b""


def _way_in(packet: bytes, scene: Scene) -> tuple[int, bytes]:
    try:
        header = ip.decode(packet, whole=False)
    except WireError:
        return scene.first, NOBODY_MAC
    return scene.way_in(header.source, header.destination)


def require_payload(where: str, payload: int) -> int:
    if not 0 <= payload <= MOST_PAYLOAD:
        raise refused(where, f"{payload} bytes do not fit into a packet; 0 to {MOST_PAYLOAD} do")
    return payload
