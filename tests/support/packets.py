"""Packets as scapy builds them: what is sent, and what has to come out. Every sum is scapy's own."""

from __future__ import annotations

from typing import Any, Final

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from tests.support import tables
from tests.support.wires import CLIENT, CLIENT_MAC, VIP, Wire

FAMILIES: Final = (4, 6)
PROTOCOLS: Final = (tables.TCP, tables.UDP)
PORT: Final = 80
CLIENT_PORT: Final = 40123
PAYLOAD: Final = b"to whom it may concern"
HEADER: Final = {4: 20, 6: 40}

_TTL: Final = {4: "ttl", 6: "hlim"}


def ip(family: int, ttl: int = 64, **fields: Any) -> Any:
    """From the client to the VIP unless told otherwise."""
    given: dict[str, Any] = {"src": CLIENT[family], "dst": VIP[family], _TTL[family]: ttl} | fields
    return IP(**given) if family == 4 else IPv6(**given)


def tcp(flags: str = "S", **fields: Any) -> Any:
    given = {"sport": CLIENT_PORT, "dport": PORT, "seq": 0x11223344, "ack": 0x55667788 if "A" in flags else 0} | fields
    return TCP(flags=flags, **given)


def udp(**fields: Any) -> Any:
    return UDP(**({"sport": CLIENT_PORT, "dport": PORT} | fields))


def segment(family: int, flags: str = "S", payload: bytes = b"", **fields: Any) -> Any:
    """A client's TCP segment to the VIP."""
    return ip(family) / tcp(flags, **fields) / Raw(payload)


def request(family: int, protocol: int, payload: bytes = PAYLOAD, **fields: Any) -> Any:
    """A client's first packet to the VIP."""
    transport = tcp("S", **fields) if protocol == tables.TCP else udp(**fields)
    return ip(family) / transport / Raw(payload)


def later(family: int, protocol: int, payload: bytes = PAYLOAD, **fields: Any) -> Any:
    """A client's packet of an open connection."""
    transport = tcp("PA", **fields) if protocol == tables.TCP else udp(**fields)
    return ip(family) / transport / Raw(payload)


def answer(family: int, protocol: int, source: str, port: int = PORT, flags: str = "PA", to: str = "") -> Any:
    """A real server's packet back to the client."""
    ports = {"sport": port, "dport": CLIENT_PORT}
    transport = tcp(flags, **ports) if protocol == tables.TCP else udp(**ports)
    return ip(family, src=source, dst=to or CLIENT[family]) / transport / Raw(b"what you asked for")


def altered(packet: Any, hops: int = 0, **fields: Any) -> Any:
    """A copy with other addresses (src, dst) or ports (sport, dport), after so many routers."""
    made = packet.copy()
    for name, value in fields.items():
        setattr(made if name in ("src", "dst") else made[TCP] if TCP in made else made[UDP], name, value)
    field = _TTL[4 if IP in made else 6]
    setattr(made, field, getattr(made, field) - hops)
    return made


def framed(packet: Any, wire: Wire, source: str = CLIENT_MAC) -> bytes:
    """As it comes in by the director's interface."""
    return bytes(Ether(src=source, dst=wire.mac) / packet)


def sent(packet: Any, wire: Wire, to: str) -> bytes:
    """As the director sends it out of its interface."""
    return bytes(Ether(src=wire.mac, dst=to) / packet)


def length(packet: Any) -> int:
    """Bytes of IP."""
    return len(bytes(packet))
