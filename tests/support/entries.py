"""Connections written into the kernel's table as packets would have written them."""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np

from vipd.dataplane import _abi
from vipd.dataplane.maps import Map
from vipd.dataplane.tables import INDEX, PROTOCOLS, addresses, pack_address
from vipd.dataplane.xdp import XdpDataplane
from vipd.model.director import Address
from vipd.model.state import Connection

_TICK: Final = 1 << _abi.Limits.TICK_SHIFT


def life_of(state: int, flags: int, seconds: float) -> int:
    expires = int((time.monotonic_ns() + seconds * 1e9) / _TICK) & 0xFFFFFFFF
    return (
        expires
        | 1 << _abi.LifeShift.GENERATION_SHIFT
        | state << _abi.LifeShift.STATE_SHIFT
        | flags << _abi.LifeShift.FLAGS_SHIFT
    )


def server_id(servers: Map, address: Address, service_id: int) -> int:
    rows = servers.read(_abi.REAL_SERVER)
    here = [row.tobytes() == pack_address(address) for row in rows["address"][:100]]
    return int(np.flatnonzero(np.array(here) & (rows["service"][:100] == service_id))[0])


class Planter:
    """Fills the table from its beginning on; the sweeper and the program may end what is planted."""

    def __init__(self, plane: XdpDataplane) -> None:
        self._maps = plane.pins.maps
        self._table = self._maps["connections"].memory(_abi.BUCKET)
        self._next = 0

    def _service_id(self, connection: Connection) -> int:
        rows = self._maps["service_table"].read(_abi.SERVICE, 0, 100)
        vip = addresses([pack_address(connection.vip)])[0]
        fits = (
            (rows["vip"] == vip)
            & (rows["first_port"] <= connection.vip_port)
            & (rows["last_port"] >= connection.vip_port)
            & (rows["protocol"] == PROTOCOLS[connection.transport])
        )
        return int(np.flatnonzero(fits)[0])

    def plant(self, connection: Connection) -> None:
        service_id = self._service_id(connection)
        number = server_id(self._maps["real_servers"], connection.server, service_id)
        state = _abi.ConnectionState[connection.state.upper()]
        flags = _abi.ConnectionFlag.USED | (_abi.ConnectionFlag.ACTIVE if connection.active else 0)
        entry = self._entry()
        flow = entry["flow"]
        flow["source"] = addresses([pack_address(connection.client)])[0]
        flow["destination"] = addresses([pack_address(connection.vip)])[0]
        flow["source_port"], flow["destination_port"] = connection.client_port, connection.vip_port
        flow["protocol"] = PROTOCOLS[connection.transport]
        entry["real_server"], entry["service"] = number, service_id
        entry["life"] = life_of(state, flags, connection.expires)
        self.count(number, connection.active)

    def _entry(self) -> Any:
        """A free place, its tag set."""
        bucket, place = divmod(self._next, _abi.Limits.BUCKET_SLOTS)
        self._next += 1
        self._table["tags"][bucket][place // 8] |= np.uint64(1 << place % 8 * 8)
        return self._table["slot"][bucket, place : place + 1][0]

    def count(self, number: int, active: bool) -> None:
        key = np.array([number], INDEX)
        load = self._maps["loads"].read(_abi.LOAD, number, 1)
        load["active" if active else "inactive"] += 1
        self._maps["loads"].write(key, load)
        traffic = self._maps["traffic"].read(_abi.TRAFFIC, number, 1)
        traffic["connections"][0, 0] += 1
        self._maps["traffic"].write(key, traffic.view(f"V{self._maps['traffic'].value_size}").reshape(1))

    def forget(self) -> None:
        self.forget_entries()
        self.forget_counts()

    def forget_entries(self) -> None:
        self._table["slot"]["life"] = 0
        self._table["tags"] = 0

    def forget_counts(self) -> None:
        loads = self._maps["loads"].read(_abi.LOAD)
        self._maps["loads"].write(np.arange(len(loads), dtype=INDEX), np.zeros_like(loads))
