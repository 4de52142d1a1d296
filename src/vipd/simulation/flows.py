"""Connections before anybody has balanced them: whose they are, when they begin and end. Values, column by column."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vipd.model.director import Address, Endpoint, Transport
from vipd.simulation.hashing import Bytes, Ports, Words
from vipd.spec.configuration import PROTOCOLS

MOST: Final = 1 << 28
"Flows of one simulation: what an event has bits for."
FOREVER: Final = (1 << 32) - 1
"Milliseconds: 49 days, which is what the clock here can tell."


@dataclass(frozen=True, slots=True, eq=False)
class Flows:
    """Connections to one endpoint, in the order in which they begin. Times in ms from the simulation's start."""

    endpoint: Endpoint
    addresses: Bytes
    "Of the clients, 4 or 16 bytes each."
    client: Words
    "Rows of `addresses`."
    port: Ports
    "The client's."
    service_port: Ports
    start: Words
    end: Words
    "When its last packet is sent. TCP: when both sides have closed it, after `start`."
    follows: NDArray[np.int64]
    "TCP: pairs (earlier, later) of the same client and ports: the later may find the earlier still remembered."

    @property
    def count(self) -> int:
        return len(self.client)

    @property
    def protocol(self) -> int:
        return PROTOCOLS[self.endpoint.transport]

    @property
    def is_tcp(self) -> bool:
        return self.endpoint.transport is Transport.TCP

    @property
    def vip(self) -> Bytes:
        return packed([self.endpoint.vip])

    def sources(self, rows: NDArray[np.integer[Any]]) -> Bytes:
        found: Bytes = self.addresses[self.client[rows]]
        return found


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Flows that begin no connection of their own, by the reason."""

    repeated: int = 0
    "The same client and ports as a connection that is still open: its packets."
    own: int = 0
    "From an address that no client has: a real server's, a VIP, nobody's."
    unserved: int = 0
    "Of a family for which no service is there."

    def __add__(self, other: LeftOut) -> LeftOut:
        return LeftOut(self.repeated + other.repeated, self.own + other.own, self.unserved + other.unserved)


def packed(addresses: Iterable[Address]) -> Bytes:
    """Of one family."""
    rows = [address.packed for address in addresses]
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1)


def arranged(
    endpoint: Endpoint,
    addresses: Bytes,
    client: Words,
    port: Ports,
    service_port: Ports,
    start: Words,
    end: Words,
    suspects: NDArray[np.int64],
    linger: int,
) -> tuple[Flows, LeftOut]:
    """Flows that are in order, without those that repeat one which is open.

    `suspects`: rows, in order, among which the same client and ports may stand twice. `linger`: ms that
    a flow without an end is remembered; what comes meanwhile belongs to it. 0 for TCP.
    """
    if endpoint.transport is Transport.TCP:
        end = np.maximum(end, start + np.uint32(1))
    keep, pairs = _once(client, port, service_port, start, end, suspects, linger)
    if keep.all():
        return Flows(endpoint, addresses, client, port, service_port, start, end, pairs), LeftOut()
    place = np.cumsum(keep) - 1
    kept = Flows(
        endpoint,
        addresses,
        client[keep],
        port[keep],
        service_port[keep],
        start[keep],
        end[keep],
        place[pairs] if len(pairs) else pairs,
    )
    return kept, LeftOut(repeated=int(len(keep) - keep.sum()))


def _once(
    client: Words, port: Ports, service_port: Ports, start: Words, end: Words, suspects: NDArray[np.int64], linger: int
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which rows begin a connection, and the pairs that follow each other. Prolongs `end` of those that go on."""
    keep = np.ones(len(client), np.bool_)
    name = client[suspects].astype(np.uint64) << np.uint64(32)
    name |= port[suspects].astype(np.uint64) << np.uint64(16) | service_port[suspects].astype(np.uint64)
    order = np.argsort(name, kind="stable")
    ordered = name[order]
    same = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
    pairs: list[tuple[int, int]] = []
    before = last = -1
    for place in same.tolist():
        if place - 1 != before:
            last = int(suspects[order[place - 1]])
        before, row = place, int(suspects[order[place]])
        if int(start[row]) < int(end[last]) + linger:
            keep[row] = False
            if linger:
                end[last] = max(end[last], end[row])
        else:
            if not linger:
                pairs.append((last, row))
            last = row
    return keep, np.array(pairs, np.int64).reshape(-1, 2)
