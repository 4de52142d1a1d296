"""Values of the model to rows of the maps and back. Pure; knows no file descriptor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vipd.dataplane import _abi
from vipd.dataplane.port import Port
from vipd.model.director import Address, Endpoint, Method, OnServerRemoved, Scheduler, Timeouts, Transport
from vipd.model.state import HeldServer, HeldService, ServerKey

Rows: TypeAlias = NDArray[Any]

V4_MAPPED: Final = bytes(10) + b"\xff\xff"
NO_ADDRESS: Final = bytes(16)
PROTOCOLS: Final = {Transport.TCP: 6, Transport.UDP: 17}
TRANSPORTS: Final = {number: transport for transport, number in PROTOCOLS.items()}
STATUS: Final = {
    OnServerRemoved.RESET: _abi.ServerStatus.REMOVED_RESET,
    OnServerRemoved.RESCHEDULE: _abi.ServerStatus.REMOVED_RESCHEDULE,
    OnServerRemoved.KEEP: _abi.ServerStatus.REMOVED_KEEP,
}
INDEX: Final = np.dtype("<u4")
SLOT_BYTES: Final = INDEX.itemsize

_METHODS: Final = {method: _abi.Method[method.name] for method in Method}
_SCHEDULERS: Final = {scheduler: _abi.Scheduler[scheduler.name] for scheduler in Scheduler}
METHOD_OF: Final = {int(number): method for method, number in _METHODS.items()}
SCHEDULER_OF: Final = {int(number): scheduler for scheduler, number in _SCHEDULERS.items()}
_VIP_PREFIX: Final = 144
"Bits of `service_range` before the port."
_NS: Final = 1_000_000_000


def pack_address(address: Address) -> bytes:
    return address.packed if address.version == 6 else V4_MAPPED + address.packed


def unpack_address(raw: bytes) -> Address:
    return IPv4Address(raw[12:]) if raw.startswith(V4_MAPPED) else IPv6Address(raw)


def addresses(packed: Iterable[bytes]) -> Rows:
    """A column of addresses."""
    return np.frombuffer(b"".join(packed), _abi.ADDR)


def packed_endpoint(row: Any) -> Endpoint:
    """The endpoint that a row of service_table says."""
    return Endpoint(
        unpack_address(row["vip"].tobytes()),
        int(row["first_port"]),
        int(row["last_port"]),
        TRANSPORTS[int(row["protocol"])],
    )


def server_rows(servers: Sequence[HeldServer], service_id: int) -> Rows:
    rows = np.zeros(len(servers), _abi.REAL_SERVER)
    rows["address"] = addresses(pack_address(server.key.address) for server in servers)
    rows["tunnel_source"] = addresses(
        pack_address(server.tunnel_source) if server.tunnel_source else NO_ADDRESS for server in servers
    )
    rows["service"] = service_id
    rows["weight"] = [server.weight for server in servers]
    rows["port"] = [server.key.port or 0 for server in servers]
    rows["method"] = [_abi.Method.LOCAL if server.local else _METHODS[server.method] for server in servers]
    rows["status"] = _abi.ServerStatus.PRESENT
    rows["tunnel_source_bits"] = [server.tunnel_source_bits for server in servers]
    return rows


def held_server(row: Any, endpoint: Endpoint) -> HeldServer:
    source = row["tunnel_source"].tobytes()
    method = int(row["method"])
    return HeldServer(
        key=ServerKey(endpoint, unpack_address(row["address"].tobytes()), int(row["port"]) or None),
        method=METHOD_OF.get(method, Method.NAT),
        local=method == _abi.Method.LOCAL,
        weight=int(row["weight"]),
        tunnel_source=None if source == NO_ADDRESS else unpack_address(source),
        tunnel_source_bits=int(row["tunnel_source_bits"]),
    )


def identities(rows: Rows) -> list[bytes]:
    """What makes a server of a service the same server: address, port and method."""
    raw = np.zeros((len(rows), 19), "u1")
    raw[:, :16] = np.ascontiguousarray(rows["address"]).view("u1").reshape(-1, 16)
    raw[:, 16:18] = np.ascontiguousarray(rows["port"]).view("u1").reshape(-1, 2)
    raw[:, 18] = rows["method"]
    return [identity.tobytes() for identity in raw]


def fill_service(row: Any, service: HeldService) -> None:
    """All of a row of service_table but the regions."""
    endpoint = service.endpoint
    row["vip"] = addresses([pack_address(endpoint.vip)])[0]
    row["first_port"], row["last_port"] = endpoint.first_port, endpoint.last_port
    row["protocol"] = PROTOCOLS[endpoint.transport]
    row["scheduler"] = _SCHEDULERS[service.scheduler]
    row["flags"] = (_abi.ServiceFlag.CLAMP_MSS if service.clamp_mss else 0) | (
        _abi.ServiceFlag.MH_PORT if service.hash_port else 0
    )


def held_service(row: Any, servers: tuple[HeldServer, ...], slots: bytes, fallback: bytes) -> HeldService:
    flags = int(row["flags"])
    return HeldService(
        endpoint=packed_endpoint(row),
        scheduler=SCHEDULER_OF[int(row["scheduler"])],
        clamp_mss=bool(flags & _abi.ServiceFlag.CLAMP_MSS),
        hash_port=bool(flags & _abi.ServiceFlag.MH_PORT),
        servers=servers,
        slots=slots,
        fallback=fallback,
    )


def service_keys(endpoints: Sequence[Endpoint]) -> Rows:
    """Keys of the services map, for endpoints of one port."""
    keys = np.zeros(len(endpoints), _abi.SERVICE_KEY)
    keys["vip"] = addresses(pack_address(endpoint.vip) for endpoint in endpoints)
    keys["port"] = [endpoint.first_port for endpoint in endpoints]
    keys["protocol"] = [PROTOCOLS[endpoint.transport] for endpoint in endpoints]
    return keys


def port_prefixes(first: int, last: int) -> Iterator[tuple[int, int]]:
    """The fewest prefixes (port, length in bits) that cover the ports and no other."""
    while first <= last:
        size = min(first & -first or 1 << 16, 1 << (last - first + 1).bit_length() - 1)
        yield first, 16 - (size.bit_length() - 1)
        first += size


def range_keys(endpoint: Endpoint) -> Rows:
    """Keys of the service_ranges map."""
    prefixes = list(port_prefixes(endpoint.first_port, endpoint.last_port))
    keys = np.zeros(len(prefixes), _abi.SERVICE_RANGE)
    keys["prefixlen"] = [_VIP_PREFIX + length for _, length in prefixes]
    keys["vip"] = addresses([pack_address(endpoint.vip)])[0]
    keys["protocol"] = PROTOCOLS[endpoint.transport]
    keys["port"] = [port for port, _ in prefixes]
    return keys


def interest_of(columns: Iterable[Rows]) -> Rows:
    """The one value of the interest map: addr.h's addr_fold of every address."""
    value = np.zeros(1, _abi.INTEREST)
    bits = np.zeros(_abi.Limits.INTEREST_WORDS * 64, bool)
    for column in columns:
        words = np.ascontiguousarray(column).view("<u4").reshape(-1, 4)
        folded = np.bitwise_xor.reduce(words, axis=1)
        bits[(folded ^ folded >> 16) & 0xFFFF] = True
    value["bits"][0] = np.packbits(bits, bitorder="little").view("<u8")
    return value


def nat_sources(servers: Rows, services: Rows) -> dict[bytes, int]:
    """Key (address, port, protocol of a NAT server) to the number of the server that replies from there.

    0 where the port that the client knows cannot be told: servers of more than one service, or of
    one of many ports. Servers that take the packet's own port for a service of many cannot be listed.
    """
    numbers = np.flatnonzero((servers["status"] != _abi.ServerStatus.FREE) & (servers["method"] == _abi.Method.NAT))
    # Of a server that was removed and is back, the number that is in force comes first.
    numbers = numbers[np.argsort(servers["status"][numbers] != _abi.ServerStatus.PRESENT, kind="stable")]
    nat = servers[numbers]
    of = services[nat["service"]]
    single = of["first_port"] == of["last_port"]
    port = np.where(nat["port"] != 0, nat["port"], np.where(single, of["first_port"], 0))
    keys = np.zeros(len(nat), _abi.SERVICE_KEY)
    keys["vip"], keys["port"], keys["protocol"] = nat["address"], port, of["protocol"]
    listed = port != 0
    names: list[bytes] = keys.view(f"V{keys.itemsize}")[listed].tolist()
    found: dict[bytes, int] = {}
    service_of: dict[bytes, int] = {}
    for name, number, service in zip(
        names, np.where(single, numbers, 0)[listed].tolist(), nat["service"][listed].tolist(), strict=True
    ):
        if service_of.setdefault(name, service) != service:
            found[name] = 0
        found.setdefault(name, number)
    return found


def timeout_ticks(timeouts: Timeouts) -> Rows:
    """The timeouts map: a tick more than asked for is harmless, one fewer is not."""
    ticks = np.zeros(_abi.ConnectionState.COUNT, INDEX)
    for state in _abi.ConnectionState:
        if state != _abi.ConnectionState.COUNT:
            seconds: float = getattr(timeouts, state.name.lower())
            ticks[state] = math.ceil(seconds * _NS / (1 << _abi.Limits.TICK_SHIFT))
    return ticks


def interface_rows(ports: Sequence[Port]) -> Mapping[int, Rows]:
    """Index in the interfaces map to its row; ValueError where two interfaces share one."""
    rows: dict[int, Rows] = {}
    for port in ports:
        index = port.ifindex % _abi.Limits.INTERFACES
        if index in rows:
            raise ValueError(f"{port.name}: its number {port.ifindex} cannot be told from another interface's")
        row = np.zeros(1, _abi.INTERFACE)
        row["ifindex"] = port.ifindex
        row["mac"] = np.frombuffer(port.mac, "u1")
        row["flags"] = _abi.InterfaceFlag.ATTACHED | (_abi.InterfaceFlag.REDIRECT if port.redirect else 0)
        rows[index] = row
    return rows
