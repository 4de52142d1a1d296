"""IP packets out of choices: what clients, servers, routers and the ill-minded send."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from tests.support import wires
from tests.support.oracle.choices import Choices
from tests.support.oracle.worlds import FAMILIES, SERVERS, VIPS
from vipd.errors import WireError
from vipd.model.director import Address, Endpoint, Transport
from vipd.wire import ip
from vipd.wire.icmp import Icmp
from vipd.wire.ip import Extension, IPv4, IPv6, fragment_header, options_header
from vipd.wire.transport import ACK, FIN, PSH, RST, SYN, URG, Tcp, Udp

CLIENTS: Final[dict[int, list[Address]]] = {
    family: [
        ip_address(each)
        for each in (
            *(wires.CLIENT[family],) * 12,
            *(wires.STRANGER[family],) * 3,
            wires.NARROW_CLIENT[family],
            wires.BESIDE_SERVER[family],
            wires.server(family, 1),
            wires.SILENT_SERVER[family],
            wires.LOST_SERVER[family],
            wires.SIDE_SERVER[family],
            wires.LINE_CLIENT[family],
            wires.LINE_CLIENT[family],
            {4: "198.18.0.77", 6: "2001:db8:ac14::77"}[family],
            {4: "198.51.100.9", 6: "2001:db8:7::9"}[family],
        )
    ]
    for family in FAMILIES
}
"""Known, known behind a router, on a narrow way, a server itself, silent, without a route, on the side, behind the
line, of an address whose bytes a tunnel's source has too (MISREAD), unknown."""
MARTIANS: Final[dict[int, list[Address]]] = {
    4: [ip_address(each) for each in ("127.0.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.5", "240.0.0.1", "255.255.255.255")],
    6: [
        ip_address(each)
        for each in ("::1", "::", "ff02::1", "::ffff:192.0.2.1", "::2", "fe80::1", "::1:0:0:1", "0:0:1::1")
    ],
}
"And some that are none, but nearly."
_PORTS: Final = (*(40000,) * 8, 40001, 40001, 40002, 40003, 80, 0, 65535)
_FLAGS: Final = (
    *(SYN, SYN, SYN, SYN, ACK, ACK, PSH | ACK, FIN | ACK, RST, RST | ACK, SYN | ACK),
    *(SYN | FIN, 0, FIN, SYN | RST, FIN | RST, URG, SYN | PSH, SYN | 0x80 | 0x40),
)
_ANSWERS: Final = (SYN | ACK, ACK, PSH | ACK, FIN | ACK, RST, RST | ACK, SYN, FIN, 0)
_CONTINUED: Final = (ACK, FIN | ACK, SYN, RST, PSH | ACK, FIN | ACK, SYN, RST | ACK, RST, SYN | ACK, 0)
_PLAIN: Final = Choices(b"")
_BYTES: Final = bytes(range(256)) * 36
_PAYLOADS: Final = (0, 0, 3, 22, 100, 1200)
_LENGTHS: Final = (1500, 1480, 1460, 1400, 1380, 1360, 3000, 9000)
"Of whole packets: what just fits on the ways that there are, with and without an outer header."
_MSS: Final = (
    b"",
    b"\2\4\5\xb4",
    b"\1\2\4\5\xb4\0\0\0",
    b"\1\1\4\2\2\4\5\x78",
    b"\2\4\0\x40",
    b"\2\3\5\xb4",
    b"\3\1\0\0",
    b"\2\4\5\xa0",
    b"\2\4\5\x8c",
    b"\1\1\1\1\1\2\4\xff",
)
"The MSS at even and odd places, large and small, of just the size that a tunnel leaves, and broken off."


def transport(
    choices: Choices, protocol: int, ports: tuple[int, int], flags: int, ends: tuple[Address, Address]
) -> bytes:
    options = choices.of(_MSS) if protocol == ip.TCP and flags & SYN else b""
    headers = (20 if ends[0].version == 4 else 40) + (20 + len(options) if protocol == ip.TCP else 8)
    size = choices.of(_PAYLOADS)
    if choices.one_in(3):
        size = choices.of(_LENGTHS) - headers + choices.of((0, 1))
    payload = _BYTES[:size]
    source, destination = ports
    if protocol == ip.TCP:
        numbers = choices.byte() << 24, choices.byte() << 16
        return Tcp(source, destination, flags, payload, *numbers, options=options).encode(*ends)
    return Udp(source, destination, payload, 0 if choices.one_in(5) else None).encode(*ends)


def from_client(choices: Choices, endpoints: Sequence[Endpoint]) -> bytes:
    """To a service, or to where none is."""
    endpoint = choices.of(endpoints) if endpoints else None
    protocol = choices.of((ip.TCP, ip.UDP))
    if endpoint is not None and not choices.one_in(12):
        vip, port = endpoint.vip, endpoint.first_port
        protocol = ip.TCP if endpoint.transport is Transport.TCP else ip.UDP
        if not endpoint.single_port:
            port += (choices.word() if endpoint.all_ports else choices.byte()) % (endpoint.last_port - port + 1)
    else:
        vip, port = choices.of(VIPS[choices.of(FAMILIES)]), choices.of((9, 80, 81, 8000, 0))
    clients = CLIENTS[vip.version] if not choices.one_in(16) else [*MARTIANS[vip.version], vip]
    client = choices.of(clients)
    raw = transport(choices, protocol, (choices.of(_PORTS), port), choices.of(_FLAGS), (client, vip))
    return network(choices, client, vip, protocol, raw)


def newcomer(choices: Choices, endpoints: Sequence[Endpoint]) -> bytes:
    """A short SYN or datagram that begins a connection, with nothing rare about it."""
    vip, transport_, port = VIPS[4][0], Transport.TCP, 80
    if endpoints:
        endpoint = choices.of(endpoints)
        vip, transport_, port = endpoint.vip, endpoint.transport, endpoint.first_port
    client = CLIENTS[vip.version][0]
    ends = client, vip
    if transport_ is Transport.TCP:
        return ip.build(*ends, ip.TCP, Tcp(0, port, SYN).encode(*ends)).encode()
    return ip.build(*ends, ip.UDP, Udp(0, port, b"", 0).encode(*ends)).encode()


def from_port(packet: bytes, port: int) -> bytes:
    """A newcomer's packet from another port; TCP's checksum, which nobody looks at, becomes wrong."""
    at = 20 if packet[0] >> 4 == 4 else 40
    return packet[:at] + port.to_bytes(2, "big") + packet[at + 2 :]


def elsewhere(choices: Choices, packet: bytes, endpoints: Sequence[Endpoint]) -> bytes:
    """The same client and port to another service."""
    try:
        came = ip.decode(packet)
    except WireError:
        return packet
    there = [each for each in endpoints if each.vip.version == came.source.version]
    if not there:
        return packet
    endpoint = choices.of(there)
    protocol = ip.TCP if endpoint.transport is Transport.TCP else ip.UDP
    ports = int.from_bytes(came.payload[:2], "big"), endpoint.first_port + choices.below(2) * (not endpoint.single_port)
    flags = choices.of(_FLAGS)
    raw = transport(choices, protocol, ports, flags, (came.source, endpoint.vip))
    return network(choices, came.source, endpoint.vip, protocol, raw)


def answer(choices: Choices, packet: bytes) -> bytes:
    """What the other end may send back on a packet that reached it."""
    return _same_flow(choices, packet, _ANSWERS, turned=True)


def continued(choices: Choices, packet: bytes) -> bytes:
    """What the same end may send next."""
    return _same_flow(choices, packet, _CONTINUED, turned=False)


def _same_flow(choices: Choices, packet: bytes, flags: Sequence[int], turned: bool) -> bytes:
    try:
        came = ip.decode(packet)
    except WireError:
        return packet
    ports = int.from_bytes(came.payload[:2], "big"), int.from_bytes(came.payload[2:4], "big")
    ends = came.source, came.destination
    if turned:
        ports, ends = ports[::-1], ends[::-1]
    raw = transport(choices, came.protocol, ports, choices.of(flags), ends)
    return network(choices, *ends, came.protocol, raw)


def segment(packet: bytes, flags: int, turned: bool) -> bytes:
    """The same flow with these flags and nothing rare, from the same end or from the other (`turned`)."""
    return _same_flow(_PLAIN, packet, (flags,), turned)


def is_of(packet: bytes, flow: bytes) -> bool:
    """Whether both come from one address and port, wherever they go."""
    try:
        one, other = ip.decode(packet), ip.decode(flow)
    except WireError:
        return False
    return (one.source, one.payload[:2]) == (other.source, other.payload[:2])


def part(choices: Choices, packet: bytes, first: bool) -> bytes:
    """The first or a later fragment of a packet, which is made longer than it was."""
    try:
        came = ip.decode(packet)
    except WireError:
        return packet
    number = choices.of((1, 1, 1, 2))
    size, offset = choices.of((64, 1488, 1400, 1480, 24)), 0 if first else choices.of((1480, 8, 24))
    payload = came.payload[:size] if first else bytes(size)
    ttl = choices.of((64, 64, 64, 1))
    if isinstance(came, IPv6):
        headers = (fragment_header(number, offset, first or choices.one_in(2)),)
        return IPv6(came.source, came.destination, came.protocol, payload, ttl, extensions=headers).encode()
    flags = choices.of((0, ip.DONT_FRAGMENT)) | (ip.MORE_FRAGMENTS if first else 0)
    ends = came.source, came.destination
    return IPv4(*ends, came.protocol, payload, ttl, identification=number, flags=flags, offset=offset).encode()


def from_server(choices: Choices) -> bytes:
    """A reply that nobody asked for, perhaps of a connection that is forgotten."""
    family = choices.of(FAMILIES)
    server, client = choices.of(SERVERS[family]), choices.of(CLIENTS[family])
    protocol = choices.of((ip.TCP, ip.UDP))
    port = choices.of((80, 8080, 81, 8000))
    raw = transport(choices, protocol, (port, choices.of(_PORTS)), choices.of(_ANSWERS), (server, client))
    return network(choices, server, client, protocol, raw)


def about(choices: Choices, packet: bytes, reverse: bool) -> bytes:
    """An ICMP error, or a message that is none, that brings back a packet; `reverse`: the answer to it."""
    if reverse:
        packet = answer(choices, packet)
    try:
        quoted = ip.decode(packet, whole=False)
    except WireError:
        return packet
    version = quoted.source.version
    kinds = {4: (3, 3, 11, 12, 3, 11, 5, 8), 6: (1, 2, 3, 4, 1, 2, 0, 128)}[version]
    header = len(packet) - len(quoted.payload)
    size = choices.of((header + 8, len(packet), header + 20, 1400, 548, header + 8, header + 7, 12))
    message = Icmp(choices.of(kinds), choices.below(6), choices.of((1400, 0, 1280, 68)), packet[:size])
    sender = choices.of((ip_address(wires.STRANGER[version]), quoted.destination, *CLIENTS[version]))
    target = quoted.source if not choices.one_in(10) else choices.of(CLIENTS[version])
    protocol = ip.ICMP if version == 4 else ip.ICMPV6
    return network(choices, sender, target, protocol, message.encode(sender, target))


def turned(packet: bytes) -> bytes:
    """A plain answer."""
    return segment(packet, ACK, turned=True)


def complaint(choices: Choices, packet: bytes) -> bytes:
    """An ICMP error that is none but right, from the one that the packet went to."""
    quoted = ip.decode(packet)
    version = quoted.source.version
    header = len(packet) - len(quoted.payload)
    kind, code = choices.of({4: ((3, 1), (11, 0), (3, 4), (12, 0)), 6: ((1, 0), (3, 0), (2, 0), (4, 0))}[version])
    size = choices.of((len(packet), header + 8))
    message = Icmp(kind, code, choices.of((0, 1400, 1280)), packet[:size])
    ends = quoted.destination, quoted.source
    ttl = choices.of((64, 64, 64, 1))
    protocol = ip.ICMP if version == 4 else ip.ICMPV6
    return ip.build(*ends, protocol, message.encode(*ends), ttl).encode()


def network(choices: Choices, source: Address, destination: Address, protocol: int, payload: bytes) -> bytes:
    """With the header's rarer fields one time in four."""
    packet = ip.build(source, destination, protocol, payload)
    if not choices.one_in(3):
        return packet.encode()
    ttl = choices.of((64, 1, 2, 0, 255))
    if isinstance(packet, IPv4):
        return _rare_v4(choices, packet, ttl).encode()
    return _rare_v6(choices, packet, ttl).encode()


def _rare_v4(choices: Choices, packet: IPv4, ttl: int) -> IPv4:
    flags = choices.of((0, ip.DONT_FRAGMENT, ip.DONT_FRAGMENT, 0b100))
    options = choices.of((b"", b"\1" * 4, b"\x94\4\0\0", b"\1" * 40, b"\x83\7\4" + bytes(5), b"\x1e\2\1\1"))
    number, offset = choices.below(3), 0
    payload = packet.payload
    match choices.below(5):
        case 1:
            flags |= ip.MORE_FRAGMENTS
            payload = payload[: choices.of((8, 16, 64, 24)) if len(payload) > 8 else 8]
        case 2:
            offset = choices.of((8, 16, 64, 1480, 65528))
            flags |= choices.of((0, ip.MORE_FRAGMENTS))
        case _:
            pass
    return IPv4(
        packet.source,
        packet.destination,
        packet.protocol,
        payload,
        ttl,
        choices.of((0, 0xB8, 1, 3)),
        number,
        flags,
        offset,
        options,
    )


def _rare_v6(choices: Choices, packet: IPv6, ttl: int) -> IPv6:
    headers = [_extension(choices) for _ in range(choices.of((0, 1, 2, 1, 7, 8, 9)))]
    payload = packet.payload
    match choices.below(4):
        case 1:
            headers.append(fragment_header(choices.below(3), 0, True))
            payload = payload[: choices.of((8, 16, 64, 24))]
        case 2:
            headers.append(fragment_header(choices.below(3), choices.of((8, 16, 1448)), choices.one_in(2)))
        case _:
            pass
    label = choices.of((0, 0xFFFFF))
    return IPv6(
        packet.source,
        packet.destination,
        packet.protocol,
        payload,
        ttl,
        choices.of((0, 0xB8, 3)),
        label,
        tuple(headers),
    )


def _extension(choices: Choices) -> Extension:
    match choices.below(6):
        case 0:
            return options_header(ip.DESTINATION_OPTIONS)
        case 1:
            return options_header(ip.HOP_BY_HOP, b"\5\2\0\0")
        case 2:
            return options_header(ip.DESTINATION_OPTIONS, b"\x1e" + bytes((choices.byte(),)) + bytes(255))
        case 3:
            return Extension(ip.ROUTING, bytes((0, 4, choices.below(2))) + bytes(4))
        case 4:
            return fragment_header(7, 0, False)
        case _:
            return Extension(ip.ROUTING, bytes((2, 4, 0)) + bytes(20))


def stray(choices: Choices) -> bytes:
    """Other protocols, pings, strangers talking to each other."""
    family = choices.of(FAMILIES)
    source, destination = choices.of(CLIENTS[family]), choices.of(VIPS[family])
    if choices.one_in(3):
        destination = choices.of(CLIENTS[family])
    protocol = choices.of((132, 47, 50, 59, 1, 58, 41, 6, 17, 0, 43, 44, 60))
    if protocol in (ip.ICMP, ip.ICMPV6):
        echo = Icmp(choices.of((8, 128, 0, 129)), 0, 7, b"ping")
        return network(choices, source, destination, protocol, echo.encode(source, destination))
    return network(choices, source, destination, protocol, bytes(range(choices.byte() % 80)))
