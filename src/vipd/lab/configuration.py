"""The director's configuration file for a topology. Pure text out of values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vipd.lab.topology import FAMILIES, Service, Topology
from vipd.model.director import Method, with_port


def director_configuration(topology: Topology, scheduler: str = "rr", method: Method | None = None) -> str:
    """Every service of the topology in both families, on all interfaces of the director; by one `method` if given."""
    devices = [topology.director.device_on(link.segment) for link in topology.director.links]
    lines = [f"# {topology.name}: {topology.summary}.", f"interfaces: [{', '.join(devices)}]", "services:"]
    for service in topology.services:
        for family in FAMILIES:
            wanted = service if method is None else replace(service, method=method)
            lines += _service(topology, wanted, family, scheduler)
    return "\n".join(lines) + "\n"


def _service(topology: Topology, service: Service, family: int, scheduler: str) -> Iterator[str]:
    listen = with_port(topology.vip_address(family), service.port)
    yield f"  {service.name}{family}:"
    yield f'    listen: "{listen}/{service.transport}"'
    yield f"    method: {service.method}"
    yield f"    scheduler: {scheduler}"
    yield "    servers:"
    for host in topology.servers:
        address = topology.address(host, family)
        mapped = service.method is Method.NAT
        yield f'      - "{with_port(address, service.server_port) if mapped else address}"'
