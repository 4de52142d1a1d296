"""A director made up of its configuration alone: all is well, nothing is remembered yet. Needs no machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from vipd.control import Drain, desired
from vipd.explain.scene import Names, Scene
from vipd.model.director import Address, Director, Endpoint, table_buckets, with_port
from vipd.model.keys import SECRET_BYTES, hash_keys
from vipd.model.state import Egress, HeldService
from vipd.spec import Configuration, Interface, State
from vipd.spec.configuration import Keys, Server, Service, numbered
from vipd.spec.routes import Answer, Way

MTU: Final = 1500
START: Final = 1 << 40
"Of the clock; any would do, but for 0."
FIRST_IFINDEX: Final = 2
"1 is the loopback's, on every machine."
_MACS_FROM: Final = 2
NO_SECRET: Final = bytes(SECRET_BYTES)


@dataclass(frozen=True, slots=True)
class ImaginedNetwork:
    """Servers are neighbours on the last interface, all others are behind a router on the first."""

    director: Director
    mtu: int
    servers: Mapping[Address, bytes]
    "Their MAC addresses."
    outside: int = FIRST_IFINDEX

    @classmethod
    def of(cls, director: Director, mtu: int, first: int = FIRST_IFINDEX) -> ImaginedNetwork:
        """`first`: the first interface's number."""
        found = dict.fromkeys(server.address for service in director.services for server in service.servers)
        return cls(director, mtu, {address: _mac(2, number) for number, address in enumerate(found, 1)}, first)

    @property
    def interfaces(self) -> dict[int, str]:
        return dict(enumerate(self.director.interfaces, self.outside))

    @property
    def inside(self) -> int:
        return self.outside + len(self.director.interfaces) - 1

    def mac(self, ifindex: int) -> bytes:
        return _mac(0, ifindex - self.outside + _MACS_FROM)

    def router(self, ifindex: int) -> bytes:
        return _mac(1, ifindex - self.outside + _MACS_FROM)

    def ask(self, ingress: int, destination: Address) -> Way:
        mac = self.servers.get(destination)
        if mac is not None:
            return Way(Answer.NEIGHBOUR, self.inside, self.mtu, mac, self.mac(self.inside), gateway=False)
        # The kernel forwards none of these (net/core/filter.c, rt6_need_strict).
        local = destination.version == 6 and (destination.is_multicast or destination.is_link_local)
        if destination.is_loopback or local:
            return Way(Answer.NO_ROUTE, ingress)
        return Way(
            Answer.NEIGHBOUR, self.outside, self.mtu, self.router(self.outside), self.mac(self.outside), gateway=True
        )


def _mac(kind: int, number: int) -> bytes:
    """Locally administered."""
    return b"\x02\x00\x00" + bytes((kind,)) + number.to_bytes(2, "big")


def imagined(
    director: Director, secret: bytes | None = None, mtu: int = MTU, drained: frozenset[Drain] = frozenset()
) -> Scene:
    """`secret` None: nobody knows it, and one of zeros takes its place."""
    return scene_in(ImaginedNetwork.of(director, mtu), held_by(director, secret, drained), secret, drained)


def scene_in(
    network: ImaginedNetwork, held: Mapping[Endpoint, HeldService], secret: bytes | None, drained: frozenset[Drain]
) -> Scene:
    """`held`: what follows from the network's director and the other two (held_by)."""
    director = network.director
    services, servers = _numbered(held)
    client, flow = hash_keys(secret or NO_SECRET)
    interfaces = network.interfaces
    configuration = Configuration(
        services,
        servers,
        {number: Interface(network.mac(number)) for number in interfaces},
        director.timeouts,
        Keys((client[0], client[1]), tuple(flow)),
        buckets=table_buckets(director.connections),
    )
    return Scene(
        configuration,
        State(),
        network,
        START,
        Names(interfaces, names_of(director)),
        ways_in(director, interfaces),
        tuple(_assumptions(network, drained)),
        secret is not None,
    )


def _numbered(held: Mapping[Endpoint, HeldService]) -> tuple[dict[int, Service], dict[int, Server]]:
    """With the numbers that the control plane gives them (control.plan), in the configuration's order."""
    services, servers = numbered(held[endpoint] for endpoint in sorted(held, key=str))
    numbers = {service.endpoint: number for number, service in services.items()}
    return {numbers[endpoint]: services[numbers[endpoint]] for endpoint in held}, servers


def held_by(
    director: Director, secret: bytes | None, drained: frozenset[Drain] = frozenset()
) -> dict[Endpoint, HeldService]:
    """What the director's data plane would hold, with every server a neighbour."""
    return desired(director, lambda _: Egress.ON_LINK, secret or NO_SECRET, drained)


def names_of(director: Director) -> dict[Endpoint, str]:
    return {endpoint: service.name for service in director.services for endpoint in service.listen}


def ways_in(director: Director, interfaces: Mapping[int, str]) -> dict[Address, int]:
    numbers = {name: number for number, name in interfaces.items()}
    return {
        vip.address: numbers[vip.interface]
        for vip in director.vips.values()
        if vip.interface and vip.interface in numbers
    }


def _assumptions(network: ImaginedNetwork, drained: frozenset[Drain]) -> list[str]:
    names = network.interfaces
    quiet = sorted(f"{service} {with_port(address, port)}" for service, address, port in drained)
    undrained = f", undrained but for {', '.join(quiet)}," if quiet else ", undrained"
    return [
        f"every real server is up{undrained} and a neighbour on {names[network.inside]}, MTU {network.mtu}",
        f"clients are behind a router on {names[network.outside]}",
        "no connection is known yet",
    ]
