"""IP packets and what they carry: read or refused, what is read is written alike, and both readers agree."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from tests.fuzz.supply import Supply
from tests.support.specimens import IP_PACKETS
from vipd.errors import WireError
from vipd.wire import headers, ip, tunnel
from vipd.wire.icmp import Icmp
from vipd.wire.transport import Tcp, Udp

SEEDS: Final = [bytes((whole, 40)) + bytes(packet) for packet in IP_PACKETS.values() for whole in (0, 1)]
_NESTED: Final = 8


def check(data: bytes) -> None:
    supply = Supply(data)
    whole, limit = supply.number(1) == 0, 10 * supply.number(255)
    octets = supply.rest()
    _in_place(octets, limit)
    with suppress(WireError):
        _packet(ip.decode(octets, whole), octets, whole, _NESTED)


def _packet(packet: ip.Packet, octets: bytes, whole: bool, depth: int) -> None:
    if whole:
        again = packet.encode()
        assert again == octets[: len(again)]
    _agrees(packet, octets)
    assert packet.fragmentation is None or packet.fragmentation.offset <= 0xFFF8
    if isinstance(packet, ip.IPv4):
        with suppress(WireError):
            list(ip.options(packet.options))
    with suppress(WireError):
        _transport(packet)
    with suppress(WireError):
        inner = tunnel.decapsulate(packet)
        if depth:
            _packet(inner, packet.payload, True, depth - 1)


def _transport(packet: ip.Packet) -> None:
    ends = packet.source, packet.destination
    made: Tcp | Udp | Icmp
    if packet.protocol == ip.TCP:
        made = Tcp.decode(packet.payload, *ends)
        with suppress(WireError):
            assert made.mss is None or 0 <= made.mss <= 0xFFFF
    elif packet.protocol == ip.UDP:
        made = Udp.decode(packet.payload, *ends)
    elif packet.protocol in (ip.ICMP, ip.ICMPV6):
        made = Icmp.decode(packet.payload, *ends)
        with suppress(WireError):
            _agrees(made.quoted(packet.source.version), made.body)
    else:
        return
    assert made.encode(*ends) == packet.payload


def _agrees(packet: ip.Packet, octets: bytes) -> None:
    """What is read in place says the same as the value."""
    seen = headers.read_network(octets, packet.source.version)
    assert seen is not None
    assert (seen.source, seen.destination) == (packet.source, packet.destination)
    if isinstance(packet, ip.IPv4):
        assert (seen.ttl, seen.options, seen.fragmentation) == (packet.ttl, packet.options, packet.fragmentation)
        return
    walked = [each for each in headers.walk_extensions(octets, seen) if each is not None]
    assert [each.kind for each in walked][: len(packet.extensions)] == [each.kind for each in packet.extensions]


def _in_place(octets: bytes, limit: int) -> None:
    """Whatever the bytes are, and whatever version they are taken for."""
    for version in (4, 6):
        network = headers.read_network(octets, version)
        if network is None:
            continue
        at = network.header
        for extension in headers.walk_extensions(octets, network):
            at = len(octets) if extension is None else extension.end
        assert at <= len(octets) or version == 4
        headers.read_quote(octets, version, at, len(octets))
        headers.read_udp(octets, at)
        segment = headers.read_tcp(octets, at)
        if segment is not None and 20 <= segment.header <= len(octets) - at:
            _lowered(octets[at:], network, limit)


def _lowered(segment: bytes, network: headers.Network, limit: int) -> None:
    """No option but MSS changes, and a sum that was right still is."""
    ends = network.source, network.destination
    changed = bytearray(segment)
    offered = headers.lower_mss(changed, 0, limit)
    before, after = Tcp.decode(segment, *ends), Tcp.decode(bytes(changed), *ends)
    assert (offered is None) == (before.options == after.options)
    assert before.payload == after.payload
    if before.checksum is None:
        assert after.checksum is None
