"""What a document must keep to beyond the form of each value. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias

from vipd.config import values
from vipd.config.document import Path
from vipd.config.messages import path_text
from vipd.config.schema import Document, Server, Service
from vipd.model.director import Address, Endpoint, Method, with_port

Finding: TypeAlias = tuple[Path, str]
Kept: TypeAlias = Mapping[Path, list[int]]
"The places in the file of list entries, for lists from which faulty entries were left out."

MOST_ENDPOINTS: Final = 16_383
MOST_SERVERS: Final = 65_535


def findings(document: Document, kept: Kept) -> list[Finding]:
    """Every rule that the document breaks."""
    found: list[Finding] = []
    found += _twice(("interfaces",), document.interfaces, kept)
    found += _vips(document)
    found += _tunnel(document)
    taken: dict[tuple[Address, str], list[tuple[Endpoint, Path]]] = {}
    endpoints = servers = 0
    for name, service in document.services.items():
        base: Path = ("services", name)
        try:
            values.service_name(name)
        except values.Refused as error:
            found.append((base, str(error)))
        for index, endpoint in enumerate(service.listen):
            place = (*base, "listen", _place(kept, (*base, "listen"), index))
            taken.setdefault((endpoint.vip, endpoint.transport), []).append((endpoint, place))
        found += _service(base, service, kept)
        endpoints += len(service.listen)
        servers += len(service.listen) * len(service.servers)
    found += _overlaps(taken)
    if endpoints > MOST_ENDPOINTS:
        found.append((("services",), f"{endpoints} endpoints to listen on; at most {MOST_ENDPOINTS}"))
    if servers > MOST_SERVERS:
        found.append((("services",), f"{servers} servers, counted for each endpoint; at most {MOST_SERVERS}"))
    return found


def warnings(document: Document) -> list[Finding]:
    """What is possible but hardly meant."""
    used = {endpoint.vip for service in document.services.values() for endpoint in service.listen}
    found: list[Finding] = [
        (("vips", key), "no service listens on this VIP; the director holds it all the same")
        for key in document.vips
        if values.vip(key) not in used
    ]
    for name, service in document.services.items():
        least = 100 * len(service.servers)
        if service.scheduler == "mh" and service.maglev_slots < least:
            advice = f"fewer than 100 a server make uneven shares; {values.prime(least)} or more is better"
            found.append((("services", name, "maglev_slots"), f"{service.maglev_slots} slots; {advice}"))
    return found


def _place(kept: Kept, path: Path, index: int) -> int:
    return kept[path][index] if path in kept else index


def _twice(path: Path, entries: list[str], kept: Kept) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        if entry in seen:
            yield (*path, _place(kept, path, index)), f"{values.shown(entry)} stands here twice; once"
        seen.add(entry)


def _vips(document: Document) -> Iterator[Finding]:
    seen: dict[Address, str] = {}
    for key in document.vips:
        try:
            address = values.vip(key)
        except values.Refused as error:
            yield ("vips", key), str(error)
            continue
        if address in seen:
            yield ("vips", key), f"the same address as {seen[address]}; once"
        seen[address] = key


def _tunnel(document: Document) -> Iterator[Finding]:
    families = [network.version for network in document.tunnel.source]
    if len(set(families)) < len(families):
        yield ("tunnel", "source"), f"two sources for IPv{families[0]}; one for each family"


def _overlaps(taken: Mapping[tuple[Address, str], list[tuple[Endpoint, Path]]]) -> Iterator[Finding]:
    """All ports beside single ones or ranges is the fallback; everything else must be disjoint."""
    for entries in taken.values():
        if len(entries) == 1:
            continue
        everything = [entry for entry in entries if entry[0].all_ports]
        ranges = sorted((e for e in entries if not e[0].all_ports), key=lambda entry: entry[0].first_port)
        for group in (everything, ranges):
            holder: tuple[Endpoint, Path] | None = None
            for entry in group:
                if holder is not None and entry[0].first_port <= holder[0].last_port:
                    first, second = sorted((holder, entry), key=entries.index)
                    by = f"{path_text(first[1])} ({first[0]})"
                    yield second[1], f"{second[0]} is taken by {by}; each VIP:port belongs to one service"
                if holder is None or entry[0].last_port > holder[0].last_port:
                    holder = entry


def _service(base: Path, service: Service, kept: Kept) -> Iterator[Finding]:
    families = {endpoint.vip.version for endpoint in service.listen}
    where = (*base, "servers")
    seen: dict[tuple[int, int, int | None], int] = {}
    ports = {(endpoint.first_port, endpoint.last_port) for endpoint in service.listen}
    only = next(iter(ports))[0] if len(ports) == 1 and all(first == last for first, last in ports) else None
    without = False
    for index, server in enumerate(service.servers):
        address, method = server.address, server.method or service.method
        without = without or method is None
        if families != {address.version} and method in (Method.NAT, Method.DR):
            yield (*where, _place(kept, where, index)), _other_family(address, method, service)
        if server.port is not None:
            for finding in _port(service, server.port, method):
                yield (*where, _place(kept, where, index), *finding[0]), finding[1]
        if server.tunnel_source is not None and (told := _source(server, method)):
            yield (*where, _place(kept, where, index), "tunnel_source"), told
        key = address.version, int(address), only if server.port is None else server.port
        if seen.setdefault(key, index) != index:
            first = path_text((*where, _place(kept, where, seen[key])))
            yield (
                (*where, _place(kept, where, index)),
                f"{with_port(server.address, server.port)} is the same server as {first}; once",
            )
    if without:
        yield (*base, "method"), "is missing; a method is nat, dr or tun, for the service or for each server"
    if len(service.servers) > service.maglev_slots:
        yield (
            (*base, "maglev_slots"),
            f"{service.maglev_slots} slots for {len(service.servers)} servers; at least one each",
        )


def _other_family(address: Address, method: Method, service: Service) -> str:
    other = next((e.vip for e in service.listen if e.vip.version != address.version), None)
    return (
        f"the server {address} is IPv{address.version} and the VIP {other} IPv{10 - address.version}; "
        f"{method} needs one family, only tun joins two"
    )


def _port(service: Service, port: int, method: Method | None) -> Iterator[Finding]:
    for endpoint in service.listen:
        if not endpoint.single_port:
            several = "all ports" if endpoint.all_ports else f"the ports {endpoint.first_port} to {endpoint.last_port}"
            yield ("port",), f"{port} cannot take the place of {several} of {endpoint}; leave port out"
        elif endpoint.first_port != port and method in (Method.DR, Method.TUN):
            wrong = f"{port} is not the service's port {endpoint.first_port}, and {method} leaves ports as they are"
            yield ("port",), f"{wrong}; leave port out, or use nat"


def _source(server: Server, method: Method | None) -> str:
    assert server.tunnel_source is not None
    if method is not None and method is not Method.TUN:
        return f"has no meaning with {method}; it is for tun"
    if server.tunnel_source.version != server.address.version:
        kind = IPv4Address if server.address.version == 4 else IPv6Address
        return f"{server.tunnel_source} is not of the server's family; an {kind.__name__[:4]} address or prefix"
    return ""
