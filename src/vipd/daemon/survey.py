"""What the machine looks like to a configuration: interfaces, ways to servers, places of VIPs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vipd.config import Loaded
from vipd.control import environment
from vipd.drivers import vips
from vipd.drivers.claims import Place
from vipd.drivers.ledger import Ledger
from vipd.drivers.neighbours import Hop
from vipd.drivers.network import Link, Network, Path
from vipd.drivers.vips import Placement
from vipd.errors import ConfigError, Problem
from vipd.model.director import Address, Director
from vipd.model.state import Egress


@dataclass(frozen=True, slots=True)
class Survey:
    links: Mapping[str, Link]
    paths: Mapping[Address, Path]
    "To every real server and VIP."
    placements: tuple[Placement, ...]
    gateways: frozenset[Hop]
    "Routers behind the director's interfaces: replies under NAT go there."

    def egress(self, address: Address) -> Egress:
        return self.paths[address].egress

    @property
    def mine(self) -> frozenset[bytes]:
        """MAC addresses of this machine."""
        return frozenset(link.mac for link in self.links.values())

    def standing(self) -> tuple[tuple[Placement, bool], ...]:
        """Where VIPs are, and whether the links there are up."""
        return tuple((placement, self.links[placement.interface].up) for placement in self.placements)

    def hops(self, director: Director) -> frozenset[Hop]:
        """Neighbours that packets are sent to."""
        paths = (self.paths[server.address] for service in director.services for server in service.servers)
        return self.gateways | {(path.next_hop, path.ifindex) for path in paths if path.next_hop is not None}

    def places(self, ours: bool) -> tuple[Place, ...]:
        """Where others may be asked about our VIPs; `ours`: only of those that vipd put there."""
        found = (placement for placement in self.placements if placement.ours or not ours)
        return tuple(placement.place for placement in found if placement.place is not None)


def survey(network: Network, ledger: Ledger, director: Director, lingering: frozenset[Address] = frozenset()) -> Survey:
    """`lingering`: VIPs that are configured no more, but that known connections still use."""
    links = network.links()
    addresses = {server.address for service in director.services for server in service.servers}
    paths = network.paths(addresses | director.vips.keys() | lingering)
    kept = [entry for entry in ledger.contents.addresses if entry.address in lingering - director.vips.keys()]
    wanted = [*director.vips.values(), *(vips.staying(entry) for entry in kept if entry.interface in links)]
    held = network.addresses()
    attached = {name: links[name].ifindex for name in director.interfaces if name in links}
    return Survey(links, paths, vips.place(wanted, links, held, paths, ledger), network.gateways(attached))


def problems(loaded: Loaded, found: Survey) -> tuple[Problem, ...]:
    """Everything in the configuration that does not fit this machine, with its place in the file."""
    director = loaded.director
    names = ", ".join(sorted(link.name for link in found.links.values() if link.ethernet)) or "none"
    told = [
        Problem(f"interfaces[{number}]", f"there is no interface {name!r} here; Ethernet interfaces are: {names}")
        if name not in found.links
        else Problem(f"interfaces[{number}]", f"{name} carries no Ethernet frames; Ethernet interfaces are: {names}")
        for number, name in enumerate(director.interfaces)
        if name not in found.links or not found.links[name].ethernet
    ]
    return loaded.placed([*told, *environment(director, found.egress)])


def require(loaded: Loaded, found: Survey) -> None:
    if mistakes := problems(loaded, found):
        raise ConfigError(mistakes)
