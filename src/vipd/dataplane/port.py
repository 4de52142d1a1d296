"""What any data plane can do. Values in and out; knows neither maps nor Python's binding to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from vipd.model.director import Address, Endpoint, Network, OnServerRemoved, Timeouts
from vipd.model.state import Connection, Counters, HeldService, ServerKey, Totals


@dataclass(frozen=True, slots=True)
class PutService:
    """Make the service so. Servers it no longer names end as `on_server_removed` says."""

    service: HeldService
    on_server_removed: OnServerRemoved


@dataclass(frozen=True, slots=True)
class RemoveService:
    """Take the service away; its servers are removed servers from then on."""

    endpoint: Endpoint
    on_server_removed: OnServerRemoved


Change: TypeAlias = PutService | RemoveService


NO_MAC: Final = bytes(6)


@dataclass(frozen=True, slots=True)
class Port:
    """A network interface that the director looks at."""

    name: str
    ifindex: int
    mac: bytes
    "`NO_MAC` of a point-to-point device."
    redirect: bool
    "Whether XDP can send out of it."


@dataclass(frozen=True, slots=True)
class Matching:
    """Which connections are meant; None: any."""

    client: Network | None = None
    vip: Address | None = None
    vip_port: int | None = None
    server: Address | None = None
    state: str | None = None
    "As `Connection.state` has it."


ANY: Final = Matching()


class Dataplane(Protocol):
    """Every method may raise `DataplaneError`; `apply` then leaves all as it was."""

    def held(self) -> Mapping[Endpoint, HeldService]:
        """What is in force now, read from the data plane itself, removed servers left out."""

    def apply(self, changes: Sequence[Change]) -> None:
        """All of the changes, in an order in which a stop after any step harms no packet."""

    def set_timeouts(self, timeouts: Timeouts) -> None: ...

    def set_ports(self, ports: Sequence[Port]) -> None: ...

    def counters(self) -> Mapping[ServerKey, Counters]:
        """Of every server, also of removed ones with connections left."""

    def totals(self) -> Totals: ...

    def connections(self, matching: Matching = ANY) -> Iterator[Connection]:
        """Every known connection that fits once, in no order."""

    def collect(self) -> int:
        """Forget removed servers that no connection names any more; how many there were."""
