"""The flows in a capture file: who talked to which endpoint, from when to when. Pure; opens nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from vipd.model.director import Address
from vipd.simulation.gathering import Gathering
from vipd.wire import ethernet, ip, transport
from vipd.wire.headers import Network, read_network, read_tcp, read_udp, walk_extensions
from vipd.wire.pcap import Captured, LinkType

_COOKED: Final = {113: (14, 16), 276: (0, 20)}
"What `tcpdump -i any` writes: where the EtherType stands and where the packet begins (LINUX_SLL, LINUX_SLL2)."
_READ: Final = {LinkType.ETHERNET, LinkType.RAW_IP, *_COOKED}
_VERSIONS: Final = {kind: version for version, kind in ethernet.IP_TYPES.items()}
_NS: Final = 1e9


@dataclass(slots=True)
class Read:
    """What was in a capture."""

    frames: int = 0
    ours: int = 0
    "Of them, packets of clients to an endpoint."
    unread: set[int] = field(default_factory=set)
    "Kinds of links whose frames are not read here (https://www.tcpdump.org/linktypes.html)."


@dataclass(slots=True)
class _Open:
    place: int
    last: float
    closed: bool = False


def read(
    frames: Iterable[Captured], gathering: Gathering, group_at: Callable[[Address, int, int], int], silence: float
) -> Read:
    """Into the gathering. `group_at`: the group of the service that listens at VIP, protocol and port; -1 for none.

    A flow ends with its last packet; a SYN after a FIN or RST, or datagrams after `silence` seconds,
    begin a new one.
    """
    found, flows = Read(), dict[tuple[Address, int, Address, int, int], _Open]()
    for frame in frames:
        found.frames += 1
        if frame.link_type not in _READ:
            found.unread.add(frame.link_type)
            continue
        packet = _packet(frame)
        if packet is None:
            continue
        network, protocol, at = packet
        header = frame.data[at:]
        ends = read_tcp(header, 0) if protocol == ip.TCP else read_udp(header, 0)
        if ends is None:
            continue
        flags = getattr(ends, "flags", 0)
        group = group_at(network.destination, protocol, ends.destination_port)
        if group < 0:
            continue
        found.ours += 1
        now = frame.time_ns / _NS
        key = network.source, ends.source_port, network.destination, ends.destination_port, protocol
        flow = flows.get(key)
        begins = flow is None or (
            flow.closed and flags & transport.SYN if protocol == ip.TCP else now - flow.last > silence
        )
        if flow is None or begins:
            place = gathering.add(
                gathering.client(network.source), ends.source_port, now, 0.0, group, ends.destination_port
            )
            flow = flows[key] = _Open(place, now)
        flow.last = now
        flow.closed = flow.closed or bool(flags & (transport.FIN | transport.RST))
        gathering.lasted(flow.place, now)
    return found


def _packet(frame: Captured) -> tuple[Network, int, int] | None:
    """A packet with ports, the protocol, and where in the frame its transport header is."""
    at, version = 0, 0
    if frame.link_type == LinkType.ETHERNET:
        at = ethernet.HEADER
        kind = int.from_bytes(frame.data[12:14], "big")
        while kind in ethernet.TAG_TYPES:
            kind, at = int.from_bytes(frame.data[at + 2 : at + 4], "big"), at + 4
        version = _VERSIONS.get(kind, 0)
    elif frame.link_type in _COOKED:
        kind_at, at = _COOKED[frame.link_type]
        version = _VERSIONS.get(int.from_bytes(frame.data[kind_at : kind_at + 2], "big"), 0)
    elif frame.data:
        version = frame.data[0] >> 4
    packet = frame.data[at:]
    network = read_network(packet, version) if version in (4, 6) else None
    if network is None or (network.fragmentation and network.fragmentation.offset):
        return None
    protocol, offset = network.protocol, network.header
    for header in walk_extensions(packet, network):
        if header is None or (header.fragmentation and header.fragmentation.offset):
            return None
        protocol, offset = header.following, header.end
    return (network, protocol, at + offset) if protocol in (ip.TCP, ip.UDP) else None
