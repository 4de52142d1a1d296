"""Configurations: services of both families, every method and scheduler, over the network of tests.support.wires."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Final

from tests.support import wires
from tests.support.oracle.choices import Choices
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

FAMILIES: Final = (4, 6)
VIPS: Final[dict[int, list[Address]]] = {
    family: [ip_address(wires.VIP[family]), ip_address(second)]
    for family, second in ((4, "203.0.113.20"), (6, "2001:db8:f::20"))
}
LOCAL: Final[dict[int, Address]] = {4: ip_address("10.0.0.1"), 6: ip_address("2001:db8:1::1")}
SERVERS: Final[dict[int, list[Address]]] = {
    family: [
        *(ip_address(wires.server(family, n)) for n in (1, 1, 1, 2, 2, 2, 3, 3, 1, 2, 4, 5)),
        *(
            ip_address(each[family])
            for each in (
                wires.FAR_SERVER,
                wires.NARROW_SERVER,
                wires.NARROW_LINK,
                wires.SILENT_SERVER,
                wires.LOST_SERVER,
                wires.SIDE_SERVER,
                wires.BESIDE_SERVER,
                wires.LINE_SERVER,
                wires.LINE_SERVER,
            )
        ),
        *(LOCAL[family],) * 4,
    ]
    for family in FAMILIES
}
"Near ones first, and more of them."
PORT: Final = 80
RANGE: Final = (8000, 8009)
_POLICIES: Final = (OnServerRemoved.RESET, *OnServerRemoved)
_WEIGHTS: Final = (1, 1, 2, 3, 0, 1, 7, 100, 1, 2)
_SOURCES: Final = {
    4: ("172.20.0.0/16", "172.20.0.1/32", "192.0.2.0/29"),
    6: ("100:9::/64", "100:9::1/128", "fd00::/96"),
}
SLOTS: Final = 31
"Of a Maglev table here: enough to tell its servers apart."


def services(choices: Choices) -> tuple[VirtualService, ...]:
    """One to four, each with a port of its own or one that another shares on the other transport."""
    made: list[VirtualService] = []
    for number in range(1 + choices.below(4)):
        endpoint = _endpoint(choices)
        name = f"s{number}"
        fresh = _sibling(made[-1], name) if made and choices.one_in(3) else _service(choices, name, endpoint)
        if not any(_overlap(fresh.listen[0], other.listen[0]) for other in made):
            made.append(fresh)
    return tuple(made)


def _endpoint(choices: Choices) -> Endpoint:
    vip, transport = choices.of(VIPS[choices.of(FAMILIES)]), choices.of(tuple(Transport))
    first, last = choices.of(((PORT, PORT), (PORT, PORT), (PORT + 1, PORT + 1), RANGE, (0, 65535)))
    return Endpoint(vip, first, last, transport)


def _sibling(service: VirtualService, name: str) -> VirtualService:
    """The same on the other VIP: its servers serve two."""
    endpoint = service.listen[0]
    [other] = [vip for vip in VIPS[endpoint.vip.version] if vip != endpoint.vip]
    return replace(service, name=name, listen=(replace(endpoint, vip=other),))


def _overlap(one: Endpoint, other: Endpoint) -> bool:
    """All ports may stand beside others; else each belongs to one service."""
    if (one.vip, one.transport) != (other.vip, other.transport) or one.all_ports != other.all_ports:
        return False
    return one.first_port <= other.last_port and other.first_port <= one.last_port


def _service(choices: Choices, name: str, endpoint: Endpoint) -> VirtualService:
    method = choices.of(tuple(Method))
    count = choices.of((1, 2, 3, 2, 1, 2, 4, 3, 1, 0))
    found: dict[Address, RealServer] = {}
    for _ in range(count):
        server = _server(choices, endpoint, method)
        found.setdefault(server.address, server)
    return VirtualService(
        name,
        (endpoint,),
        tuple(found.values()),
        choices.of(tuple(Scheduler)),
        choices.of(_POLICIES),
        SLOTS,
        clamp_mss=not choices.one_in(4),
        hash_port=choices.one_in(3),
    )


def _server(choices: Choices, endpoint: Endpoint, method: Method) -> RealServer:
    """A port of its own under NAT only, and another family in a tunnel only (docs/configuration.md)."""
    if choices.one_in(6):
        method = choices.of(tuple(Method))
    family = int(endpoint.vip.version)
    if method is Method.TUN and choices.one_in(2):
        family = 10 - family
    address = choices.of(SERVERS[family])
    port = 8080 if method is Method.NAT and endpoint.single_port and choices.one_in(3) else None
    source = ip_network(choices.of(_SOURCES[family])) if method is Method.TUN and choices.one_in(2) else None
    weight = choices.of(_WEIGHTS)
    if address == LOCAL[family] and port is not None:
        port = None
    return RealServer(address, port, weight, method, source)


def changed(choices: Choices, held: tuple[VirtualService, ...]) -> tuple[VirtualService, ...]:
    """One thing about one service: a server less, more or otherwise; the service itself gone or new."""
    if not held:
        return services(choices)
    at = choices.below(len(held))
    service, others = held[at], [*held[:at], *held[at + 1 :]]
    endpoint = service.listen[0]
    match choices.below(13):
        case 0 | 7 | 10:
            service = replace(service, servers=service.servers[1:])
        case 8 | 9 | 11 | 12:
            service = replace(service, servers=())
        case 1:
            more = _server(choices, endpoint, service.servers[0].method if service.servers else Method.NAT)
            rest = tuple(each for each in service.servers if each.address != more.address)
            service = replace(service, servers=(*rest, more))
        case 2:
            weight = choices.of(_WEIGHTS)
            service = replace(service, servers=tuple(replace(each, weight=weight) for each in service.servers))
        case 3:
            service = replace(service, scheduler=choices.of(tuple(Scheduler)))
        case 4:
            service = replace(service, on_server_removed=choices.of(_POLICIES))
        case 5:
            return tuple(others)
        case _:
            fresh = services(choices)[0]
            kept = [each for each in held if not _overlap(each.listen[0], fresh.listen[0])]
            return (*kept, replace(fresh, name=f"n{len(kept)}"))
    return tuple(sorted([*others, service], key=lambda each: each.name))


def relieved(choices: Choices, service: VirtualService) -> VirtualService:
    """The same with one server, another if chance will have it."""
    endpoint, old = service.listen[0], service.servers[0]
    fresh = _server(choices, endpoint, old.method)
    if choices.one_in(4):
        fresh = RealServer(LOCAL[endpoint.vip.version], None, fresh.weight, Method.NAT, None)
    return replace(service, servers=(fresh,))


def narrowed(choices: Choices, service: VirtualService) -> VirtualService:
    """The same with one server, on a way with a small MTU."""
    where = choices.of((wires.NARROW_LINK, wires.NARROW_SERVER))
    method = choices.of(tuple(Method)) if where is wires.NARROW_LINK else choices.of((Method.NAT, Method.TUN))
    only = RealServer(ip_address(where[service.listen[0].vip.version]), method=method)
    return replace(service, servers=(only,))


def shared(choices: Choices, held: tuple[VirtualService, ...]) -> tuple[VirtualService, ...]:
    """And, last, two services under NAT with the same servers, whose replies only a connection tells apart."""
    vip = VIPS[choices.of(FAMILIES)][0]
    endpoint = Endpoint(vip, PORT, PORT, choices.of((Transport.UDP, Transport.TCP)))
    servers = tuple(RealServer(each) for each in SERVERS[vip.version][: choices.of((1, 1, 4, 10))])
    one = VirtualService(
        "x0", (endpoint,), tuple(dict.fromkeys(servers)), choices.of(tuple(Scheduler)), maglev_slots=SLOTS
    )
    two = _sibling(one, "x1")
    kept = [each for each in held if not any(_overlap(each.listen[0], new.listen[0]) for new in (one, two))]
    return (*kept, one, two)
