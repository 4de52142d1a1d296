"""A `Director` as plain data that `load` would read as the same. Pure."""

from __future__ import annotations

from dataclasses import asdict
from ipaddress import IPv4Network
from typing import Any

from vipd.model.director import Director, Method, Network, RealServer, Timeouts, VirtualService


def dump(director: Director) -> dict[str, Any]:
    """JSON- and YAML-ready; whatever has its default is left out."""
    plain: dict[str, Any] = {"interfaces": list(director.interfaces)}
    plain["services"] = {service.name: _service(service) for service in director.services}
    vips = {
        str(vip.address): {
            **({"interface": vip.interface} if vip.interface is not None else {}),
            **({"routed": True} if vip.routed else {}),
        }
        for vip in director.vips.values()
    }
    plain["vips"] = vips
    plain["connections"] = director.connections
    if director.timeouts != Timeouts():
        plain["timeouts"] = asdict(director.timeouts)
    if director.secret_file is not None:
        plain["secret_file"] = director.secret_file
    return plain


def _service(service: VirtualService) -> dict[str, Any]:
    return {
        "listen": [str(endpoint) for endpoint in service.listen],
        "scheduler": str(service.scheduler),
        "on_server_removed": str(service.on_server_removed),
        "maglev_slots": service.maglev_slots,
        "clamp_mss": service.clamp_mss,
        "hash_port": service.hash_port,
        "servers": [_server(server) for server in service.servers],
    }


def _server(server: RealServer) -> dict[str, Any]:
    plain: dict[str, Any] = {"address": str(server.address)}
    if server.port is not None:
        plain["port"] = server.port
    plain["weight"] = server.weight
    plain["method"] = str(server.method)
    if server.method is Method.TUN and server.tunnel_source is not None:
        plain["tunnel_source"] = _source(server.tunnel_source)
    return plain


def _source(network: Network) -> str:
    single = 32 if isinstance(network, IPv4Network) else 128
    return str(network.network_address) if network.prefixlen == single else str(network)
