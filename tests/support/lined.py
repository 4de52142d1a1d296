"""A service whose server or client is behind a point-to-point line, and the packets that come from there."""

from __future__ import annotations

from typing import Any, Final

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6

from tests.support.packets import PORT, altered, ip, request
from tests.support.tables import UDP, Director
from tests.support.wires import LINE_CLIENT, VIP
from vipd.dataplane._abi import Method

SOURCE: Final = {4: "172.16.0.1", 6: "100::1"}


def served(director: Director, family: int, address: str, method: Method, protocol: int = UDP, flags: int = 0) -> int:
    service = director.service(VIP[family], PORT, protocol, flags=flags)
    only = director.server(service, address, method, source=SOURCE[6 if ":" in address else 4])
    director.serve(service, [only])
    return only


def from_line(family: int, protocol: int = UDP) -> Any:
    return altered(request(family, protocol), src=LINE_CLIENT[family])


def whole_only(family: int, **fields: Any) -> Any:
    """A packet that no router may fragment."""
    return ip(family, **fields, flags="DF") if family == 4 else ip(family, **fields)


def outer(packet: Any, address: str, label: int = 0) -> Any:
    inner = 4 if IP in packet else 41
    if ":" in address:
        return IPv6(src=SOURCE[6], dst=address, fl=label, nh=inner, hlim=64) / packet
    identity, flags = (packet.id, packet.flags & 2) if IP in packet else (0, 2)
    return IP(src=SOURCE[4], dst=address, id=identity, flags=flags, ttl=64, proto=inner) / packet


def label_of(packet: bytes) -> int:
    label: int = IPv6(packet).fl if packet[0] >> 4 == 6 else 0
    return label
