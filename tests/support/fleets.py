"""A small configuration to simulate, and captures of traffic to it."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any

from vipd.config import loads
from vipd.simulation.staging import Asked
from vipd.wire import ip, pcap
from vipd.wire.pcap import Captured, LinkType
from vipd.wire.transport import Tcp, Udp

TEXT = """
interfaces: [eth0]
services:
  web:
    listen: 192.0.2.10:80/tcp
    method: dr
    scheduler: wlc
    servers: [10.0.0.11, {address: 10.0.0.12, weight: 2}, 10.0.0.13]
  dns:
    listen: 192.0.2.53:53/udp
    method: tun
    scheduler: mh
    on_server_removed: reschedule
    servers: [10.0.1.11, 10.0.1.12]
"""


def asked(*changes: str, text: str = TEXT, **more: Any) -> Asked:
    return Asked(loads(text).director, changes, **more)


def capture(
    folder: Path,
    *packets: tuple[float, str, int, str, int, int | None],
    link_type: int = LinkType.RAW_IP,
    header: bytes = b"",
) -> Path:
    """Of packets: seconds, source and port, destination and port, TCP's flags or None for a datagram."""
    path = folder / "traffic.pcap"
    frames = []
    for time, source, source_port, destination, destination_port, flags in packets:
        ends = ip_address(source), ip_address(destination)
        ports = source_port, destination_port
        payload = Udp(*ports) if flags is None else Tcp(*ports, flags)
        packet = ip.build(*ends, ip.UDP if flags is None else ip.TCP, payload.encode(*ends)).encode()
        frames.append(
            Captured(header + packet, len(header + packet), link_type, 1_700_000_000_000_000_000 + int(time * 1e9))
        )
    with path.open("wb") as file:
        pcap.write(file, link_type, frames)
    return path
