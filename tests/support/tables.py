"""The data plane's tables written and read by hand, row by row: a second, independent view of what they mean."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any, Final

import numpy as np

from tests.support.bpf import Bpf, Result
from tests.support.wires import Wire, Wires
from vipd.dataplane import _abi
from vipd.dataplane._abi import ConnectionFlag, ConnectionState, Method, Scheduler, ServerStatus

TCP: Final = 6
UDP: Final = 17
TICK: Final = 1 << 26
MAGLEV: Final = 251
"Slots of a fallback region here."
HASH_KEY: Final = [0x0706050403020100, 0x0F0E0D0C0B0A0908]
FLOW_KEY: Final = [0x9E3779B97F4A7C15 * (n + 1) % 2**64 for n in range(11)]
NEXT_HOP_AGE: Final = 60_000_000_000
"ns; longer than any test, so that none depends on the machine's speed."
CONSTANTS: Final[dict[str, Any]] = {
    "hash_key": HASH_KEY,
    "flow_key": FLOW_KEY,
    "next_hop_age": NEXT_HOP_AGE,
}
"The load-time configuration, but for the size of the table."
# Linux 6.12, net/netfilter/ipvs/ip_vs_proto_tcp.c tcp_timeouts, ip_vs_proto_udp.c udp_timeouts.
TIMEOUTS: Final = {
    ConnectionState.NONE: 2,
    ConnectionState.ESTABLISHED: 900,
    ConnectionState.SYN_SENT: 120,
    ConnectionState.SYN_RECV: 60,
    ConnectionState.FIN_WAIT: 120,
    ConnectionState.TIME_WAIT: 120,
    ConnectionState.CLOSE: 10,
    ConnectionState.CLOSE_WAIT: 60,
    ConnectionState.LAST_ACK: 30,
    ConnectionState.LISTEN: 120,
    ConnectionState.SYNACK: 120,
    ConnectionState.UDP: 300,
}
_IDS: Final = 256
"No test uses more services, or more servers."
_INDEX: Final = np.dtype("<u4")
_WIDE: Final = np.dtype("<u8")


def packed(address: str) -> bytes:
    """16 bytes, IPv4 as ::ffff:a.b.c.d."""
    raw = ip_address(address).packed
    return raw if len(raw) == 16 else bytes(10) + b"\xff\xff" + raw


def unpacked(raw: bytes) -> str:
    address = ip_address(raw)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def ticks(seconds: float) -> int:
    return math.ceil(seconds * 1e9 / TICK)


def now() -> int:
    """As the data plane reads the clock: coarse, in ticks."""
    return time.clock_gettime_ns(6) // TICK  # CLOCK_MONOTONIC_COARSE


def row(layout: np.dtype[Any], **fields: Any) -> Any:
    made = np.zeros(1, layout)
    for name, value in fields.items():
        made[name] = np.frombuffer(packed(value), _abi.ADDR) if isinstance(value, str) else value
    return made


@dataclass(frozen=True, slots=True)
class Entry:
    """A connection as the table has it."""

    position: int
    source: str
    destination: str
    source_port: int
    destination_port: int
    protocol: int
    expires: int
    "In ticks."
    state: ConnectionState
    flags: ConnectionFlag | int
    real_server: int
    service: int
    twin: int | None
    "Position of the other entry."
    service_port: int
    return_hop: int

    @property
    def is_reply(self) -> bool:
        return bool(self.flags & ConnectionFlag.REPLY)

    @property
    def left(self) -> float:
        """Seconds until it expires."""
        return (self.expires - now()) * TICK / 1e9


@dataclass(frozen=True, slots=True)
class Load:
    active: int
    inactive: int


@dataclass(frozen=True, slots=True)
class Traffic:
    connections: int = 0
    packets_in: int = 0
    bytes_in: int = 0
    packets_out: int = 0
    bytes_out: int = 0


class Tables:
    """What a control plane writes. `clear` makes everything new for the next test."""

    def __init__(self, bpf: Bpf, wires: Wires) -> None:
        self.bpf, self.wires = bpf, wires
        self.maps = bpf.maps
        self.table = bpf.maps["connections"].memory(_abi.BUCKET)
        self.slots = bpf.maps["slots"].memory(_INDEX)
        self._servers = self._services = 1
        self._used = 0

    def put(self, name: str, key: int, value: Any) -> None:
        self.maps[name].write(np.array([key], _INDEX), value)

    def get(self, name: str, key: int, layout: np.dtype[Any]) -> Any:
        return self.maps[name].read(layout, key, 1)[0]

    def clear(self) -> None:
        self.table[:] = np.zeros(1, _abi.BUCKET)
        for name in ("services", "service_ranges", "nat_sources", "fragments"):
            for key in list(self.maps[name].keys()):
                self.maps[name].delete(key)
        ids = np.arange(_IDS, dtype=_INDEX)
        for name, layout in (("real_servers", _abi.REAL_SERVER), ("next_hops", _abi.NEXT_HOP), ("loads", _abi.LOAD)):
            self.maps[name].write(ids, np.zeros(len(ids), layout))
        traffic = self.maps["traffic"]
        traffic.write(ids, np.zeros(len(ids), f"V{traffic.value_size}"))
        self.maps["service_table"].write(ids, np.zeros(len(ids), _abi.SERVICE))
        self.maps["cursors"].write(ids, np.zeros(len(ids), _WIDE))
        hops = np.arange(_abi.Limits.RETURN_HOPS, dtype=_INDEX)
        self.maps["return_hops"].write(hops, np.zeros(len(hops), _abi.NEXT_HOP))
        self.put("interest", 0, np.zeros(1, _abi.INTEREST))
        self.timeouts()
        wires = self.wires
        for wire, flags in ((wires.out, 3), (wires.inner, 3), (wires.side, 1), *((wire, 1) for wire in wires.lines)):
            mac = np.frombuffer(bytes.fromhex(wire.mac.replace(":", "")), "u1")
            self.put("interfaces", wire.ifindex, row(_abi.INTERFACE, ifindex=wire.ifindex, mac=mac, flags=flags))

    def timeouts(self, **seconds: float) -> None:
        """LVS's, but for those named."""
        values = {state.name.lower(): float(value) for state, value in TIMEOUTS.items()} | seconds
        rows = np.array([ticks(values[state.name.lower()]) for state in TIMEOUTS], _INDEX)
        self.maps["timeouts"].write(np.array(list(TIMEOUTS), _INDEX), rows)

    def notice(self, *addresses: str) -> None:
        """Set the bits of addresses that concern us."""
        bits = self.get("interest", 0, _abi.INTEREST)["bits"].copy()
        for address in addresses:
            a, b, c, d = np.frombuffer(packed(address), "<u4").tolist()
            folded = a ^ b ^ c ^ d
            bit = (folded ^ folded >> 16) & 0xFFFF
            bits[bit // 64] |= np.uint64(1 << bit % 64)
        self.put("interest", 0, row(_abi.INTEREST, bits=bits))

    def server(
        self,
        service: int,
        address: str,
        method: Method,
        *,
        port: int = 0,
        weight: int = 1,
        status: ServerStatus = ServerStatus.PRESENT,
        source: str = "::",
        bits: int = 0,
    ) -> int:
        number = self._servers
        self._servers += 1
        made = row(_abi.REAL_SERVER, address=address, tunnel_source=source, service=service, weight=weight, port=port)
        made["method"], made["status"], made["tunnel_source_bits"] = method, status, bits
        self.put("real_servers", number, made)
        if method == Method.NAT:
            self.notice(address)
        return number

    def change_server(self, number: int, **fields: Any) -> None:
        made = self.maps["real_servers"].read(_abi.REAL_SERVER, number, 1)
        for name, value in fields.items():
            made[name] = value
        self.put("real_servers", number, made)

    def region(self, ids: Sequence[int]) -> int:
        """Where the region begins."""
        start = self._used
        self._used += len(ids)
        self.slots[start : self._used] = ids
        return start

    def service(
        self,
        vip: str,
        port: int,
        protocol: int,
        scheduler: Scheduler = Scheduler.RR,
        *,
        last_port: int | None = None,
        flags: int = 0,
    ) -> int:
        """Without servers; `serve` gives it some."""
        number = self._services
        self._services += 1
        last = port if last_port is None else last_port
        made = row(_abi.SERVICE, vip=vip, first_port=port, last_port=last, protocol=protocol, flags=flags)
        made["scheduler"] = scheduler
        self.put("service_table", number, made)
        value = number.to_bytes(4, "little")
        if last == port:
            key = row(_abi.SERVICE_KEY, vip=vip, port=port, protocol=protocol)
            self.maps["services"].update(key.tobytes(), value)
        else:
            key = row(_abi.SERVICE_RANGE, prefixlen=144, vip=vip, protocol=protocol)
            self.maps["service_ranges"].update(key.tobytes(), value)
        self.notice(vip)
        return number

    def serve(self, service: int, ids: Sequence[int], fallback: Sequence[int] | None = None) -> None:
        """Regions: `ids` as they are; the fallback by turns unless given."""
        turns = [ids[n % len(ids)] for n in range(MAGLEV)] if ids else []
        spare = turns if fallback is None else fallback
        made = self.maps["service_table"].read(_abi.SERVICE, service, 1)
        made["slots"], made["slot_count"] = self.region(ids), len(ids)
        made["fallback"], made["fallback_count"] = self.region(spare), len(spare)
        self.put("service_table", service, made)

    def nat_source(self, address: str, port: int, protocol: int, number: int) -> None:
        key = row(_abi.SERVICE_KEY, vip=address, port=port, protocol=protocol)
        self.maps["nat_sources"].update(key.tobytes(), number.to_bytes(4, "little"))


class Observed(Tables):
    """What the data plane wrote: connections and counts."""

    def entries(self) -> list[Entry]:
        """All that live, replies' entries among them."""
        slot = self.table["slot"]
        return [self._entry(int(b) * 16 + int(s), slot[b, s]) for b, s in np.argwhere(slot["life"] != 0)]

    def _entry(self, position: int, made: Any) -> Entry:
        life, flow = int(made["life"]), made["flow"]
        return Entry(
            position,
            unpacked(flow["source"].tobytes()),
            unpacked(flow["destination"].tobytes()),
            int(flow["source_port"]),
            int(flow["destination_port"]),
            int(flow["protocol"]),
            life & 0xFFFFFFFF,
            ConnectionState(life >> 48 & 0xFF),
            life >> 56,
            int(made["real_server"]),
            int(made["service"]),
            int(made["twin"]) - 1 if made["twin"] else None,
            int(made["service_port"]),
            int(made["return_hop"]),
        )

    def connections(self) -> list[Entry]:
        """The clients' entries."""
        return [entry for entry in self.entries() if not entry.is_reply]

    def connection(self) -> Entry:
        """The only one."""
        [entry] = self.connections()
        return entry

    def set_life(self, entry: Entry, **fields: Any) -> Entry:
        """Write `expires`, `state` or `flags` of an entry."""
        wanted = replace(entry, **fields)
        slot = self.table["slot"][entry.position // 16]
        generation = int(slot["life"][entry.position % 16]) >> 32 & 0xFFFF
        life = wanted.expires & 0xFFFFFFFF | generation << 32 | int(wanted.state) << 48 | int(wanted.flags) << 56
        slot["life"][entry.position % 16] = life
        return wanted

    def load(self, server: int) -> Load:
        made = self.get("loads", server, _abi.LOAD)
        return Load(int(made["active"]), int(made["inactive"]))

    def set_load(self, server: int, active: int, inactive: int) -> None:
        self.put("loads", server, row(_abi.LOAD, active=active, inactive=inactive))

    def traffic(self, server: int) -> Traffic:
        rows = self.maps["traffic"].read(_abi.TRAFFIC, server, 1)[0]
        return Traffic(*(int(rows[name].sum()) for name in _abi.TRAFFIC.names or ()))


class Director(Observed):
    """The loaded data plane between its wires."""

    def run(self, frame: bytes, at: Wire | None = None) -> Result:
        """One frame, by default from the clients' side; where there is no Ethernet, one packet."""
        wire = at or self.wires.out
        return self.bpf.run(bytes(frame), ifindex=wire.ifindex, program=wire.program)
