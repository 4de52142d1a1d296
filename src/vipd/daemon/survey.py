"""What the machine looks like to a configuration: interfaces, ways to servers, places of VIPs."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from vipd.config import Loaded
from vipd.control import environment_warnings, refusals, tunnel_source
from vipd.drivers import vips
from vipd.drivers.claims import Place
from vipd.drivers.ledger import AddedAddress
from vipd.drivers.neighbours import Hop
from vipd.drivers.network import Link, Network, Path, Told
from vipd.drivers.vips import Placement
from vipd.errors import ConfigError, Problem
from vipd.model.director import Address, Director, Method, VirtualService
from vipd.model.state import Egress


@dataclass(frozen=True, slots=True)
class Reach:
    """How the servers of a service are reached, in their order, and what follows from that."""

    service: VirtualService
    egress: tuple[Egress, ...]
    hops: frozenset[Hop]
    sources: frozenset[Address]
    "Outer ones of IPv4 tunnels that the kernel has to send: their way has no Ethernet."
    refusals: tuple[Problem, ...]

    @classmethod
    def of(cls, service: VirtualService, paths: Mapping[Address, Path]) -> Reach:
        ways = [paths[server.address] for server in service.servers]
        egress = tuple([way.egress for way in ways])
        # Whatever lies behind the same router shares its path.
        different = {id(way): way for way in ways}.values()
        hops = {(way.next_hop, way.ifindex) for way in different if way.next_hop is not None}
        sources = {
            tunnel_source(server)[0]
            for server, way in zip(service.servers, egress, strict=True)
            if way is Egress.POINT_TO_POINT and server.method is Method.TUN and server.address.version == 4
        }
        return cls(service, egress, frozenset(hops), frozenset(sources), refusals(service, egress))


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
    unrouted_sources: bool
    "The kernel sends tunnels, and has no route to their outer source."
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
    added: tuple[AddedAddress, ...],
    director: Director,
    lingering: frozenset[Address] = frozenset(),
    before: Survey | None = None,
) -> Survey:
    """`added`: what vipd put on interfaces itself.

    `lingering`: VIPs that are configured no more, but that known connections still use.
    `before` spares work where nothing changed since: not the network, not the service.
    """
    told = network.told()
    links = network.links()
    known = before.reaches if before is not None and before.told is told else {}
    reaches = {service.name: each for service in director.services if (each := known.get(service.name))}
    fresh = [each for each in director.services if each.name not in reaches or reaches[each.name].service is not each]
    paths = network.paths({server.address for service in fresh for server in service.servers}, told)
    reaches |= {service.name: Reach.of(service, paths) for service in fresh}
    segments = {name: links[name].ifindex for name in director.interfaces if name in links and links[name].ethernet}
    hops = network.gateways(segments).union(*[each.hops for each in reaches.values()])
    basis = (director.vips, lingering, links, added)
    if before is not None and before.told is told and before.basis == basis:
        placements = before.placements
    else:
        paths = network.paths(director.vips.keys() | lingering, told)
        kept = [entry for entry in added if entry.address in lingering - director.vips.keys()]
        wanted = [*director.vips.values(), *(vips.staying(entry) for entry in kept if entry.interface in links)]
        placements = vips.place(wanted, links, network.addresses(told), paths, added)
    sources = frozenset[Address]().union(*[each.sources for each in reaches.values()])
    ways = network.paths(sources, told)
    unrouted = any(ways[source].egress is Egress.UNREACHABLE for source in sources)
    return Survey(links, paths, reaches, placements, hops, unrouted, told, basis)


def problems(loaded: Loaded, found: Survey, awaited: frozenset[str] = frozenset()) -> tuple[Problem, ...]:
    """Everything in the configuration that does not fit this machine, with its place in the file.

    `awaited`: interfaces that the director had before. A link that is down must not keep anybody
    from changing what has nothing to do with it.
    """
    director = loaded.director
    able = {link.name for link in found.links.values() if link.ethernet or link.point_to_point}
    usable = f"what can be used: {', '.join(sorted(able)) or 'none'}"
    told = [
        Problem(f"interfaces[{number}]", f"there is no interface {name!r} here; {usable}")
        if name not in found.links
        else Problem(
            f"interfaces[{number}]", f"{name} is neither an Ethernet interface nor a tun or ppp device; {usable}"
        )
        for number, name in enumerate(director.interfaces)
        if name not in able and (name in found.links or name not in awaited)
    ]
    known = found.links.keys() | awaited
    told += [Problem(f"vips.{address}.interface", text) for address, text in homeless(director, known).items()]
    refused = [problem for service in director.services for problem in found.reaches[service.name].refusals]
    return loaded.placed([*told, *refused])


def homeless(director: Director, interfaces: Container[str]) -> dict[Address, str]:
    """VIPs whose interface is not there, and what to say about each."""
    return {
        vip.address: f"there is no interface {vip.interface!r} here"
        for vip in director.vips.values()
        if vip.interface is not None and vip.interface not in interfaces
    }


def lost(director: Director, found: Survey) -> dict[str, str]:
    """Services with servers that a start would refuse now: the network changed under them. The first of each."""
    refused = {service.name: found.reaches[service.name].refusals for service in director.services}
    return {
        name: str(told[0]) + (f" (and {len(told) - 1} more of this service)" if told[1:] else "")
        for name, told in refused.items()
        if told
    }


def warnings(loaded: Loaded, found: Survey) -> tuple[Problem, ...]:
    """What works as soon as the network does, or probably not as it is meant."""
    devices = {link.ifindex: link.name for link in found.links.values()}

    def device(address: Address) -> str:
        return devices.get(found.paths[address].ifindex, "")

    return loaded.placed(environment_warnings(loaded.director, lambda address: found.paths[address].egress, device))


def require(loaded: Loaded, found: Survey, awaited: frozenset[str]) -> None:
    if mistakes := problems(loaded, found, awaited):
        raise ConfigError(mistakes)
