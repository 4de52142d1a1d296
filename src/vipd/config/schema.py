"""What a configuration document may hold, key by key. Knows neither files nor places in them.

The description of a field ends every message about it, and stands in the JSON Schema.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from vipd.config import values
from vipd.model.director import (
    CONNECTIONS,
    MAGLEV_SLOTS,
    Address,
    Endpoint,
    Method,
    Network,
    OnServerRemoved,
    Scheduler,
)

LARGEST_MAGLEV: Final = 1_048_573

_ADDRESS_TEXT: Final = {"type": "string", "examples": ["10.0.0.11", "2001:db8::11"]}
_ENDPOINT_TEXT: Final = {
    "type": "string",
    "pattern": r"^(\[[0-9A-Fa-f:.]+\]|[0-9.]+):([0-9]+(-[0-9]+)?|\*)/(tcp|udp)$",
    "examples": ["192.0.2.10:80/tcp", "[2001:db8::10]:8000-8099/udp", "192.0.2.10:*/tcp"],
}
_DURATION_TEXT: Final = {
    "anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$"}],
    "examples": ["15m", "100ms", 30],
}
_DURATION: Final = "a timeout is 100ms, 30s, 15m, 2h, 1d or a number of seconds"
_NETWORK_TEXT: Final = {"type": "string", "examples": ["192.0.2.1", "172.16.0.0/16", "100::/64"]}
_NAME_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 15}
_PATH_TEXT: Final = {"type": "string", "pattern": "^/"}
_PORT_NUMBER: Final = {"type": "integer", "minimum": 1, "maximum": 65535}


def _one_as_list(value: Any) -> Any:
    return value if isinstance(value, list | dict | None) else [value]


def _nothing_as_empty(value: Any) -> Any:
    return {} if value is None else value


ServerAddress = Annotated[Address, PlainValidator(values.address), WithJsonSchema(_ADDRESS_TEXT)]
ListenOn = Annotated[Endpoint, PlainValidator(values.endpoint), WithJsonSchema(_ENDPOINT_TEXT)]
Seconds = Annotated[float, PlainValidator(values.duration), WithJsonSchema(_DURATION_TEXT)]
Source = Annotated[Network, PlainValidator(values.tunnel_source), WithJsonSchema(_NETWORK_TEXT)]
Interface = Annotated[str, PlainValidator(values.interface), WithJsonSchema(_NAME_TEXT)]
SecretFile = Annotated[str, PlainValidator(values.secret_file), WithJsonSchema(_PATH_TEXT)]
PortNumber = Annotated[int, PlainValidator(values.port), WithJsonSchema(_PORT_NUMBER)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=False)


class Server(_Model):
    """A real server: ADDRESS, ADDRESS:PORT, or a mapping of these keys."""

    address: ServerAddress = Field(description="address is the real server's IP address")
    port: PortNumber | None = Field(None, description="a port is 1 to 65535; without it the one the client asked for")
    weight: int = Field(1, strict=True, ge=0, le=65535, description="a weight is 0 (drain) to 65535")
    method: Method | None = Field(None, description="a method is nat, dr or tun")
    tunnel_source: Source | None = Field(None, description="tunnel_source is an address or a prefix to spread over")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            address, port = values.server(value)
            return {"address": address, "port": port}
        if isinstance(value, list) and (hint := values.quote_hint(value)):
            raise values.Refused(f"a list is not a server{hint}")
        return value


class Service(_Model):
    """A virtual service: where it listens, and the real servers behind it."""

    listen: Annotated[
        list[ListenOn],
        BeforeValidator(_one_as_list),
        WithJsonSchema({"anyOf": [_ENDPOINT_TEXT, {"type": "array", "items": _ENDPOINT_TEXT, "minItems": 1}]}),
    ] = Field(
        min_length=1,
        description="listen is VIP:PORT/TRANSPORT or a list of these, as in 192.0.2.10:80/tcp",
    )
    method: Method | None = Field(None, description="a method is nat, dr or tun")
    scheduler: Scheduler = Field(Scheduler.WLC, description="a scheduler is rr, wrr, lc, wlc, sh or mh")
    on_server_removed: OnServerRemoved = Field(
        OnServerRemoved.RESET, description="on_server_removed is reset, reschedule or keep"
    )
    maglev_slots: int = Field(
        MAGLEV_SLOTS,
        strict=True,
        ge=251,
        le=LARGEST_MAGLEV,
        description=f"maglev_slots is a prime from 251 to {LARGEST_MAGLEV}, best 100 times the servers or more",
    )
    clamp_mss: bool = Field(True, strict=True, description="clamp_mss is true or false")
    hash_port: bool = Field(False, strict=True, description="hash_port is true or false")
    servers: list[Server] = Field(
        description="servers is a list of ADDRESS, ADDRESS:PORT or {address, port, weight, method, tunnel_source}",
    )

    @field_validator("maglev_slots")
    @classmethod
    def _prime(cls, value: int) -> int:
        if (next_one := values.prime(value)) != value:
            raise values.Refused(f"{value} is not a prime; the next one is {next_one}")
        return value


class VipSettings(_Model):
    """How the director holds a VIP."""

    interface: Interface | None = Field(None, description="interface is a device's name like eth0")
    routed: bool = Field(False, strict=True, description="routed is true or false")


class TimeoutSettings(_Model):
    """When a connection is forgotten in each state, LVS's names and defaults."""

    none: Seconds = Field(2, description=_DURATION)
    established: Seconds = Field(900, description=_DURATION)
    syn_sent: Seconds = Field(120, description=_DURATION)
    syn_recv: Seconds = Field(60, description=_DURATION)
    fin_wait: Seconds = Field(120, description=_DURATION)
    time_wait: Seconds = Field(120, description=_DURATION)
    close: Seconds = Field(10, description=_DURATION)
    close_wait: Seconds = Field(60, description=_DURATION)
    last_ack: Seconds = Field(30, description=_DURATION)
    listen: Seconds = Field(120, description=_DURATION)
    synack: Seconds = Field(120, description=_DURATION)
    udp: Seconds = Field(300, description=_DURATION)


class TunnelSettings(_Model):
    """Of all tunnels that have no tunnel_source of their own."""

    source: Annotated[
        list[Source],
        BeforeValidator(_one_as_list),
        WithJsonSchema({"anyOf": [_NETWORK_TEXT, {"type": "array", "items": _NETWORK_TEXT, "maxItems": 2}]}),
    ] = Field(
        default_factory=list,
        max_length=2,
        description="source is an address or a prefix, or a list of one for each family",
    )


class Document(_Model):
    """A whole configuration of vipd."""

    model_config = ConfigDict(title="vipd configuration")

    interfaces: list[Interface] = Field(
        min_length=1, max_length=1024, description="interfaces is a list of device names, as in [eth0, eth1]"
    )
    services: Annotated[dict[str, Service], BeforeValidator(_nothing_as_empty)] = Field(
        default_factory=dict,
        description="services is a mapping from names to services",
        json_schema_extra={"propertyNames": {"pattern": f"^{values.NAME}$"}},
    )
    vips: Annotated[
        dict[str, Annotated[VipSettings, BeforeValidator(_nothing_as_empty)]], BeforeValidator(_nothing_as_empty)
    ] = Field(default_factory=dict, description="vips is a mapping from addresses to {interface, routed}")
    connections: int = Field(
        CONNECTIONS,
        strict=True,
        ge=1024,
        le=67_108_864,
        description="connections is how many are remembered at most, 1024 to 67108864",
    )
    timeouts: Annotated[TimeoutSettings, BeforeValidator(_nothing_as_empty)] = Field(
        default_factory=TimeoutSettings, description="timeouts is a mapping from states to durations"
    )
    secret_file: SecretFile | None = Field(None, description="secret_file is an absolute path")
    tunnel: Annotated[TunnelSettings, BeforeValidator(_nothing_as_empty)] = Field(
        default_factory=TunnelSettings, description="tunnel is {source: ADDRESS or PREFIX}"
    )


def json_schema() -> dict[str, Any]:
    """For editors and for those who generate configurations."""
    schema = Document.model_json_schema()
    text = {"type": "string", "examples": ["10.0.0.11", "10.0.0.11:8080", "[2001:db8::11]:8080"]}
    schema["$defs"]["Server"] = {"anyOf": [text, schema["$defs"]["Server"]]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
