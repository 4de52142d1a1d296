"""What a configuration asks for that this machine's network cannot give. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from vipd.errors import Problem
from vipd.model.director import Address, Director, Method, RealServer, VirtualService
from vipd.model.state import Egress


def environment(director: Director, egress: Callable[[Address], Egress]) -> tuple[Problem, ...]:
    """Reasons to refuse the configuration here; paths are those of the document."""
    return tuple(
        problem
        for service in director.services
        for problem in refusals(service, [egress(server.address) for server in service.servers])
    )


def refusals(service: VirtualService, egress: Sequence[Egress]) -> tuple[Problem, ...]:
    """Those of one service, whose servers are reached so, in their order."""
    return tuple(
        [
            Problem(f"services.{service.name}.servers[{index}]", told)
            for index, (server, way) in enumerate(zip(service.servers, egress, strict=True))
            if (way is Egress.LOCAL or server.method is Method.DR) and (told := _refusal(service, server, way))
        ]
    )


def environment_warnings(
    director: Director, egress: Callable[[Address], Egress], device: Callable[[Address], str]
) -> tuple[Problem, ...]:
    """Servers without a route for now, and those whose replies the data plane would not see.

    `device`: what packets to an address leave by.
    """
    return tuple(
        Problem(path, told)
        for path, _, server in _servers(director)
        if (told := _warning(director, server, egress(server.address), device(server.address)))
    )


def _warning(director: Director, server: RealServer, egress: Egress, device: str) -> str:
    if egress is Egress.UNREACHABLE:
        return f"no route to {server.address} now; its packets are dropped until there is one"
    if server.method is Method.NAT and egress is not Egress.LOCAL and device not in director.interfaces:
        return (
            f"{server.address} is reached through {device}, which is not among interfaces; replies that come in there "
            "are not seen and never get the VIP as their source"
        )
    return ""


def _servers(director: Director) -> Iterator[tuple[str, VirtualService, RealServer]]:
    for service in director.services:
        for index, server in enumerate(service.servers):
            yield f"services.{service.name}.servers[{index}]", service, server


def _refusal(service: VirtualService, server: RealServer, egress: Egress) -> str:
    if egress is Egress.LOCAL:
        return _local(service, server)
    if server.method is not Method.DR or egress in (Egress.ON_LINK, Egress.UNREACHABLE):
        return ""
    place = "behind a router" if egress is Egress.ROUTED else "behind a point-to-point link, which has no MAC addresses"
    return (
        f"{server.address} is {place}; dr needs a server on a directly connected Ethernet segment, "
        "here nat and tun would work"
    )


def _local(service: VirtualService, server: RealServer) -> str:
    """The kernel delivers the packet as it is, so that the port cannot change."""
    for endpoint in service.listen:
        if endpoint.vip.version != server.address.version:
            return f"{server.address} is this machine itself and {endpoint.vip} of another family; leave it out here"
        if server.port is not None and (not endpoint.single_port or endpoint.first_port != server.port):
            return (
                f"{server.address} is this machine itself, where a packet keeps its port, but {server.port} is not "
                f"the port of {endpoint}; leave port out"
            )
    return ""
