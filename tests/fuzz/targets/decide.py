"""The specification for any frames, one after the other: it decides each, and remembers nothing impossible."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from tests.fuzz.supply import Supply
from tests.support.oracle import Alone
from tests.support.oracle.network import PORTS
from tests.support.oracle.worlds import LOCAL
from tests.support.packets import FAMILIES, PORT, ip, tcp, udp
from tests.support.specimens import IP_PACKETS
from tests.support.wires import VIP, server
from vipd.model.director import Endpoint, Method, RealServer, Scheduler, Transport, VirtualService
from vipd.model.outcome import EVENTS, OUTCOMES, Action

_METHODS: Final = (Method.NAT, Method.DR, Method.TUN)
_WAYS: Final = ("out", "in", "line")
_TYPES: Final = {4: 0x0800, 6: 0x86DD}
_FRAMES: Final = 12
_LONGEST_HEADER: Final = 14 + 4 + 4 + 40
"Ethernet, two tags, a tunnel's."

SEEDS: Final = [
    bytes((method, 0, len(raw), 4)) + raw + bytes((1, len(raw), 4)) + raw
    for method in range(len(_METHODS))
    for raw in (
        *(bytes(ip(family) / tcp(flags)) for family in FAMILIES for flags in ("S", "A", "R")),
        *(bytes(ip(family) / udp()) for family in FAMILIES),
        *(bytes(packet)[:255] for packet in IP_PACKETS.values()),
    )
]


def _director(method: Method) -> Alone:
    made = Alone(local=frozenset(LOCAL.values()))
    services = []
    for family in FAMILIES:
        endpoints = tuple(Endpoint(ip_address(VIP[family]), PORT, PORT, transport) for transport in Transport)
        servers = tuple(RealServer(ip_address(server(family, n)), method=method) for n in (1, 2))
        services.append(VirtualService(f"web{family}", endpoints, servers, Scheduler.WLC, maglev_slots=31))
    made.configure(services)
    return made


def check(data: bytes) -> None:
    supply = Supply(data)
    director = _director(supply.one_of(_METHODS))
    for _ in range(_FRAMES):
        if supply.empty:
            return
        way = supply.one_of(_WAYS)
        packet = supply.take(supply.number(255))
        frame = _framed(packet, way, supply.number(7))
        decision = director.send(way, frame)
        assert decision.outcome in OUTCOMES
        assert set(decision.events) <= set(EVENTS)
        assert decision.reasons
        if decision.action in (Action.DROP, Action.PASS):
            assert decision.frame == frame
        assert len(decision.frame) <= len(frame) + _LONGEST_HEADER + 576
        director.wait(1)


def _framed(packet: bytes, way: str, how: int) -> bytes:
    """As it stands; or with the header that its first octet asks for."""
    if way == "line" or how == 0:
        return packet
    kind = _TYPES.get(packet[0] >> 4, 0x0806) if packet else 0
    tag = bytes.fromhex("8100000a") if how == 1 else b""
    return PORTS[way].mac + bytes.fromhex("020000000c07") + tag + kind.to_bytes(2, "big") + packet
