"""What was done to a pair, step by step: run, written down for people, and read back.

A script is YAML: the table's size and the steps. Frames stand as hexadecimal, so that a script means
the same for ever; `shows` beside each is for people and is not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Final, TypeAlias

import yaml

from tests.support.oracle.showing import shown
from vipd.model.director import (
    Address,
    Endpoint,
    Method,
    OnServerRemoved,
    RealServer,
    Scheduler,
    Timeouts,
    Transport,
    VirtualService,
)


@dataclass(frozen=True, slots=True)
class Send:
    port: str
    "in, out, side or line: see tests.support.wires. On the line a frame is a packet."
    frame: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    nanoseconds: int


@dataclass(frozen=True, slots=True)
class Configure:
    services: tuple[VirtualService, ...]


@dataclass(frozen=True, slots=True)
class Collect:
    """The control plane forgets removed servers without connections."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """The data plane's sweeper passes the whole table."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A machine's MAC address is forgotten by the kernel, or known again."""

    address: Address
    known: bool


@dataclass(frozen=True, slots=True)
class Attach:
    """The interfaces that the director looks at, and those of them that XDP can redirect to."""

    attached: tuple[str, ...]
    redirect: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SetTimeouts:
    timeouts: Timeouts


Step: TypeAlias = Send | Wait | Configure | Collect | Sweep | Neighbour | Attach | SetTimeouts


@dataclass(frozen=True, slots=True)
class Script:
    about: str
    "What it shows."
    buckets: int
    steps: Sequence[Step] = field(default_factory=tuple)


def dump(script: Script) -> str:
    written = {"about": script.about, "buckets": script.buckets, "steps": [_written(step) for step in script.steps]}
    return yaml.safe_dump(written, sort_keys=False, width=120, allow_unicode=True)


def load(text: str) -> Script:
    given = yaml.safe_load(text)
    return Script(given["about"], given["buckets"], tuple(_read(step) for step in given["steps"]))


def _written(step: Step) -> dict[str, Any]:
    match step:
        case Send(port, frame):
            return {"send": port, "shows": shown(frame), "frame": frame.hex()}
        case Wait(nanoseconds):
            return {"wait": nanoseconds / 1e9}
        case Configure(services):
            return {"configure": [_service(each) for each in services]}
        case Collect():
            return {"collect": True}
        case Sweep():
            return {"sweep": True}
        case Neighbour(address, known):
            return {"neighbour": str(address), "known": known}
        case Attach(attached, redirect):
            return {"attach": list(attached), "redirect": list(redirect)}
        case SetTimeouts(timeouts):
            return {"timeouts": asdict(timeouts)}


def _read(step: dict[str, Any]) -> Step:
    match step:
        case {"send": port, "frame": frame}:
            return Send(port, bytes.fromhex(frame))
        case {"wait": seconds}:
            return Wait(round(seconds * 1e9))
        case {"configure": services}:
            return Configure(tuple(_read_service(each) for each in services))
        case {"collect": True}:
            return Collect()
        case {"sweep": True}:
            return Sweep()
        case {"neighbour": address, "known": known}:
            return Neighbour(ip_address(address), known)
        case {"attach": attached, "redirect": redirect}:
            return Attach(tuple(attached), tuple(redirect))
        case {"timeouts": timeouts}:
            return SetTimeouts(Timeouts(**timeouts))
    raise ValueError(f"no step: {step}")


def _service(service: VirtualService) -> dict[str, Any]:
    [endpoint] = service.listen
    return {
        "name": service.name,
        "vip": str(endpoint.vip),
        "ports": [endpoint.first_port, endpoint.last_port],
        "transport": str(endpoint.transport),
        "scheduler": str(service.scheduler),
        "on_server_removed": str(service.on_server_removed),
        "maglev_slots": service.maglev_slots,
        "clamp_mss": service.clamp_mss,
        "hash_port": service.hash_port,
        "servers": [dict(_server(each)) for each in service.servers],
    }


def _server(server: RealServer) -> Iterator[tuple[str, Any]]:
    yield "address", str(server.address)
    yield "method", str(server.method)
    yield "weight", server.weight
    if server.port is not None:
        yield "port", server.port
    if server.tunnel_source is not None:
        yield "tunnel_source", str(server.tunnel_source)


def _read_service(given: dict[str, Any]) -> VirtualService:
    first, last = given["ports"]
    return VirtualService(
        given["name"],
        (Endpoint(ip_address(given["vip"]), first, last, Transport(given["transport"])),),
        tuple(_read_server(each) for each in given["servers"]),
        Scheduler(given["scheduler"]),
        OnServerRemoved(given["on_server_removed"]),
        given["maglev_slots"],
        given["clamp_mss"],
        given["hash_port"],
    )


def _read_server(given: dict[str, Any]) -> RealServer:
    source = given.get("tunnel_source")
    return RealServer(
        ip_address(given["address"]),
        given.get("port"),
        given["weight"],
        Method(given["method"]),
        ip_network(source) if source else None,
    )


SCRIPTS: Final = "tests/spec/scripts"
