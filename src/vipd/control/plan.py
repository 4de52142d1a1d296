"""What must change for the data plane to hold what is wanted, and how to say it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vipd.dataplane.port import Change, PutService, RemoveService
from vipd.model.director import Address, Director, Endpoint, OnServerRemoved
from vipd.model.state import HeldServer, HeldService, ServerKey


def policies(director: Director) -> dict[Endpoint, OnServerRemoved]:
    """What becomes of the connections of removed servers, by endpoint."""
    return {endpoint: service.on_server_removed for service in director.services for endpoint in service.listen}


def plan(
    wanted: Mapping[Endpoint, HeldService],
    held: Mapping[Endpoint, HeldService],
    policies: Mapping[Endpoint, OnServerRemoved],
) -> tuple[Change, ...]:
    """The changes that make `held` into `wanted`, nothing for what is equal.

    A service that is to go has no configuration any more; its policy is reset unless
    `policies` still names it.
    """
    gone = sorted([endpoint for endpoint in held if endpoint not in wanted], key=str)
    differing = [e for e, service in wanted.items() if (now := held.get(e)) is not service and now != service]
    return (
        *(RemoveService(endpoint, policies.get(endpoint, OnServerRemoved.RESET)) for endpoint in gone),
        *(
            PutService(wanted[endpoint], policies.get(endpoint, OnServerRemoved.RESET))
            for endpoint in sorted(differing, key=str)
        ),
    )


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a plan for people. `server` None: it is about the service as a whole."""

    endpoint: Endpoint
    server: ServerKey | None
    text: str

    def __str__(self) -> str:
        return f"{self.endpoint}: {self.text}"


def describe(changes: tuple[Change, ...], held: Mapping[Endpoint, HeldService]) -> tuple[Step, ...]:
    """The changes in words, against what is held now."""
    return tuple(step for change in changes for step in _steps(change, held))


def _steps(change: Change, held: Mapping[Endpoint, HeldService]) -> Iterator[Step]:
    if isinstance(change, RemoveService):
        yield Step(change.endpoint, None, f"remove the service, {_fate(change.on_server_removed)}")
        return
    new = change.service
    old = held.get(new.endpoint)
    if old is None:
        yield Step(new.endpoint, None, f"add the service with {new.scheduler} and {_count(len(new.servers))}")
        return
    if old.scheduler is not new.scheduler:
        yield Step(new.endpoint, None, f"scheduler {old.scheduler} becomes {new.scheduler}")
    for name in ("clamp_mss", "hash_port"):
        if getattr(old, name) != getattr(new, name):
            yield Step(new.endpoint, None, f"{name} becomes {str(getattr(new, name)).lower()}")
    before = {server.key: server for server in old.servers}
    after = {server.key: server for server in new.servers}
    for key in before.keys() - after.keys():
        yield Step(new.endpoint, key, f"remove server {_name(key)}, {_fate(change.on_server_removed)}")
    for key, server in after.items():
        if key not in before:
            yield Step(new.endpoint, key, f"add server {_name(key)} by {_way(server)} with weight {server.weight}")
        elif before[key] != server:
            yield Step(new.endpoint, key, f"server {_name(key)}: {', '.join(_differences(before[key], server))}")
    if old.servers == new.servers and old.scheduler is new.scheduler and _regions(old) != _regions(new):
        yield Step(new.endpoint, None, "cut the slot tables anew")


def _regions(service: HeldService) -> tuple[bytes, bytes]:
    return service.slots, service.fallback


def _differences(old: HeldServer, new: HeldServer) -> Iterator[str]:
    if old.weight != new.weight:
        yield f"weight {old.weight} becomes {new.weight}"
    if _way(old) != _way(new):
        yield f"{_way(old)} becomes {_way(new)}"
    if (old.tunnel_source, old.tunnel_source_bits) != (new.tunnel_source, new.tunnel_source_bits):
        yield f"outer source {_source(old)} becomes {_source(new)}"
    if old.removed is not new.removed:
        yield "is back" if new.removed is None else "is removed"


def _way(server: HeldServer) -> str:
    return "local delivery" if server.local else str(server.method)


def _source(server: HeldServer) -> str:
    if server.tunnel_source is None:
        return "none"
    return f"{server.tunnel_source}/{server.tunnel_source.max_prefixlen - server.tunnel_source_bits}"


def _name(key: ServerKey) -> str:
    return str(key.address) if key.port is None else f"{_host(key.address)}:{key.port}"


def _host(address: Address) -> str:
    return f"[{address}]" if address.version == 6 else str(address)


def _count(servers: int) -> str:
    return "1 server" if servers == 1 else f"{servers} servers"


def _fate(policy: OnServerRemoved) -> str:
    match policy:
        case OnServerRemoved.RESET:
            return "its connections are reset"
        case OnServerRemoved.RESCHEDULE:
            return "its connections go to other servers"
        case OnServerRemoved.KEEP:
            return "its connections go on"
