"""What goes over the API, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, IPvAnyAddress, TypeAdapter

from vipd.dataplane.port import Matching
from vipd.errors import ConfigError, Problem
from vipd.model.director import STATES, Method, Scheduler
from vipd.model.state import Connection, Egress

PROBLEMS = TypeAdapter(list[Problem])
CONNECTION = TypeAdapter(Connection)
V = TypeVar("V")


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)


class Rates(_Message):
    """A second's worth, over the last few seconds."""

    connections: float
    packets_in: float
    bytes_in: float
    packets_out: float
    bytes_out: float


class ServerStatus(_Message):
    address: IPvAnyAddress
    port: int | None
    method: Method
    weight: int
    drained: bool
    removed: bool = False
    "No longer configured; only known connections are left."
    active: int
    "Known connections that are ESTABLISHED, SYN_SENT, SYN_RECV or SYNACK."
    inactive: int
    "All other known ones, and UDP's."
    connections: int
    "Made since the data plane was."
    packets_in: int
    "Towards the server."
    bytes_in: int
    "Of IP."
    packets_out: int
    "Back through the director: under NAT."
    bytes_out: int
    rates: Rates | None = None
    egress: Egress | None
    "None where no daemon asked the routes."
    next_hop: IPvAnyAddress | None = None


class ServiceStatus(_Message):
    name: str
    listen: list[str]
    scheduler: Scheduler | None
    "None where the service is configured no more."
    servers: list[ServerStatus]


class InterfaceStatus(_Message):
    name: str
    mode: str
    "native, generic, or missing where the director is not attached."


class VipStatus(_Message):
    address: IPvAnyAddress
    interface: str
    ours: bool
    "vipd put it there and takes it away on `vipd down`."
    conflicts: list[str] = []
    "MAC addresses of other machines that answer for it."


class Usage(_Message):
    """Of the connection table."""

    used: int
    limit: int
    "As configured; the table has room for some more."


class Status(_Message):
    instance: str
    pid: int | None
    "None where no daemon runs and the data plane itself was asked."
    version: str
    config: str | None
    "The file in force."
    services: list[ServiceStatus]
    vips: list[VipStatus]
    interfaces: list[InterfaceStatus]
    connections: Usage
    outcomes: dict[str, int]
    "Packets by how they ended: outcomes.md."
    events: dict[str, int]
    problems: list[str] = []
    "What the daemon could not bring about yet and tries again."


class Reloaded(_Message):
    changes: int
    "Endpoints of services that were put or removed."
    vips: int
    "VIPs claimed or released."


class DrainRequest(_Message):
    model_config = ConfigDict(extra="forbid", frozen=True)

    service: str
    server: str
    "ADDRESS or ADDRESS:PORT."


class Drained(_Message):
    service: str
    servers: list[str]
    connections: int
    "Known connections that are still on them."


class Failure(_Message):
    """What every refused request answers."""

    kind: str
    "config, environment or failure."
    message: str
    problems: list[Problem] = []


def matching(query: Mapping[str, str]) -> Matching:
    """Which connections a request means."""
    client = query.get("client")
    return Matching(
        client=None if client is None else _parsed("client", client, ip_network, "ADDRESS or ADDRESS/PREFIX"),
        vip=None if (text := query.get("vip")) is None else _parsed("vip", text, ip_address, "an address"),
        server=None if (text := query.get("server")) is None else _parsed("server", text, ip_address, "an address"),
        state=None if (text := query.get("state")) is None else _parsed("state", text, _state, ", ".join(STATES)),
    )


def _parsed(name: str, text: str, parse: Callable[[str], V], allowed: str) -> V:
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigError([Problem(name, f"{error}; allowed is {allowed}")]) from None


def _state(text: str) -> str:
    if text not in STATES:
        raise ValueError(f"{text!r} is no state of a connection")
    return text
