"""Status as the API shows it, put together from values. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from vipd.api.schema import Rates, ServerStatus, ServiceStatus
from vipd.drivers.network import Path
from vipd.model.director import Address, Director, Endpoint, RealServer, VirtualService
from vipd.model.state import Counters, Egress, HeldService, ServerKey

_HERE: Final = Path(Egress.LOCAL)


@dataclass(frozen=True, slots=True)
class Sample:
    """Counters at a time."""

    at: float
    counters: Mapping[ServerKey, Counters]


def rate(before: Counters, after: Counters, seconds: float) -> Rates:
    return Rates(
        connections=(after.connections - before.connections) / seconds,
        packets_in=(after.packets_in - before.packets_in) / seconds,
        bytes_in=(after.bytes_in - before.bytes_in) / seconds,
        packets_out=(after.packets_out - before.packets_out) / seconds,
        bytes_out=(after.bytes_out - before.bytes_out) / seconds,
    )


def services(
    director: Director,
    now: Sample,
    before: Sample | None,
    drained: frozenset[tuple[str, Address, int | None]],
    paths: Mapping[Address, Path],
) -> list[ServiceStatus]:
    """As configured, then servers of each that are removed and still have connections."""
    members: dict[Endpoint, list[ServerKey]] = defaultdict(list)
    for key in now.counters:
        members[key.endpoint].append(key)
    found = []
    for service in director.services:
        keys = [key for endpoint in service.listen for key in members.pop(endpoint, [])]
        found.append(_service(service, keys, now, before, drained, paths))
    return found + [_leftover(endpoint, keys, now, before) for endpoint, keys in members.items()]


def _service(
    service: VirtualService,
    keys: list[ServerKey],
    now: Sample,
    before: Sample | None,
    drained: frozenset[tuple[str, Address, int | None]],
    paths: Mapping[Address, Path],
) -> ServiceStatus:
    servers, claimed = [], set[ServerKey]()
    for server in service.servers:
        mine = [key for key in keys if key.address == server.address and key.port in ports(service, server)]
        claimed.update(mine)
        quiesced = (service.name, server.address, server.port) in drained
        path = paths.get(server.address, Path(Egress.UNREACHABLE))
        servers.append(_server(server, mine, now, before, quiesced, path))
    gone = [key for key in keys if key not in claimed]
    servers += [_removed(key, now, before) for key in gone]
    return ServiceStatus(
        name=service.name,
        listen=[str(endpoint) for endpoint in service.listen],
        scheduler=service.scheduler,
        servers=servers,
    )


def ports(service: VirtualService, server: RealServer) -> set[int | None]:
    """Under which ports the data plane may know the server."""
    return {server.port, *(endpoint.first_port for endpoint in service.listen if server.port is None)}


def _server(
    server: RealServer, keys: list[ServerKey], now: Sample, before: Sample | None, quiesced: bool, path: Path
) -> ServerStatus:
    return _status(
        RealServer(server.address, server.port, 0 if quiesced else server.weight, server.method),
        keys,
        now,
        before,
        path,
        drained=quiesced,
    )


def _removed(key: ServerKey, now: Sample, before: Sample | None) -> ServerStatus:
    return _status(RealServer(key.address, key.port, 0), [key], now, before, None, removed=True)


def _leftover(endpoint: Endpoint, keys: list[ServerKey], now: Sample, before: Sample | None) -> ServiceStatus:
    """A service that is configured no more."""
    return ServiceStatus(
        name=str(endpoint),
        listen=[str(endpoint)],
        scheduler=None,
        servers=[_removed(key, now, before) for key in keys],
    )


def held_services(held: Iterable[HeldService], now: Sample) -> list[ServiceStatus]:
    """Where no configuration is at hand: a service is what it listens on."""
    found = []
    for service in held:
        keys = {server.key: server for server in service.servers}
        gone = [key for key in now.counters if key.endpoint == service.endpoint and key not in keys]
        present = [
            _status(
                RealServer(key.address, key.port, server.weight, server.method),
                [key],
                now,
                None,
                _HERE if server.local else None,
            )
            for key, server in keys.items()
        ]
        found.append(
            ServiceStatus(
                name=str(service.endpoint),
                listen=[str(service.endpoint)],
                scheduler=service.scheduler,
                servers=present + [_removed(key, now, None) for key in gone],
            )
        )
    return found


def _status(
    server: RealServer,
    keys: Iterable[ServerKey],
    now: Sample,
    before: Sample | None,
    path: Path | None,
    drained: bool = False,
    removed: bool = False,
) -> ServerStatus:
    total, earlier = Counters(), Counters()
    for key in keys:
        total += now.counters.get(key, Counters())
        if before is not None:
            earlier += before.counters.get(key, Counters())
    seconds = now.at - before.at if before is not None else 0.0
    return ServerStatus(
        address=server.address,
        port=server.port,
        method=server.method,
        weight=server.weight,
        drained=drained,
        removed=removed,
        active=total.active,
        inactive=total.inactive,
        connections=total.connections,
        packets_in=total.packets_in,
        bytes_in=total.bytes_in,
        packets_out=total.packets_out,
        bytes_out=total.bytes_out,
        rates=rate(earlier, total, seconds) if seconds > 0 else None,
        egress=path and path.egress,
        next_hop=path and path.next_hop,
    )


def used(now: Sample) -> int:
    return sum(counts.active + counts.inactive for counts in now.counters.values())
