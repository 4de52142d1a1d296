"""A data plane in memory, for tests of what stands above it; it passes the suite that the kernel's passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from vipd.dataplane.port import ANY, Change, Matching, Port, PutService, RemoveService
from vipd.errors import DataplaneError
from vipd.model.director import Endpoint, Timeouts
from vipd.model.outcome import EVENTS, OUTCOMES
from vipd.model.state import Connection, Counters, HeldService, ServerKey, Totals


@dataclass(slots=True)
class MemoryDataplane:
    """`known` is for tests to fill: connections, as if packets had made them."""

    capacity: int = 65_535
    "Real servers, removed ones with connections left among them."
    services: dict[Endpoint, HeldService] = field(default_factory=dict)
    removed: set[ServerKey] = field(default_factory=set)
    known: list[Connection] = field(default_factory=list)
    timeouts: Timeouts = field(default_factory=Timeouts)
    ports: tuple[Port, ...] = ()
    applied: list[Change] = field(default_factory=list)
    "Every change that was ever applied, in order."

    def held(self) -> Mapping[Endpoint, HeldService]:
        return dict(self.services)

    def apply(self, changes: Sequence[Change]) -> None:
        services = dict(self.services)
        for change in changes:
            match change:
                case PutService(service):
                    services[service.endpoint] = service
                case RemoveService(endpoint):
                    services.pop(endpoint, None)
        before, after = _keys(self.services), _keys(services)
        removed = (self.removed | before) - after
        if len(after) + len(removed) > self.capacity:
            raise DataplaneError(f"the data plane holds at most {self.capacity} real servers")
        self.services, self.removed = services, removed
        self.applied += changes

    def set_timeouts(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts

    def set_ports(self, ports: Sequence[Port]) -> None:
        numbers = [port.ifindex & 0xFFFF for port in ports]
        if len(set(numbers)) < len(numbers):
            raise DataplaneError("two interfaces cannot be told apart by their numbers")
        self.ports = tuple(ports)

    def counters(self) -> Mapping[ServerKey, Counters]:
        found = dict.fromkeys(_keys(self.services) | self.removed, Counters())
        for connection in self.known:
            for key in self._of(connection):
                found[key] += Counters(active=connection.active, inactive=not connection.active, connections=1)
        return found

    def _of(self, connection: Connection) -> list[ServerKey]:
        return [
            key
            for key in _keys(self.services) | self.removed
            if key.endpoint.vip == connection.vip
            and key.endpoint.transport == connection.transport
            and key.endpoint.first_port <= connection.vip_port <= key.endpoint.last_port
            and (key.address, key.port or connection.vip_port) == (connection.server, connection.server_port)
        ]

    def totals(self) -> Totals:
        return Totals(dict.fromkeys(OUTCOMES, 0), dict.fromkeys(EVENTS, 0) | {"connection_new": len(self.known)})

    def connections(self, matching: Matching = ANY) -> Iterator[Connection]:
        return (connection for connection in list(self.known) if _fits(connection, matching))

    def collect(self) -> int:
        named = {key for connection in self.known for key in self._of(connection)}
        gone = self.removed - named
        self.removed -= gone
        return len(gone)


def _keys(services: Mapping[Endpoint, HeldService]) -> set[ServerKey]:
    return {server.key for service in services.values() for server in service.servers}


def _fits(connection: Connection, matching: Matching) -> bool:
    return (
        (matching.client is None or connection.client in matching.client)
        and matching.vip in (None, connection.vip)
        and matching.vip_port in (None, connection.vip_port)
        and matching.server in (None, connection.server)
        and matching.state in (None, connection.state)
    )
