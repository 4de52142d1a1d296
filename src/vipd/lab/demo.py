"""The demo: real traffic by every method, transport and family, measured at three places.

The clients count what they sent and got, the director what it forwarded, the switch
what passed on its wires. `vipd.lab.verdict` says whether they agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vipd.lab.configuration import endpoint
from vipd.lab.director import Director
from vipd.lab.frames import Paths, paths
from vipd.lab.interrupt import shielded
from vipd.lab.lab import Lab, lab_of
from vipd.lab.tap import ReplyCounter, Tap, captured, tapped
from vipd.lab.topology import FAMILIES, Topology
from vipd.lab.traffic import asking, load
from vipd.lab.verdict import Observed
from vipd.model.director import Transport

CONNECTIONS: Final = 300
COMBINATIONS: Final = tuple((transport, family) for transport in Transport for family in FAMILIES)
_PROBE_PORT: Final = 1024
_FIRST_PORT: Final[Mapping[Transport, int | None]] = {Transport.TCP: None, Transport.UDP: 2048}
"No request of UDP may come from a port that the director still knows."

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Settings:
    connections: int = CONNECTIONS
    pcap: Path | None = None
    keep: bool = False
    prefix: str = "demo"
    "Of the labs' names."


def lab_name(topology: Topology, settings: Settings) -> str:
    return f"{settings.prefix}-{topology.name}"


def demonstrate(topology: Topology, settings: Settings, tell: Tell) -> Iterator[Observed]:
    """Each combination of the topology, as soon as it is done."""
    name = lab_name(topology, settings)
    with ExitStack() as stack:
        tell(f"{topology.name}: building the network, starting real servers")
        if settings.keep:
            lab = Lab(topology, name)
            lab.down()
            lab.up()
            stack.push(_down_after_failure(lab))
        else:
            lab = stack.enter_context(lab_of(topology, name))
        tell(f"{topology.name}: starting the director")
        director = Director(lab)
        director.start()
        tap = stack.enter_context(tapped(lab))
        stack.enter_context(captured(lab, settings.pcap / topology.name) if settings.pcap else nullcontext())
        replies = ReplyCounter(lab)
        for transport, family in COMBINATIONS:
            tell(f"{topology.name}: {settings.connections} connections over {transport} and IPv{family}")
            yield _observe(director, tap, replies, transport, family, settings.connections)


def _down_after_failure(lab: Lab) -> Callable[..., None]:
    def leave(kind: object, *_: object) -> None:
        if kind is not None:
            with shielded():
                lab.down()

    return leave


def _observe(
    director: Director, tap: Tap, replies: ReplyCounter, transport: Transport, family: int, connections: int
) -> Observed:
    lab = director.lab
    seen = _probe(lab, tap, transport, family)
    replies_before = replies.settled()[family]
    before = _counts(director.status(), lab.topology, transport, family)
    result = load(lab, asking(lab, transport, family, connections=connections, first_port=_FIRST_PORT[transport]))
    replies_after = replies.settled()[family]
    after = _counts(director.status(), lab.topology, transport, family)
    names = {str(lab.topology.address(host, family)): host.name for host in lab.topology.servers}
    return Observed(
        transport=transport,
        family=family,
        sent=result.sent,
        answered=result.answered,
        servers=result.servers,
        clients=result.clients,
        errors=result.errors,
        forwarded={names[address]: count for address, count in (after.connections - before.connections).items()},
        packets_out=after.packets_out - before.packets_out,
        replies_seen=replies_after - replies_before,
        paths=seen,
    )


def _probe(lab: Lab, tap: Tap, transport: Transport, family: int) -> Paths:
    """One request, watched at every hop. curl asks where it can: a client that we did not write."""
    tap.sightings()
    service = lab.topology.service(transport)
    if transport is Transport.TCP:
        url = f"http://{endpoint(lab.topology.vip_address(family), service.port)}/"
        lab.run(lab.topology.client.name, "curl", "--silent", "--show-error", "--fail", "--max-time", "10", url)
    else:
        load(lab, asking(lab, transport, family, connections=1, first_port=_PROBE_PORT))
    return paths(tap.sightings(), lab.topology.address(lab.topology.client, family))


@dataclass(frozen=True, slots=True)
class _Counts:
    """Of one service: connections by server address, packets back through the director."""

    connections: Counter[str]
    packets_out: int


def _counts(status: Mapping[str, Any], topology: Topology, transport: Transport, family: int) -> _Counts:
    wanted = f"{topology.service(transport).name}{family}"
    servers = next(service["servers"] for service in status["services"] if service["name"] == wanted)
    return _Counts(
        Counter({server["address"]: server["connections"] for server in servers}),
        sum(server["packets_out"] for server in servers),
    )
