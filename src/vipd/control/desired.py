"""Configuration to the services that the data plane should hold. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vipd.control import maglev, wrr
from vipd.model.director import Address, Director, Endpoint, Method, Network, RealServer, Scheduler, VirtualService
from vipd.model.state import Egress, HeldServer, HeldService, ServerKey

Drained = frozenset[tuple[str, Address, int | None]]
"Service name, address and port of each server that is to get no new connections."

SPREAD: Final[dict[int, Network]] = {4: IPv4Network("172.16.0.0/16"), 6: IPv6Network("100::/64")}
"Outer sources of tunnels where the configuration names none; 100::/64 discards (RFC 6666)."
_SPREAD_BITS: Final = 32

_FALLBACK_PRIMES: Final = (1_009, 4_093, 16_381, 65_521)
_FALLBACK_SHARE: Final = 20
"Slots a server, at least, in the table of packets that no connection is known of."


def desired(
    director: Director, egress: Callable[[Address], Egress], secret: bytes, drained: Drained
) -> tuple[HeldService, ...]:
    """One service for each endpoint, servers in one order whatever the file's."""
    return tuple(
        _held(service, endpoint, egress, secret, drained)
        for service in director.services
        for endpoint in service.listen
    )


def _held(
    service: VirtualService, endpoint: Endpoint, egress: Callable[[Address], Egress], secret: bytes, drained: Drained
) -> HeldService:
    servers = tuple(
        sorted(
            (_server(server, endpoint, service.name, egress, drained) for server in service.servers),
            key=lambda server: (server.key.address.version, server.key.address.packed, server.key.port or 0),
        )
    )
    identities = tuple((server.key.address, server.key.port or 0) for server in servers)
    weights = tuple(server.weight for server in servers)
    slots, fallback = _regions(service.scheduler, identities, weights, service.maglev_slots, secret)
    return HeldService(endpoint, service.scheduler, service.clamp_mss, service.hash_port, servers, slots, fallback)


def _server(
    server: RealServer, endpoint: Endpoint, name: str, egress: Callable[[Address], Egress], drained: Drained
) -> HeldServer:
    local = egress(server.address) is Egress.LOCAL
    source, bits = _tunnel_source(server) if server.method is Method.TUN and not local else (None, 0)
    return HeldServer(
        ServerKey(endpoint, server.address, server.port),
        server.method,
        local,
        0 if (name, server.address, server.port) in drained else server.weight,
        source,
        bits,
    )


def _tunnel_source(server: RealServer) -> tuple[Address, int]:
    network = server.tunnel_source or SPREAD[server.address.version]
    return ip_address(network.network_address), min(network.max_prefixlen - network.prefixlen, _SPREAD_BITS)


@lru_cache(maxsize=32_768)
def _regions(
    scheduler: Scheduler,
    identities: tuple[tuple[Address, int], ...],
    weights: tuple[int, ...],
    maglev_slots: int,
    secret: bytes,
) -> tuple[bytes, bytes]:
    """The scheduler's region and the fallback. Kept: a reload changes few services."""
    hashes = maglev.keyed(maglev.identities(identities), secret)
    if scheduler is Scheduler.MH:
        table = _bytes(maglev.table(hashes, weights, maglev_slots))
        return table, table
    fallback = _bytes(maglev.table(hashes, weights, fallback_slots(len(identities))))
    if scheduler is Scheduler.SH:
        return fallback, fallback
    cycle = wrr.weighted_round_robin if scheduler is Scheduler.WRR else wrr.round_robin
    return _bytes(cycle(weights)), fallback


def fallback_slots(servers: int) -> int:
    """A prime of at least 20 slots a server."""
    return next((prime for prime in _FALLBACK_PRIMES if prime >= servers * _FALLBACK_SHARE), _FALLBACK_PRIMES[-1])


def _bytes(indices: NDArray[np.uint32]) -> bytes:
    return indices.astype("<u4").tobytes()
