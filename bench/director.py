"""The real data plane under test: given services, emptied, asked what it did."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.rig import Link
from vipd.dataplane import _abi
from vipd.dataplane.pins import Sizes
from vipd.dataplane.port import Port, PutService
from vipd.dataplane.program import Program
from vipd.dataplane.xdp import XdpDataplane, open_xdp
from vipd.lab.namespace import inside
from vipd.model.director import (
    CONNECTIONS,
    MAGLEV_SLOTS,
    Address,
    Endpoint,
    Method,
    OnServerRemoved,
    Scheduler,
    Timeouts,
    Transport,
)
from vipd.model.state import HeldServer, HeldService, ServerKey

_DIRECTORY: Final = Path("/sys/fs/bpf/vipd")
_SLOTS: Final = 1 << 20
_SECRET: Final = bytes(range(16))
"The same in every run, so that runs differ in nothing but time."
_TUNNEL_SOURCES: Final = {4: (ip_address("172.16.0.0"), 16), 6: (ip_address("100::"), 32)}


def service(
    vip: str, port: int, transport: Transport, servers: Sequence[str], method: Method, scheduler: Scheduler
) -> HeldService:
    """One endpoint, all servers of weight 1."""
    endpoint = Endpoint(ip_address(vip), port, port, transport)
    held = tuple(_server(endpoint, ip_address(text), method) for text in servers)
    once = np.arange(len(held), dtype="<u4")
    # mh reads one of so many slots, whatever stands in it: dealing them out in turn costs the same.
    dealt = np.arange(MAGLEV_SLOTS, dtype="<u4") % len(held)
    slots = dealt if scheduler is Scheduler.MH else once
    return HeldService(endpoint, scheduler, True, False, held, slots.astype("<u4").tobytes(), once.tobytes())


def _server(endpoint: Endpoint, address: Address, method: Method) -> HeldServer:
    source, bits = _TUNNEL_SOURCES[address.version] if method is Method.TUN else (None, 0)
    return HeldServer(ServerKey(endpoint, address, None), method, False, 1, source, bits)


@dataclass(slots=True)
class Director:
    """A data plane of its own; nobody else opens it."""

    dataplane: XdpDataplane
    table: NDArray[np.void]

    @property
    def program(self) -> Program:
        return self.dataplane.pins.director

    def serve(self, services: Sequence[HeldService], links: Sequence[Link]) -> None:
        macs = {link: bytes.fromhex(link.mac.replace(":", "")) for link in links}
        self.dataplane.set_ports([Port(link.name, link.ifindex, mac, True) for link, mac in macs.items()])
        self.dataplane.set_timeouts(Timeouts())
        self.dataplane.apply([PutService(one, OnServerRemoved.RESET) for one in services])

    def attach(self, links: Sequence[Link]) -> None:
        for link in links:
            with inside(link.namespace):
                self.dataplane.interfaces.attach(link.ifindex, link.name)

    def clear(self) -> None:
        """No connection is known, no server loaded, every round begins anew."""
        self.table.view("u1")[:] = 0
        for name, value in (("loads", _abi.LOAD), ("cursors", np.dtype("<u8"))):
            rows = self.dataplane.pins.maps[name]
            used = np.flatnonzero(rows.read(value).view(f"V{value.itemsize}")).astype("<u4")
            rows.write(used, np.zeros(len(used), value))

    def active(self) -> int:
        return sum(counters.active for counters in self.dataplane.counters().values())

    def outcomes(self) -> dict[str, int]:
        return {name: count for name, count in self.dataplane.totals().outcomes.items() if count}


@contextmanager
def director(name: str, connections: int = CONNECTIONS) -> Iterator[Director]:
    """Gone afterwards, with its pins."""
    directory = _DIRECTORY / f"bench-{os.getpid()}-{name}"
    dataplane = open_xdp(directory, _SECRET, Sizes(connections, _SLOTS))
    try:
        yield Director(dataplane, dataplane.pins.maps["connections"].memory(_abi.BUCKET))
    finally:
        dataplane.down()
