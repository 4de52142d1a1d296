"""The demo: real traffic by every method, transport and family, measured at three places.

The clients count what they sent and got, the director what it forwarded, the switch
what passed on its wires. `vipd.lab.verdict` says whether they agree.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vipd.dataplane.shield import shielded
from vipd.lab.across import across
from vipd.lab.client import Result
from vipd.lab.director import Director
from vipd.lab.frames import Paths, paths
from vipd.lab.lab import Lab, down, lab_of
from vipd.lab.tap import ReplyCounter, Tap, captured, tapped
from vipd.lab.topology import FAMILIES, TOPOLOGIES, Service, Topology
from vipd.lab.traffic import asking, load
from vipd.lab.verdict import Across, Observed, crosses
from vipd.model.director import Method, Transport, with_port

CONNECTIONS: Final = 300
_PROBE_PORT: Final = 1024
_FIRST_PORT: Final[Mapping[Transport, int | None]] = {Transport.TCP: None, Transport.UDP: 2048}
"No request of UDP may come from a port that the director still knows."

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Settings:
    connections: int = CONNECTIONS
    pcap: Path | None = None
    keep: bool = False
    name: str = "demo"
    "Of the labs: NAME-nat, NAME-dr, NAME-tun, NAME-p2p."
    methods: frozenset[Method] = frozenset(Method)
    "Whose services are shown."


def lab_name(topology: Topology, settings: Settings) -> str:
    return f"{settings.name}-{topology.name}"


def combinations(topology: Topology, settings: Settings) -> tuple[tuple[Service, int], ...]:
    wanted = [service for service in topology.services if service.method in settings.methods]
    return tuple((service, family) for service in wanted for family in FAMILIES)


def demonstrate(topology: Topology, settings: Settings, tell: Tell) -> Generator[Observed | Across, None, None]:
    """Each combination of the topology, as soon as it is done; then each line."""
    name = lab_name(topology, settings)
    chosen = combinations(topology, settings)
    with ExitStack() as stack:
        tell(f"{topology.name}: building the network, starting real servers")
        if settings.keep:
            lab = Lab(topology, name, capture=True)
            lab.down()
            lab.up()
            stack.push(_down_after_failure(lab))
        else:
            lab = stack.enter_context(lab_of(topology, name, capture=True))
            stack.callback(tell, f"{topology.name}: removing the network")
        tell(f"{topology.name}: starting the director")
        director = Director(lab)
        director.start()
        tap = stack.enter_context(tapped(lab))
        stack.enter_context(captured(lab, settings.pcap / topology.name) if settings.pcap else nullcontext())
        tell(f"{topology.name}: watching a request of each kind on its way")
        ways = {each: _probe(lab, tap, *each) for each in chosen}
        replies = ReplyCounter(lab)
        replies.settled()
        status = director.status()
        for service, family in chosen:
            tell(f"{topology.name}: {settings.connections} connections over {service.transport} and IPv{family}")
            before = Counts(status, topology, service, family)
            replies_before = replies.settled()[family]
            first_port = _FIRST_PORT[service.transport]
            plan = asking(lab, service, family, connections=settings.connections, first_port=first_port)
            result = load(lab, plan)
            replied = replies.settled()[family] - replies_before
            status = director.status()
            after = Counts(status, topology, service, family)
            yield _observed(result, before, after, replied, ways[service, family], (service, family))
        for line in topology.lines:
            tell(f"{topology.name}: reading the frames on the line")
            yield across(lab, director, line)


def remove(settings: Settings) -> None:
    """Whatever there is of the demo's labs."""
    with shielded():
        for topology in TOPOLOGIES.values():
            down(lab_name(topology, settings))


def _down_after_failure(lab: Lab) -> Callable[..., None]:
    def leave(kind: object, *_: object) -> None:
        if kind is not None:
            with shielded():
                lab.down()

    return leave


def _observed(
    result: Result, before: Counts, after: Counts, replied: int, way: Paths, combination: tuple[Service, int]
) -> Observed:
    service, family = combination
    return Observed(
        service=service,
        family=family,
        sent=result.sent,
        answered=result.answered,
        servers=result.servers,
        clients=result.clients,
        errors=result.errors,
        forwarded={name: count - before.connections[name] for name, count in after.connections.items()},
        packets_out=after.packets_out - before.packets_out,
        replies_seen=replied,
        paths=way,
    )


def _probe(lab: Lab, tap: Tap, service: Service, family: int) -> Paths:
    """One request, watched at every hop; where there is a line, one that went over it."""
    topology = lab.topology
    for number, _ in enumerate(topology.servers):
        tap.sightings()
        _ask(lab, service, family, _PROBE_PORT + number)
        seen = paths(tap.sightings(), topology.address(topology.client, family))
        if not topology.lines or any(crosses(topology, hop) for hop in seen.there):
            break
    return seen


def _ask(lab: Lab, service: Service, family: int, port: int) -> None:
    """curl asks where it can: a client that we did not write."""
    if service.transport is Transport.TCP:
        url = f"http://{with_port(lab.topology.vip_address(family), service.port)}/"
        lab.run(lab.topology.client.name, "curl", "--silent", "--show-error", "--fail", "--max-time", "10", url)
    else:
        load(lab, asking(lab, service, family, connections=1, first_port=port))


class Counts:
    """The director's own: connections by server, packets back through the director, of one service."""

    def __init__(self, status: Mapping[str, Any], topology: Topology, service: Service, family: int) -> None:
        wanted = f"{service.name}{family}"
        servers = next(each["servers"] for each in status["services"] if each["name"] == wanted)
        names = {str(topology.address(host, family)): host.name for host in topology.servers}
        self.connections = {names[server["address"]]: int(server["connections"]) for server in servers}
        self.packets_out = sum(int(server["packets_out"]) for server in servers)
