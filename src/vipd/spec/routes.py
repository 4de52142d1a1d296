"""What the kernel knows of the network, as far as a packet asks: an input, not a rule. Values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from vipd.model.director import Address, Network


class Answer(StrEnum):
    """What the kernel says of the way to an address (bpf_fib_lookup)."""

    NEIGHBOUR = "neighbour"
    "There is a route, and the next machine's MAC address is known."
    NO_NEIGHBOUR = "no_neighbour"
    "There is a route, but the MAC address is not known (yet)."
    ENCAPSULATED = "encapsulated"
    "The route leads into a tunnel of the kernel's own."
    NO_ROUTE = "no_route"


class Way(NamedTuple):
    answer: Answer
    ifindex: int = 0
    "Of the egress; of the ingress where there is no route."
    mtu: int = 0
    "Where no neighbour is known, the interface's own; 0 where the kernel does not say."
    destination: bytes = bytes(6)
    source: bytes = bytes(6)
    gateway: bool = False
    "The next machine is a router, not the address itself."


class Routes(Protocol):
    def ask(self, ingress: int, destination: Address) -> Way: ...


@dataclass(frozen=True, slots=True)
class Route:
    network: Network
    ifindex: int
    gateway: Address | None = None
    "None: on the interface's own segment."
    mtu: int = 1500


@dataclass(frozen=True, slots=True)
class StaticRoutes:
    """A network written down, for those without a kernel to ask. The longest prefix decides."""

    routes: Sequence[Route]
    macs: Mapping[int, bytes]
    "Of the interfaces."
    neighbours: Mapping[Address, bytes] = field(default_factory=dict)
    mtus: Mapping[int, int] = field(default_factory=dict)
    "Of the interfaces; 1,500 without one."

    def ask(self, ingress: int, destination: Address) -> Way:
        fitting = [
            each for each in self.routes if each.network.version == destination.version and destination in each.network
        ]
        if not fitting:
            return Way(Answer.NO_ROUTE, ingress)
        route = max(fitting, key=lambda each: each.network.prefixlen)
        mac = self.neighbours.get(route.gateway or destination)
        if mac is None:
            return Way(Answer.NO_NEIGHBOUR, route.ifindex, self.mtus.get(route.ifindex, 1500))
        source = self.macs[route.ifindex]
        return Way(Answer.NEIGHBOUR, route.ifindex, route.mtu, mac, source, route.gateway is not None)
