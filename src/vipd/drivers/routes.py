"""The kernel's choice among many routes, made here when there are many addresses to ask for. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from vipd.model.director import Address, Network

LOCAL: Final = 255
MAIN: Final = 254
DEFAULT: Final = 253


class RouteType(IntEnum):
    """Of linux/rtnetlink.h; all the others are of no use to a packet of ours."""

    UNICAST = 1
    LOCAL = 2
    THROW = 9
    OTHER = 0


@dataclass(frozen=True, slots=True)
class Route:
    table: int
    destination: Network
    type: RouteType
    metric: int
    ifindex: int
    gateway: Address | None


class Routes:
    """Tables in the order of the default rules; in each the longest prefix, then the smallest metric."""

    def __init__(self, routes: Iterable[Route]) -> None:
        best: dict[tuple[int, int], dict[int, dict[int, Route]]] = defaultdict(lambda: defaultdict(dict))
        for route in routes:
            network = route.destination
            same = best[route.table, network.version][network.prefixlen]
            number = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
            if number not in same or route.metric < same[number].metric:
                same[number] = route
        # Of each family: the tables in order, in each how far to shift an address, the longest prefix first.
        self._tables = {
            version: [
                [(bits - length, best[table, version][length]) for length in sorted(best[table, version], reverse=True)]
                for table in (LOCAL, MAIN, DEFAULT)
                if (table, version) in best
            ]
            for version, bits in ((4, 32), (6, 128))
        }

    def lookup(self, address: Address) -> Route | None:
        number = int(address)
        for lengths in self._tables[address.version]:
            for shift, routes in lengths:
                if (found := routes.get(number >> shift)) is not None:
                    break
            else:
                continue
            if found.type is not RouteType.THROW:
                return found
        return None
