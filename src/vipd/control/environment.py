"""What a configuration asks of the machine that the machine cannot do. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vipd.errors import Problem
from vipd.model.director import Address, Director, Method, RealServer, VirtualService
from vipd.model.state import Egress

_WAY: dict[Egress, str] = {
    Egress.ROUTED: "behind a router",
    Egress.POINT_TO_POINT: "behind a link without MAC addresses",
    Egress.UNREACHABLE: "not reachable from here",
}


def environment(director: Director, egress: Callable[[Address], Egress]) -> tuple[Problem, ...]:
    """Every server whose method its path cannot carry; paths are those of the YAML document."""
    return tuple(
        problem
        for service in director.services
        for number, server in enumerate(service.servers)
        for problem in _of_server(service, server, f"services.{service.name}.servers[{number}]", egress(server.address))
    )


def _of_server(service: VirtualService, server: RealServer, path: str, way: Egress) -> Iterator[Problem]:
    if way is Egress.LOCAL:
        if server.port is not None and any(
            (endpoint.first_port, endpoint.last_port) != (server.port, server.port) for endpoint in service.listen
        ):
            yield Problem(
                path,
                f"{server.address} is the director itself, whose packets are not rewritten, "
                f"so port {server.port} cannot stand for the service's; leave the port out",
            )
    elif server.method is Method.DR and way is not Egress.ON_LINK:
        yield Problem(
            path,
            f"{server.address} is {_WAY[way]}, and dr needs its MAC address on a directly connected "
            "Ethernet segment; nat and tun would work",
        )
