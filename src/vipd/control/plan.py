"""Two sets of services to the changes between them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from vipd.dataplane.port import Change, PutService, RemoveService
from vipd.model.director import Endpoint, OnServerRemoved
from vipd.model.state import HeldServer, HeldService


def plan(
    wanted: Iterable[HeldService],
    held: Mapping[Endpoint, HeldService],
    policies: Mapping[Endpoint, OnServerRemoved],
) -> tuple[Change, ...]:
    """Removals first, so that their numbers and slots are the last to be taken again."""
    goal = {service.endpoint: service for service in wanted}
    gone = sorted(held.keys() - goal.keys(), key=str)
    removed = [RemoveService(endpoint, _policy(policies, endpoint)) for endpoint in gone]
    put = [
        PutService(service, _policy(policies, endpoint))
        for endpoint, service in goal.items()
        if held.get(endpoint) != service
    ]
    return (*removed, *put)


def _policy(policies: Mapping[Endpoint, OnServerRemoved], endpoint: Endpoint) -> OnServerRemoved:
    return policies.get(endpoint, OnServerRemoved.RESET)


def describe(changes: Iterable[Change], held: Mapping[Endpoint, HeldService]) -> Iterator[str]:
    """A line for people about each thing that changes."""
    for change in changes:
        if isinstance(change, RemoveService):
            yield f"remove service {change.endpoint}"
            continue
        service, before = change.service, held.get(change.service.endpoint)
        if before is None:
            yield f"add service {service.endpoint} ({service.scheduler}, {len(service.servers)} servers)"
            continue
        if before.scheduler is not service.scheduler:
            yield f"{service.endpoint}: scheduler {before.scheduler} becomes {service.scheduler}"
        yield from _describe_servers(service, before)


def _describe_servers(service: HeldService, before: HeldService) -> Iterator[str]:
    was = {server.key: server for server in before.servers}
    now = {server.key: server for server in service.servers}
    for key in was.keys() - now.keys():
        yield f"{service.endpoint}: remove server {key.address}"
    for key, server in now.items():
        if key not in was:
            yield f"{service.endpoint}: add server {key.address} (weight {server.weight})"
        else:
            yield from _describe_server(service.endpoint, server, was[key])


def _describe_server(endpoint: Endpoint, server: HeldServer, before: HeldServer) -> Iterator[str]:
    if server.weight != before.weight:
        yield f"{endpoint}: server {server.key.address} weight {before.weight} becomes {server.weight}"
    if server.method is not before.method:
        yield f"{endpoint}: server {server.key.address} method {before.method} becomes {server.method}"
