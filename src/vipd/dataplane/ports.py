"""The interfaces that the data plane may send out of, as a map says them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vipd.dataplane import _abi
from vipd.dataplane.maps import Map
from vipd.dataplane.port import Port
from vipd.dataplane.tables import INDEX, interface_rows
from vipd.errors import DataplaneError


class Ports:
    """Writes what differs. The whole map, which is long, is read only once."""

    def __init__(self, table: Map) -> None:
        self._map = table
        rows = table.read(_abi.INTERFACE)
        self._filled = set(np.flatnonzero(rows.view(f"V{rows.itemsize}") != np.void(bytes(rows.itemsize))).tolist())

    def write(self, ports: Sequence[Port]) -> None:
        try:
            wanted = interface_rows(ports)
        except ValueError as error:
            raise DataplaneError(str(error)) from error
        nothing = bytes(_abi.INTERFACE.itemsize)
        self._filled |= wanted.keys()
        for index in sorted(self._filled):
            row = wanted[index].tobytes() if index in wanted else nothing
            key = np.array([index], INDEX).tobytes()
            if self._map.lookup(key) != row:
                self._map.update(key, row)
        self._filled = set(wanted)
