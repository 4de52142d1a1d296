"""Services as the control plane hands them to a data plane, and connections, in one line each."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import numpy as np

from vipd.model.director import Endpoint, Method, Scheduler, Transport
from vipd.model.state import Connection, HeldServer, HeldService, ServerKey


def endpoint(vip: str = "192.0.2.10", first: int = 80, last: int | None = None, transport: str = "tcp") -> Endpoint:
    return Endpoint(ip_address(vip), first, first if last is None else last, Transport(transport))


def server(
    where: Endpoint,
    address: str,
    port: int | None = None,
    weight: int = 1,
    method: Method = Method.NAT,
    tunnel_source: str | None = None,
) -> HeldServer:
    source = ip_address(tunnel_source) if tunnel_source else None
    return HeldServer(ServerKey(where, ip_address(address), port), method, False, weight, source, 16 if source else 0)


def service(
    where: Endpoint, *servers: HeldServer, scheduler: Scheduler = Scheduler.WLC, fallback: int = 13
) -> HeldService:
    """Each server with weight once in the slots, and round about in a fallback of `fallback` slots."""
    usable = [number for number, one in enumerate(servers) if one.weight]
    return HeldService(
        where,
        scheduler,
        clamp_mss=True,
        hash_port=False,
        servers=servers,
        slots=np.array(usable, "<u4").tobytes(),
        fallback=np.resize(np.array(usable, "<u4"), fallback if usable else 0).tobytes(),
    )


def connection(where: Endpoint, server_address: str, client: str = "198.51.100.7", **other: object) -> Connection:
    known = Connection(
        transport=where.transport,
        client=ip_address(client),
        client_port=40000,
        vip=where.vip,
        vip_port=where.first_port,
        server=ip_address(server_address),
        server_port=where.first_port,
        state="established" if where.transport is Transport.TCP else "udp",
        expires=60.0,
        active=where.transport is Transport.TCP,
    )
    return replace(known, **other)  # type: ignore[arg-type]
