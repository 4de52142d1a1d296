"""Which servers of a service an operator drained. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from vipd.daemon.report import ports
from vipd.drivers.ledger import Drain
from vipd.errors import ConfigError, Problem
from vipd.model.director import Address, Director, RealServer, VirtualService, with_port


def drained_servers(drains: Iterable[Drain]) -> frozenset[tuple[str, Address, int | None]]:
    return frozenset((drain.service, drain.address, drain.port) for drain in drains)


def matching_servers(director: Director, name: str, text: str) -> tuple[VirtualService, tuple[RealServer, ...]]:
    """The servers of a service that ADDRESS or ADDRESS:PORT names."""
    service = next((service for service in director.services if service.name == name), None)
    if service is None:
        names = [service.name for service in director.services]
        raise ConfigError([Problem("service", f"there is no service {name!r}{_hint(name, names)}")])
    found = tuple(server for server in service.servers if text in _names(service, server))
    if not found:
        names = [with_port(server.address, server.port) for server in service.servers]
        raise ConfigError([Problem("server", f"service {name} has no server {text!r}{_hint(text, names)}")])
    return service, found


def pruned(director: Director, drains: Iterable[Drain]) -> tuple[Drain, ...]:
    """Those of servers that there no longer are: a new server of the same address is not drained."""
    drains = tuple(drains)
    named = {drain.service for drain in drains}
    services = [service for service in director.services if service.name in named]
    known = {(service.name, server.address, server.port) for service in services for server in service.servers}
    return tuple(drain for drain in drains if (drain.service, drain.address, drain.port) not in known)


def _names(service: VirtualService, server: RealServer) -> set[str]:
    address = server.address
    return {
        str(address),
        address.exploded,
        f"[{address}]",
        *(with_port(address, port) for port in ports(service, server)),
    }


def _hint(text: str, names: list[str]) -> str:
    close = get_close_matches(text, names, 1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are: {', '.join(names[:20])}" if names else ""
