"""What a packet is put before: a director, what it remembers, the network around it, the time. Values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from vipd.model.director import Address, Endpoint
from vipd.spec import Configuration
from vipd.spec.routes import Answer, Routes
from vipd.spec.state import Tables

NOBODY_MAC: Final = bytes.fromhex("0200000000fe")
"Whose a frame is taken to be, where the kernel does not know the sender's."


@dataclass(frozen=True, slots=True)
class Names:
    interfaces: Mapping[int, str]
    "By ifindex."
    services: Mapping[Endpoint, str]

    def interface(self, number: int) -> str:
        return self.interfaces.get(number) or f"interface {number}"

    def service(self, endpoint: Endpoint) -> str:
        """A service that nobody named is what it listens on."""
        return self.services.get(endpoint) or str(endpoint)


@dataclass(frozen=True, slots=True)
class Scene:
    configuration: Configuration
    tables: Tables
    routes: Routes
    now: int
    "Nanoseconds of the data plane's clock."
    names: Names
    ways_in: Mapping[Address, int]
    "VIPs whose packets come in by an interface of their own."
    assumed: tuple[str, ...] = ()
    "What nobody knows, and is taken to be so."
    secret_known: bool = True
    "Whether the keys of the hashes are the director's own."

    @property
    def first(self) -> int:
        """The first interface that the director looks at; 0 where it looks at none."""
        return next(iter(self.configuration.interfaces), 0)

    def way_in(self, source: Address, destination: Address) -> tuple[int, bytes]:
        """By which interface a packet comes in, and from whose MAC address: where the way back to its source leads."""
        way = self.routes.ask(self.first, source)
        known = way.answer is Answer.NEIGHBOUR and way.ifindex in self.configuration.interfaces
        ifindex = way.ifindex if way.ifindex in self.configuration.interfaces else self.first
        if destination in self.ways_in:
            ifindex, known = self.ways_in[destination], known and self.ways_in[destination] == way.ifindex
        return ifindex, way.destination if known else NOBODY_MAC
