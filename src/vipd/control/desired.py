"""From what the operator asks for to what the data plane is to hold. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from itertools import chain
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vipd.control import maglev, wrr
from vipd.model.director import Address, Director, Endpoint, Method, Network, RealServer, Scheduler, VirtualService
from vipd.model.state import Egress, HeldServer, HeldService, ServerKey

Drain: TypeAlias = tuple[str, Address, int | None]
"A service's name, a server's address, and its port or None for all of that address."

TUNNEL_SOURCE_V4: Final = IPv4Network("172.16.0.0/16")
TUNNEL_SOURCE_V6: Final = IPv6Network("100::/64")
SPREAD_BITS: Final = 32

_NOBODY: Final[frozenset[tuple[Address, int | None]]] = frozenset()
SMALLEST_FALLBACK: Final = 251
FALLBACK_EACH: Final = 12


def fallback_slots(servers: int, most: int) -> int:
    """How large the table for packets of unknown connections is: a prime, 12 slots a server or more.

    It serves only while the connection table is full, so that shares within some 8 % will
    do; every slot more costs time in each change and four bytes in the kernel.
    """
    return min(maglev_prime(max(SMALLEST_FALLBACK, FALLBACK_EACH * servers)), most)


def maglev_prime(least: int) -> int:
    while any(least % divisor == 0 for divisor in range(2, int(least**0.5) + 1)):
        least += 1
    return least


def server_key(endpoint: Endpoint, server: RealServer) -> ServerKey:
    """A port that says no more than the endpoint does is left out: both are the same server."""
    same = endpoint.single_port and server.port == endpoint.first_port
    return ServerKey(endpoint, server.address, None if same else server.port)


class _Input(NamedTuple):
    """All that a service's part of the desired state depends on."""

    service: VirtualService
    egress: tuple[Egress, ...]
    drained: frozenset[tuple[Address, int | None]]
    secret: bytes


class Desired:
    """The desired state, remembered by service, so that a small change costs little.

    What it returns depends on the arguments alone; what has not changed is the same object.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[_Input, tuple[HeldService, ...]]] = {}

    def __call__(
        self,
        director: Director,
        reach: Callable[[VirtualService], tuple[Egress, ...]],
        secret: bytes,
        drained: frozenset[Drain] = frozenset(),
    ) -> dict[Endpoint, HeldService]:
        """`reach`: how a service's servers are reached, in their order."""
        by_name: dict[str, frozenset[tuple[Address, int | None]]] = {}
        for name, address, port in drained:
            by_name[name] = by_name.get(name, _NOBODY) | {(address, port)}
        kept: dict[str, tuple[_Input, tuple[HeldService, ...]]] = {}
        fresh: list[_Input] = []
        for service in director.services:
            given = _Input(service, reach(service), by_name.get(service.name, _NOBODY), secret)
            last = self._last.get(service.name)
            if last is not None and last[0] == given:
                kept[service.name] = last
            else:
                fresh.append(given)
        for given, held in zip(fresh, _services(fresh, secret), strict=True):
            kept[given.service.name] = given, held
        self._last = kept
        return {each.endpoint: each for service in director.services for each in kept[service.name][1]}


def desired(
    director: Director,
    egress: Callable[[Address], Egress],
    secret: bytes,
    drained: frozenset[Drain] = frozenset(),
) -> dict[Endpoint, HeldService]:
    """The whole desired state, without a memory."""

    def reach(service: VirtualService) -> tuple[Egress, ...]:
        return tuple([egress(server.address) for server in service.servers])

    return Desired()(director, reach, secret, drained)


@dataclass(frozen=True, slots=True)
class _Part:
    """A service of the data plane before its tables are made."""

    service: VirtualService
    endpoint: Endpoint
    servers: tuple[HeldServer, ...]
    request: maglev.Request
    slots: int
    "Of the Maglev table."


def _services(inputs: Sequence[_Input], secret: bytes) -> list[tuple[HeldService, ...]]:
    """One service of the data plane for each endpoint; equal tables are one object."""
    parts = [[_part(given, endpoint) for endpoint in given.service.listen] for given in inputs]
    wanted: dict[int, dict[maglev.Request, bytes]] = {}
    for part in chain.from_iterable(parts):
        wanted.setdefault(part.slots, {})[part.request] = b""
    for slots, of in wanted.items():
        for request, table in zip(list(of), maglev.tables(list(of), slots, secret), strict=True):
            of[request] = _bytes(table)
    return [tuple([_held(part, wanted[part.slots][part.request]) for part in each]) for each in parts]


def _part(given: _Input, endpoint: Endpoint) -> _Part:
    service = given.service
    servers = sorted(
        [
            _server(endpoint, server, egress, given.drained)
            for server, egress in zip(service.servers, given.egress, strict=True)
        ],
        key=_canonical,
    )
    identity = maglev.identities([(each.key.address, each.key.port or 0) for each in servers])
    weights = tuple([each.weight for each in servers])
    whole = service.scheduler in (Scheduler.SH, Scheduler.MH)
    slots = service.maglev_slots if whole else fallback_slots(sum(map(bool, weights)), service.maglev_slots)
    return _Part(service, endpoint, tuple(servers), maglev.Request(identity, weights), slots)


def _held(part: _Part, table: bytes) -> HeldService:
    service, weights = part.service, part.request.weights
    match service.scheduler:
        case Scheduler.SH | Scheduler.MH:
            slots = table
        case Scheduler.WRR:
            slots = _bytes(wrr.sequence(weights))
        case _:
            slots = _bytes(np.flatnonzero(np.asarray(weights, np.int64)))
    return HeldService(
        part.endpoint, service.scheduler, service.clamp_mss, service.hash_port, part.servers, slots, table
    )


def _canonical(server: HeldServer) -> tuple[int, int, int]:
    key = server.key
    return key.address.version, int(key.address), key.port or 0


def _server(
    endpoint: Endpoint, server: RealServer, egress: Egress, drained: frozenset[tuple[Address, int | None]]
) -> HeldServer:
    key = server_key(endpoint, server)
    local = egress is Egress.LOCAL
    weight = 0 if drained and is_drained(key, drained) else server.weight
    source, bits = (None, 0) if local or server.method is not Method.TUN else tunnel_source(server)
    # No method carries what stays here; nat is how the data plane reads it back.
    return HeldServer(key, Method.NAT if local else server.method, local, weight, source, bits)


def is_drained(key: ServerKey, drained: frozenset[tuple[Address, int | None]]) -> bool:
    port = key.endpoint.first_port if key.port is None and key.endpoint.single_port else key.port
    return any(key.address == address and wanted in (None, port) for address, wanted in drained)


def tunnel_source(server: RealServer) -> tuple[Address, int]:
    """The outer source of a tunnel and how many of its low bits are spread over the flows."""
    default: Network = TUNNEL_SOURCE_V4 if isinstance(server.address, IPv4Address) else TUNNEL_SOURCE_V6
    network = server.tunnel_source or default
    return network.network_address, min(network.max_prefixlen - network.prefixlen, SPREAD_BITS)


def _bytes(table: NDArray[np.unsignedinteger[Any]] | NDArray[np.signedinteger[Any]]) -> bytes:
    return table.astype("<u4", copy=False).tobytes()
