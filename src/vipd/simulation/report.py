"""What a simulation found, as values that JSON can tell. Shares are of 1, times in seconds."""

from __future__ import annotations

from dataclasses import dataclass

from vipd.simulation.course import Tally
from vipd.simulation.table import TableUse


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """One server in one act, over all directors."""

    server: str
    weight: int
    "0: it gets no new connections."
    present: bool
    wanted: float
    "Share of new connections, by weight."
    got: float
    connections: int
    "That it got."
    open: int
    "At the end of the act."
    peak: int
    "The most at once."
    course: tuple[int, ...] = ()
    "Open connections at each of the act's times."


@dataclass(frozen=True, slots=True)
class Imbalance:
    """Of the server that has most for its weight: how many times what it should have. 0 where nobody has any."""

    connections: float
    open: float
    peak: float
    "The worst peak of one server, beside an equal share of all their peaks."


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change did."""

    connections: Tally
    "To those that were open."
    least: int
    "How many of them no director could have kept where they are: their server is gone."
    elsewhere: float | None
    "Share of the later connections whose client had another server before; None: no client has one of its own."
    least_elsewhere: float
    "The least share that weights allow."


@dataclass(frozen=True, slots=True)
class ActReport:
    """An endpoint between two changes."""

    change: str
    "Empty: before the first."
    at: float
    scheduler: str
    servers: tuple[ServerLoad, ...]
    connections: int
    refused: int
    "Connections for which no server was there."
    imbalance: Imbalance
    effect: Effect | None
    "Of the change; None before the first."
    times: tuple[float, ...] = ()
    "When `ServerLoad.course` was looked at, if that was asked for."


@dataclass(frozen=True, slots=True)
class EndpointReport:
    service: str
    endpoint: str
    acts: tuple[ActReport, ...]


@dataclass(frozen=True, slots=True)
class Doubts:
    """Connections that the director may treat otherwise than here; all 0 where everything is exact."""

    stale: int
    "Came to a director that remembered their client's port from a flow it had lost; taken for new ones here."
    collisions: int
    "Of a client that talks from one port to two services with one server under NAT; dropped by a director."
    without_room: int
    "Found no room in the connection table; go by hash, and lc and wlc do not count them."


@dataclass(frozen=True, slots=True)
class Report:
    flows: int
    clients: int
    seconds: float
    "From the first beginning to the last."
    endpoints: tuple[EndpointReport, ...]
    directors: tuple[TableUse, ...]
    doubts: Doubts
