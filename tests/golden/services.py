"""The services of the goldens, once, and how each of the two directors is told of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

from tests.golden.identifiers import GUE
from tests.support.packets import FAMILIES
from tests.support.wires import NARROW_LINK, VIP, server

METHODS: Final = ("nat", "dr", "tun", "cross")
"`cross`: a tunnel whose outer family is the other one."
NAT_PORT: Final = 8000
"What NAT adds to the service's port, so that each service has a port of its own at the servers."
OWN: Final = 6
"So many services of each method are for one case alone, so that its counts are seen."
SCHEDULERS: Final = {
    "rr": (1, 1, 1),
    "wrr": (1, 2, 3),
    "lc": (1, 1, 1),
    "wlc": (1, 2, 3),
    "sh": (1, 1, 1),
    "mh": (1, 1, 1),
}
"With the weights of three servers."
_IPVSADM: Final = {
    "nat": "-m",
    "dr": "-g",
    "tun": "-i",
    "gue": f"-i --tun-type gue --tun-port {GUE}",
    "gre": "-i --tun-type gre",
}


@dataclass(frozen=True, slots=True)
class Server:
    address: str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Service:
    """For TCP and for UDP."""

    name: str
    family: int
    port: int
    method: str
    "A key of _IPVSADM."
    servers: tuple[Server, ...]
    scheduler: str = "rr"
    shared: int = 0
    "The port at the servers, where another service has the same."

    @property
    def server_port(self) -> int:
        return (self.shared or self.port + NAT_PORT) if self.method == "nat" else self.port

    def after(self, verb: str) -> Service:
        """`remove`: without its first server; `drain`: that one has weight 0; `turn`: the others have 1 as well."""
        first, *others = self.servers
        match verb:
            case "remove":
                return replace(self, servers=tuple(others))
            case "drain":
                return replace(self, servers=(replace(first, weight=0), *others))
            case "turn":
                return replace(self, servers=(replace(first, weight=0), *(replace(each, weight=1) for each in others)))
        raise ValueError(f"no such verb: {verb}")


def _all(family: int) -> Iterator[Service]:
    ports = count(80)

    def made(name: str, method: str, *addresses: str, scheduler: str = "rr", weights: Iterable[int] = ()) -> Service:
        servers = [Server(address) for address in addresses]
        for n, weight in enumerate(weights):
            servers[n] = replace(servers[n], weight=weight)
        return Service(f"{name}{family}", family, next(ports), method, tuple(servers), scheduler)

    one, other = server(family, 1), server(10 - family, 1)
    plain = {"nat": ("nat", one), "dr": ("dr", one), "tun": ("tun", one), "cross": ("tun", other)}
    for name, (method, address) in plain.items():
        yield made(name, method, address)
        yield made(f"removed-{name}", method, address)
        yield made(f"drained-{name}", method, address)
        for number in range(OWN):
            yield made(f"own-{name}-{number}-", method, address)
        if name != "cross":
            yield made(f"narrow-{name}", method, NARROW_LINK[family])
            yield made(f"two-{name}", method, one, server(family, 2), weights=[1, 0])
    yield replace(made("first-nat", "nat", one), shared=NAT_PORT)
    yield replace(made("second-nat", "nat", one), shared=NAT_PORT)
    yield made("empty", "nat")
    yield made("quiesced", "nat", one, weights=[0])
    yield made("local", "dr", {4: "10.0.0.1", 6: "2001:db8:1::1"}[family])
    yield made("gue", "gue", one)
    yield made("gre", "gre", one)
    three = [server(family, n) for n in (1, 2, 3)]
    for name in SCHEDULERS:
        weights = [1, 2, 3] if name in ("wrr", "wlc") else []
        yield made(f"choice-{name}-", "dr", *three, scheduler=name, weights=weights)


SERVICES: Final[Mapping[str, Service]] = {each.name: each for family in FAMILIES for each in _all(family)}


def _place(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _flags(service: Service) -> Iterator[str]:
    yield f"-t {_place(VIP[service.family], service.port)}"
    yield f"-u {_place(VIP[service.family], service.port)}"


def _server(service: Service, flag: str, each: Server) -> str:
    where = _place(each.address, service.server_port)
    return f"{flag} -r {where} {_IPVSADM[service.method]} -w {each.weight}"


def rules(services: Iterable[Service]) -> Iterator[str]:
    """As `ipvsadm --restore` reads them. The kernel puts a new server before those that it has."""
    for service in services:
        for flag in _flags(service):
            yield f"-A {flag} -s {service.scheduler}"
            yield from (f"-a {_server(service, flag, each)}" for each in reversed(service.servers))


def changes(service: Service, verb: str) -> Iterator[str]:
    """From the service to what it is after the verb."""
    after = service.after(verb)
    for flag in _flags(service):
        if verb == "remove":
            yield f"-d {flag} -r {_place(service.servers[0].address, service.server_port)}"
        yield from (f"-e {_server(service, flag, each)}" for each in after.servers)


def renewal(service: Service) -> Iterator[str]:
    """The service as it was first, whatever it is."""
    yield from (f"-D {flag}" for flag in _flags(service))
    yield from rules([service])


def configuration(services: Iterable[Service]) -> str:
    """The same as a file of vipd's. It has no GUE and no GRE: there a plain tunnel stands for them."""
    lines = ["interfaces: [out0, in0]", "connections: 4096", "services:"]
    for service in services:
        vip = _place(VIP[service.family], service.port)
        method = service.method if service.method in METHODS else "tun"
        lines += [
            f"  {service.name.rstrip('-')}:",
            f'    listen: ["{vip}/tcp", "{vip}/udp"]',
            f"    method: {method}",
            f"    scheduler: {service.scheduler}",
            "    servers:" if service.servers else "    servers: []",
        ]
        port = f", port: {service.server_port}" if method == "nat" else ""
        lines += [f'      - {{address: "{each.address}", weight: {each.weight}{port}}}' for each in service.servers]
    return "\n".join(lines) + "\n"
