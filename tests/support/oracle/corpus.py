"""A fixed corpus: one director, what it already knows, and at least two hundred frames of every kind that comes in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Final

from tests.support import wires
from tests.support.oracle.network import PORTS, has_ethernet
from tests.support.oracle.script import Configure, Send, Step
from tests.support.oracle.worlds import FAMILIES, LOCAL, VIPS
from vipd.model.director import (
    Address,
    Endpoint,
    Method,
    OnServerRemoved,
    RealServer,
    Scheduler,
    Transport,
    VirtualService,
)
from vipd.wire import ip
from vipd.wire.ethernet import mac_bytes
from vipd.wire.icmp import Icmp
from vipd.wire.ip import Extension, IPv4, IPv6, fragment_header, options_header
from vipd.wire.transport import ACK, FIN, PSH, RST, SYN, Tcp, Udp

_SERVER: Final = {family: ip_address(wires.server(family, 1)) for family in FAMILIES}
_CLIENT: Final = {family: ip_address(wires.CLIENT[family]) for family in FAMILIES}
_STRANGER: Final = {family: ip_address(wires.STRANGER[family]) for family in FAMILIES}
_LINE: Final = {family: ip_address(wires.LINE_CLIENT[family]) for family in FAMILIES}
_SOURCE: Final = {4: "172.20.0.0/16", 6: "100:9::/64"}
_MAC: Final = mac_bytes(wires.CLIENT_MAC)
_KNOWN, _NEW = 40_000, 40_001
"A client's ports: of connections that there are, and of those that there are not."
NAT, DR, TUN, CROSS, AT_HOME, GONE, NARROW, FAR, SIDE, LINE, AWAY, NOBODY = range(80, 92)
"The ports of the services, each of one way to be served."
_DATA: Final = b"0123456789abc"
"Of an odd length."


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    port: str
    frame: bytes


def services(gone: bool) -> tuple[VirtualService, ...]:
    """`gone`: the server of the service GONE is removed."""
    return tuple(
        _service(family, port, transport, gone)
        for family in FAMILIES
        for port in range(NAT, NOBODY + 1)
        for transport in Transport
    )


def _service(family: int, port: int, transport: Transport, gone: bool) -> VirtualService:
    method, address = {
        NAT: (Method.NAT, _SERVER[family]),
        DR: (Method.DR, _SERVER[family]),
        TUN: (Method.TUN, _SERVER[family]),
        CROSS: (Method.TUN, _SERVER[10 - family]),
        AT_HOME: (Method.DR, LOCAL[family]),
        GONE: (Method.DR, _SERVER[family]),
        NARROW: (Method.TUN, ip_address(wires.NARROW_SERVER[family])),
        FAR: (Method.NAT, ip_address(wires.FAR_SERVER[family])),
        SIDE: (Method.NAT, ip_address(wires.SIDE_SERVER[family])),
        LINE: (Method.NAT, ip_address(wires.LINE_SERVER[family])),
        AWAY: (Method.TUN, ip_address(wires.LINE_SERVER[family])),
        NOBODY: (Method.DR, _SERVER[family]),
    }[port]
    source = ip_network(_SOURCE[address.version]) if method is Method.TUN else None
    server = RealServer(address, None, 1, method, source)
    return VirtualService(
        f"{transport}{port}-{family}",
        (Endpoint(VIPS[family][0], port, port, transport),),
        () if port == NOBODY or (gone and port == GONE) else (server,),
        Scheduler.WLC,
        OnServerRemoved.RESET,
        31,
    )


def before() -> list[Step]:
    """Connections to every service, of both transports, from a client on each side; answers; a first fragment."""
    steps: list[Step] = [Configure(services(False))]
    for family in FAMILIES:
        vip = VIPS[family][0]
        for port in range(NAT, NOBODY):
            for protocol in (ip.TCP, ip.UDP):
                for source, name in ((_CLIENT[family], "out"), (_LINE[family], "line")):
                    ends = source, vip
                    raw = segment(ends, protocol, _KNOWN, port, SYN)
                    steps.append(Send(name, framed(name, ip.build(*ends, protocol, raw).encode())))
                    if port in (NAT, FAR) and name == "out":
                        steps.append(Send("in", framed("in", _answer(family, protocol, port, SYN | ACK).encode())))
    steps += [Send("out", framed("out", packet)) for name, packet in _fragments() if "first" in name]
    return [*steps, Configure(services(True))]


def segment(
    ends: tuple[Address, Address], protocol: int, source: int, port: int, flags: int, data: bytes = b""
) -> bytes:
    if protocol == ip.TCP:
        return Tcp(source, port, flags, data, 0x01020304, 0x05060708).encode(*ends)
    return Udp(source, port, data).encode(*ends)


def framed(port: str, packet: bytes) -> bytes:
    if not has_ethernet(port):
        return packet
    return PORTS[port].mac + _MAC + (b"\x08\0" if packet[0] >> 4 == 4 else b"\x86\xdd") + packet


def corpus() -> list[Case]:
    """All of it; each name once, each frame once for each port."""
    made = [Case(f"{name} {port}", port, framed(port, packet)) for name, port, packet in _packets()]
    return [*made, *_other_frames()]


def _packets() -> Iterator[tuple[str, str, bytes]]:
    for port in ("out", "line"):
        for name, packet in (*_to_services(), *_flags(), *_headers(), *_fragments(), *_messages(), *_strays()):
            yield name, port, packet
    for name, packet in (*_large(), *_with_options()):
        yield name, "out", packet
    for port in ("in", "line"):
        for name, packet in _from_servers():
            yield name, port, packet


def _to_services() -> Iterator[tuple[str, bytes]]:
    for family in FAMILIES:
        ends = _CLIENT[family], VIPS[family][0]
        for protocol in (ip.TCP, ip.UDP):
            for port in range(NAT, NOBODY + 2):
                what = f"{_NAMES[protocol]}{family} {port}"
                raw = segment(ends, protocol, _NEW, port, SYN)
                yield f"{what} new", ip.build(*ends, protocol, raw).encode()
                if port < NOBODY:
                    raw = segment(ends, protocol, _KNOWN, port, PSH | ACK, _DATA)
                    yield f"{what} known", ip.build(*ends, protocol, raw).encode()


_NAMES: Final = {ip.TCP: "tcp", ip.UDP: "udp"}


def _flags() -> Iterator[tuple[str, bytes]]:
    for family in FAMILIES:
        ends = _CLIENT[family], VIPS[family][0]
        for name, flags in (("fin", FIN | ACK), ("rst", RST), ("syn", SYN), ("none", 0), ("syn-fin", SYN | FIN)):
            raw = segment(ends, ip.TCP, _KNOWN, NAT, flags)
            yield f"tcp{family} {name}", ip.build(*ends, ip.TCP, raw).encode()
        unsummed = Udp(_KNOWN, NAT, _DATA, 0).encode(*ends)
        yield f"udp{family} without a checksum", ip.build(*ends, ip.UDP, unsummed).encode()


def _with_options() -> Iterator[tuple[str, bytes]]:
    """Of TCP: an MSS on an even and an odd place, one that is cut, and none."""
    for family in FAMILIES:
        ends = _CLIENT[family], VIPS[family][0]
        for name, options in (
            ("mss", b"\2\4\5\xb4"),
            ("odd mss", b"\1\2\4\5\xb4\0\0\0"),
            ("sack mss", b"\4\2\x08\x0a" + bytes(8) + b"\2\4\5\xb4"),
            ("broken mss", b"\2\3\5\xb4"),
            ("empty option", b"\3\0\0\0"),
        ):
            raw = Tcp(_NEW, TUN, SYN, options=options).encode(*ends)
            yield f"tcp{family} {name}", ip.build(*ends, ip.TCP, raw).encode()


def _headers() -> Iterator[tuple[str, bytes]]:
    """IPv4's options, IPv6's extension headers, and a TTL that ends here."""
    ends = _CLIENT[4], VIPS[4][0]
    raw = segment(ends, ip.UDP, _KNOWN, NAT, 0, _DATA)
    for name, options in (
        ("router alert", b"\x94\4\0\0"),
        ("loose route", b"\x83\7\4" + bytes(5)),
        ("no operations", b"\1" * 40),
        ("timestamps", b"\x44\x08\5\0" + bytes(4)),
    ):
        packet = ip.build(*ends, ip.UDP, raw)
        assert isinstance(packet, IPv4)
        yield f"ip4 {name}", replace(packet, options=options).encode()
    ends6 = _CLIENT[6], VIPS[6][0]
    raw6 = segment(ends6, ip.UDP, _KNOWN, NAT, 0, _DATA)
    for name, headers in (
        ("destination options", (options_header(ip.DESTINATION_OPTIONS),)),
        ("hop by hop", (options_header(ip.HOP_BY_HOP, b"\5\2\0\0"),)),
        ("route", (Extension(ip.ROUTING, bytes((2, 4, 1)) + bytes(20)),)),
        ("finished route", (Extension(ip.ROUTING, bytes((2, 4, 0)) + bytes(20)),)),
        ("atomic fragment", (fragment_header(7, 0, False),)),
        ("three headers", (*(options_header(ip.DESTINATION_OPTIONS),) * 3,)),
        ("nine headers", (*(options_header(ip.DESTINATION_OPTIONS),) * 9,)),
    ):
        packet = ip.build(*ends6, ip.UDP, raw6)
        assert isinstance(packet, IPv6)
        yield f"ip6 {name}", replace(packet, extensions=headers).encode()
    for family in FAMILIES:
        both = _CLIENT[family], VIPS[family][0]
        for port in (NAT, DR, TUN):
            raw = segment(both, ip.UDP, _KNOWN, port, 0, _DATA)
            yield f"ttl{family} {port}", ip.build(*both, ip.UDP, raw, 1).encode()


def _fragments() -> Iterator[tuple[str, bytes]]:
    for family in FAMILIES:
        ends = _CLIENT[family], VIPS[family][0]
        for number, protocol in ((1, ip.TCP), (2, ip.UDP)):
            whole = segment(ends, protocol, _KNOWN, NAT, ACK, bytes(64))
            for name, identification, offset, payload in (
                ("first", number, 0, whole[:40]),
                ("later", number, 40, whole[40:]),
                ("early", number + 7, 40, whole[40:]),
                ("overlapping", number, 8, whole[8:32]),
            ):
                yield (
                    f"{_NAMES[protocol]}{family} {name} fragment",
                    _fragment(ends, protocol, identification, offset, payload),
                )


def _fragment(ends: tuple[Address, Address], protocol: int, identification: int, offset: int, payload: bytes) -> bytes:
    more = offset < 40
    packet = ip.build(*ends, protocol, payload)
    if isinstance(packet, IPv6):
        return replace(packet, extensions=(fragment_header(identification, offset, more),)).encode()
    flags = ip.MORE_FRAGMENTS if more else 0
    return replace(packet, identification=identification, flags=flags, offset=offset).encode()


def _messages() -> Iterator[tuple[str, bytes]]:
    """ICMP to servers, about their answers; echoes."""
    for family in FAMILIES:
        vip, client = VIPS[family][0], _CLIENT[family]
        protocol = ip.ICMP if family == 4 else ip.ICMPV6
        for kind, code in {4: ((3, 4), (3, 1), (11, 0), (12, 0)), 6: ((2, 0), (1, 0), (3, 0), (4, 0))}[family]:
            for port in (NAT, DR, TUN, CROSS, AWAY) if kind in (3, 2) and code in (4, 0) else (NAT,):
                for quoted in (ip.TCP, ip.UDP):
                    raw = segment((vip, client), quoted, port, _KNOWN, ACK, _DATA)
                    message = Icmp(kind, code, 1300, ip.build(vip, client, quoted, raw).encode())
                    sender = _STRANGER[family]
                    packet = ip.build(sender, vip, protocol, message.encode(sender, vip))
                    yield f"icmp{family} {kind}.{code} {_NAMES[quoted]} {port} to server", packet.encode()
        echo = Icmp({4: 8, 6: 128}[family], 0, 7, b"ping").encode(client, vip)
        yield f"ping{family}", ip.build(client, vip, protocol, echo).encode()


def _strays() -> Iterator[tuple[str, bytes]]:
    """For the VIP, but not for a service: tunnels, other protocols; and between strangers."""
    for family in FAMILIES:
        ends = _CLIENT[family], VIPS[family][0]
        raw = segment(ends, ip.UDP, _NEW, NAT, 0, _DATA)
        inner = ip.build(*ends, ip.UDP, raw).encode()
        outer = _STRANGER[4], VIPS[4][0]
        yield f"ip{family} in ip4", ip.build(*outer, 4 if family == 4 else 41, inner).encode()
        outer6 = _STRANGER[6], VIPS[6][0]
        yield f"ip{family} in ip6", ip.build(*outer6, 4 if family == 4 else 41, inner).encode()
        yield f"sctp{family}", ip.build(*ends, 132, bytes(24)).encode()
        other = _CLIENT[family], _STRANGER[family]
        yield f"strangers{family}", ip.build(*other, ip.UDP, segment(other, ip.UDP, 9, 9, 0)).encode()
        martian = {4: ip_address("127.0.0.1"), 6: ip_address("::1")}[family], VIPS[family][0]
        raw = segment(martian, ip.UDP, 9, NAT, 0)
        yield f"martian{family}", ip.build(*martian, ip.UDP, raw).encode()


def _large() -> Iterator[tuple[str, bytes]]:
    """Of a size that no way takes as it is."""
    for family in FAMILIES:
        ends = _CLIENT[family], VIPS[family][0]
        raw = segment(ends, ip.UDP, _KNOWN, NARROW, 0, bytes(1380))
        yield f"large{family} tunnel", ip.build(*ends, ip.UDP, raw).encode()


def _answer(family: int, protocol: int, port: int, flags: int, data: bytes = b"", ttl: int = 64) -> IPv4 | IPv6:
    address = ip_address(wires.FAR_SERVER[family]) if port == FAR else _SERVER[family]
    ends = address, _CLIENT[family]
    return ip.build(*ends, protocol, segment(ends, protocol, port, _KNOWN, flags, data), ttl)


def _from_servers() -> Iterator[tuple[str, bytes]]:
    """Answers under NAT, and errors about what it had rewritten."""
    for family in FAMILIES:
        for protocol in (ip.TCP, ip.UDP):
            for port in (NAT, FAR):
                name = f"{_NAMES[protocol]}{family} reply {port}"
                yield name, _answer(family, protocol, port, PSH | ACK, _DATA).encode()
        for name, flags in (("fin", FIN | ACK), ("rst", RST), ("none", 0)):
            yield f"tcp{family} reply {name}", _answer(family, ip.TCP, NAT, flags).encode()
        yield f"ttl{family} reply", _answer(family, ip.UDP, NAT, 0, _DATA, 1).encode()
        ends = _SERVER[family], _CLIENT[family]
        raw = segment(ends, ip.UDP, NAT, _NEW, 0, _DATA)
        yield f"udp{family} reply of nothing", ip.build(*ends, ip.UDP, raw).encode()
        kinds: Sequence[tuple[int, int]] = {4: ((3, 3), (11, 0)), 6: ((1, 4), (3, 0))}[family]
        for kind, code in kinds:
            for protocol in (ip.TCP, ip.UDP):
                there = _CLIENT[family], _SERVER[family]
                quoted = ip.build(*there, protocol, segment(there, protocol, _KNOWN, NAT, ACK, _DATA)).encode()
                message = Icmp(kind, code, 0, quoted).encode(*ends)
                number = ip.ICMP if family == 4 else ip.ICMPV6
                yield (
                    f"icmp{family} {kind}.{code} {_NAMES[protocol]} to client",
                    ip.build(*ends, number, message).encode(),
                )


def _other_frames() -> Iterator[Case]:
    """What is not IP: tags, ARP, LLC, and a frame for another machine."""
    for family in FAMILIES:
        ends = _CLIENT[family], VIPS[family][0]
        packet = ip.build(*ends, ip.UDP, segment(ends, ip.UDP, _KNOWN, NAT, 0, _DATA)).encode()
        plain = framed("out", packet)
        yield Case(f"tagged{family}", "out", plain[:12] + b"\x81\0\0\5" + plain[12:])
        yield Case(f"stacked{family}", "out", plain[:12] + b"\x88\xa8\0\6\x81\0\0\5" + plain[12:])
        yield Case(f"other mac {family}", "out", b"\2\0\0\0\x0b\1" + plain[6:])
        yield Case(f"padded{family}", "out", plain + bytes(18))
    arp = bytes.fromhex("0001080006040001") + _MAC + bytes(16)
    yield Case("arp", "out", b"\xff" * 6 + _MAC + b"\x08\x06" + arp)
    yield Case("llc", "out", b"\x01\x80\xc2\0\0\0" + _MAC + b"\0\x26\x42\x42\3" + bytes(35))
    yield Case("junk", "line", bytes(range(40)))
