"""What the machine looks like to a configuration: interfaces, ways to servers, places of VIPs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vipd.config import Loaded
from vipd.control import refusals
from vipd.drivers import vips
from vipd.drivers.claims import Place
from vipd.drivers.ledger import Ledger
from vipd.drivers.neighbours import Hop
from vipd.drivers.network import Link, Network, Path, Told
from vipd.drivers.vips import Placement
from vipd.errors import ConfigError, Problem
from vipd.model.director import Address, Director, VirtualService
from vipd.model.state import Egress


@dataclass(frozen=True, slots=True)
class Reach:
    """How the servers of a service are reached, in their order, and what follows from that."""

    service: VirtualService
    egress: tuple[Egress, ...]
    hops: frozenset[Hop]
    refusals: tuple[Problem, ...]

    @classmethod
    def of(cls, service: VirtualService, paths: Mapping[Address, Path]) -> Reach:
        ways = [paths[server.address] for server in service.servers]
        egress = tuple([way.egress for way in ways])
        # Whatever lies behind the same router shares its path.
        different = {id(way): way for way in ways}.values()
        hops = {(way.next_hop, way.ifindex) for way in different if way.next_hop is not None}
        return cls(service, egress, frozenset(hops), refusals(service, egress))


@dataclass(frozen=True, slots=True)
class Survey:
    links: Mapping[str, Link]
    paths: Mapping[Address, Path]
    "To every real server and VIP."
    reaches: Mapping[str, Reach]
    "By the service's name."
    placements: tuple[Placement, ...]
    hops: frozenset[Hop]
    """Neighbours that packets are sent to. Routers behind the director's interfaces are among them:
    replies under NAT go there."""
    told: Told = field(compare=False)
    "What all of it but the links follows from, with `basis`."
    basis: tuple[object, ...] = field(compare=False)

    def reach(self, service: VirtualService) -> tuple[Egress, ...]:
        return self.reaches[service.name].egress

    @property
    def mine(self) -> frozenset[bytes]:
        """MAC addresses of this machine."""
        return frozenset(link.mac for link in self.links.values())

    def standing(self) -> tuple[tuple[Placement, bool], ...]:
        """Where VIPs are, and whether the links there are up."""
        return tuple((placement, self.links[placement.interface].up) for placement in self.placements)

    def places(self, ours: bool) -> tuple[Place, ...]:
        """Where others may be asked about our VIPs; `ours`: only of those that vipd put there."""
        found = (placement for placement in self.placements if placement.ours or not ours)
        return tuple(placement.place for placement in found if placement.place is not None)


def survey(
    network: Network,
    ledger: Ledger,
    director: Director,
    lingering: frozenset[Address] = frozenset(),
    before: Survey | None = None,
) -> Survey:
    """`lingering`: VIPs that are configured no more, but that known connections still use.

    `before` spares work where nothing changed since: not the network, not the service.
    """
    told = network.told()
    links = network.links()
    known = before.reaches if before is not None and before.told is told else {}
    reaches = {service.name: each for service in director.services if (each := known.get(service.name))}
    fresh = [each for each in director.services if each.name not in reaches or reaches[each.name].service is not each]
    paths = network.paths({server.address for service in fresh for server in service.servers}, told)
    reaches |= {service.name: Reach.of(service, paths) for service in fresh}
    attached = {name: links[name].ifindex for name in director.interfaces if name in links}
    hops = network.gateways(attached).union(*[each.hops for each in reaches.values()])
    basis = (director.vips, lingering, links, ledger.contents.addresses)
    if before is not None and before.told is told and before.basis == basis:
        placements = before.placements
    else:
        paths = network.paths(director.vips.keys() | lingering, told)
        kept = [entry for entry in ledger.contents.addresses if entry.address in lingering - director.vips.keys()]
        wanted = [*director.vips.values(), *(vips.staying(entry) for entry in kept if entry.interface in links)]
        placements = vips.place(wanted, links, network.addresses(told), paths, ledger)
    return Survey(links, paths, reaches, placements, hops, told, basis)


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
    refused = [problem for service in director.services for problem in found.reaches[service.name].refusals]
    return loaded.placed([*told, *refused])


def require(loaded: Loaded, found: Survey) -> None:
    if mistakes := problems(loaded, found):
        raise ConfigError(mistakes)
