"""What goes over the API, in both directions."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, IPvAnyAddress, TypeAdapter

from vipd.errors import Problem
from vipd.model.director import Method, Scheduler
from vipd.model.state import Connection, Egress

PROBLEMS = TypeAdapter(list[Problem])
CONNECTION = TypeAdapter(Connection)


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
    inactive: int
    connections: int
    packets_in: int
    bytes_in: int
    packets_out: int
    bytes_out: int
    rates: Rates | None = None
    egress: Egress
    next_hop: IPvAnyAddress | None = None


class ServiceStatus(_Message):
    name: str
    listen: list[str]
    scheduler: Scheduler
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
    used: int
    limit: int


class Status(_Message):
    instance: str
    pid: int | None
    "None where no daemon runs and the data plane itself was asked."
    version: str
    config: str | None
    services: list[ServiceStatus]
    vips: list[VipStatus]
    interfaces: list[InterfaceStatus]
    connections: Usage
    outcomes: dict[str, int]
    events: dict[str, int]
    problems: list[str] = []
    "What the daemon could not bring about yet and tries again."


class Reloaded(_Message):
    changes: int
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
