"""A frame put before the executable specification of the data plane, and what comes out compared with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network
from itertools import islice
from typing import Final

from rich.console import Console
from rich.text import Text

from vipd.cli.frame import documents
from vipd.cli.frame.changes import Changes, changes, changes_as_json, show_changes
from vipd.cli.frame.choices import Form, MethodName, Way
from vipd.cli.frame.look import FAULT, NOTE
from vipd.cli.frame.source import Bits, Capture, given, mistake
from vipd.cli.output import console
from vipd.errors import WireError
from vipd.explain.ends import end_of
from vipd.model.director import Address, Endpoint, Method, Scheduler, Transport
from vipd.model.outcome import OUTCOMES, Action
from vipd.spec import Configuration, Decision, Ingress, Interface, Server, Service, State, decide
from vipd.spec.routes import Route, StaticRoutes
from vipd.wire import ethernet, ip
from vipd.wire.bits import BitOrder
from vipd.wire.pcap import LinkType
from vipd.wire.transport import SYN, Tcp

_OUTSIDE, _INSIDE = 1, 2
_INSIDE_MAC: Final = bytes.fromhex("0200000000d2")
_SERVER_MAC: Final = bytes.fromhex("020000000011")
_NOW: Final = 1 << 40
"Nanoseconds of the data plane's clock; any would do."
_TUNNEL_SOURCES: Final[dict[int, tuple[Address, int]]] = {
    4: (IPv4Address("172.16.0.0"), 16),
    6: (IPv6Address("100::"), 32),
}
_VIPS: Final[dict[bool, tuple[Address, Address]]] = {
    False: (IPv4Address("198.51.100.7"), IPv4Address("203.0.113.10")),
    True: (IPv6Address("2001:db8:7::7"), IPv6Address("2001:db8:f::10")),
}
"A client and a VIP."
_SERVERS: Final[dict[int, Address]] = {4: IPv4Address("10.0.0.11"), 6: IPv6Address("2001:db8:1::11")}
_NAT_PORT: Final = 8080
_MSS: Final = bytes.fromhex("020405b4")
_ROUTED: Final = "The kernel routes it: one hop less to live, and a frame of the line's around it, without addresses."
_NOTES: Final = {
    "drop_no_ethernet": "A point-to-point line has no MAC addresses: behind it a server is reached by nat or tun.",
    "route_nat": _ROUTED,
    "route_tun": _ROUTED,
}


@dataclass(frozen=True, slots=True)
class Question:
    method: MethodName
    file: str | None
    digits: str | None
    form: Form | None
    ipv6: bool
    server: str | None
    over: Way
    everything: bool


def answer(question: Question, as_json: bool) -> bool:
    """Whether the packet goes on to the server."""
    frame, name = _frame(question)
    decision = _decided(question, frame, name)
    leaves = decision.action in (Action.FORWARD, Action.ROUTE, Action.REPLY)
    after = decision.frame if leaves else b""
    # The kernel takes Ethernet's header off before it sends over such a link.
    bare_packet = question.over is Way.POINT_TO_POINT and decision.action is Action.ROUTE
    found = changes(frame, after[ethernet.HEADER :] if bare_packet else after, bare_after=bare_packet)
    screen = console()
    if as_json:
        print(json.dumps(_as_json(question, decision, found), indent=2))
    else:
        _show(screen, question, decision, found)
    return decision.action in (Action.FORWARD, Action.ROUTE)


def _frame(question: Question) -> tuple[bytes, str]:
    """And where it is from."""
    if question.file is None and question.digits is None and question.form is None:
        return _example(question.ipv6), ""
    if question.ipv6:
        raise mistake("--ipv6", "it is for where no frame is given")
    with given(question.file, None, question.digits, question.form) as source:
        if isinstance(source, Capture):
            first = next(iter(islice(source.frames(), 1)), None)
            if first is None:
                raise mistake(source.name, "there is no frame in it")
            if first.link_type != LinkType.ETHERNET:
                raise mistake(source.name, f"its frames are of link type {first.link_type}, not Ethernet")
            return first.data, source.name
        octets = source.as_octets(BitOrder.LSB_FIRST) if isinstance(source, Bits) else source.pieces
        return octets[0], source.name


def _example(ipv6: bool) -> bytes:
    """A client's first segment to port 80 of a VIP."""
    client, vip = _VIPS[ipv6]
    segment = Tcp(40000, 80, SYN, sequence=1_000_000, window=64240, options=_MSS).encode(client, vip)
    packet: ip.Packet
    if isinstance(client, IPv6Address) and isinstance(vip, IPv6Address):
        packet = ip.IPv6(client, vip, ip.TCP, segment)
    else:
        assert isinstance(client, IPv4Address)
        assert isinstance(vip, IPv4Address)
        packet = ip.IPv4(client, vip, ip.TCP, segment, identification=7, flags=ip.DONT_FRAGMENT)
    to, by = bytes.fromhex("0200000000d1"), bytes.fromhex("020000000007")
    return ethernet.Frame(to, by, ethernet.IP_TYPES[6 if ipv6 else 4], packet.encode()).encode()


def _decided(question: Question, frame: bytes, name: str) -> Decision:
    vip, transport, port = _asked_for(frame, name)
    address, server_port = _server(question, vip)
    method = Method(question.method)
    if method is not Method.TUN and address.version != vip.version:
        raise mistake("--server", f"under {method} it has an address of the VIP's family, IPv{vip.version}")
    source, bits = _TUNNEL_SOURCES[address.version]
    server = Server(1, address, method, server_port, tunnel_source=source, tunnel_source_bits=bits)
    service = Service(Endpoint(vip, port, port, transport), Scheduler.RR, slots=(1,), fallback=(1,))
    interfaces = {_OUTSIDE: Interface(frame[:6])}
    if question.over is Way.ETHERNET:
        interfaces[_INSIDE] = Interface(_INSIDE_MAC)
    segment = Route(ip_network((address, address.max_prefixlen)), _INSIDE)
    # The kernel gives zeros for a MAC address where there is none.
    mac = _SERVER_MAC if question.over is Way.ETHERNET else bytes(6)
    routes = StaticRoutes([segment], {_OUTSIDE: frame[:6], _INSIDE: _INSIDE_MAC}, {address: mac})
    configuration = Configuration({1: service}, {1: server}, interfaces)
    return decide(configuration, State(), frame, Ingress(_OUTSIDE), _NOW, routes)


def _asked_for(frame: bytes, name: str) -> tuple[Address, Transport, int]:
    """VIP, transport and port of a frame that a client could have sent."""
    try:
        found = ethernet.Frame.decode(frame)
        if found.type not in ethernet.IP_TYPES.values():
            raise WireError(f"it carries no IP packet but type 0x{found.type:04x}")
        packet = ip.decode(found.payload, whole=False)
    except WireError as error:
        raise mistake(name, f"no Ethernet frame with a packet for a director: {error}") from None
    transports = {ip.TCP: Transport.TCP, ip.UDP: Transport.UDP}
    if packet.protocol not in transports or len(packet.payload) < 4:
        raise mistake(name, f"a director forwards TCP and UDP; this is protocol {packet.protocol}")
    return packet.destination, transports[packet.protocol], int.from_bytes(packet.payload[2:4], "big")


def _server(question: Question, vip: Address) -> tuple[Address, int | None]:
    nat = question.method is MethodName.NAT
    if question.server is None:
        return _SERVERS[vip.version], _NAT_PORT if nat else None
    address, port = end_of("--server", question.server)
    if port is not None and not nat:
        raise mistake("--server", f"only NAT can change the port, {question.method} cannot")
    if port == 0:
        raise mistake("--server", "a server listens on no port 0; 1 to 65535 are")
    return address, port


def _show(screen: Console, question: Question, decision: Decision, found: Changes) -> None:
    show_changes(screen, found, question.everything)
    outcome = decision.outcome
    style = "green" if decision.action in (Action.FORWARD, Action.ROUTE) else FAULT
    screen.print(Text.assemble((outcome, style), f"  {OUTCOMES[outcome]}"))
    for reason in decision.reasons:
        screen.print(Text.assemble(("because", NOTE), f"  {reason}"))
    if outcome in _NOTES and question.over is Way.POINT_TO_POINT:
        screen.print(_NOTES[outcome])


def _as_json(question: Question, decision: Decision, found: Changes) -> documents.Forwarded:
    return {
        "method": question.method,
        "over": question.over,
        "outcome": decision.outcome,
        "meaning": OUTCOMES[decision.outcome],
        "before": found.before.hex(),
        "after": found.after.hex() or None,
        "changes": changes_as_json(found),
        "reasons": [
            {"rule": str(reason.rule), "text": str(reason), "source": reason.rule.source} for reason in decision.reasons
        ],
    }
