"""Flows made up by lot: whose they are by popularity, when they begin by rate, how long they last. Pure.

Chance is an argument; the same seed gives the same flows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vipd.model.director import Address, Endpoint, Transport
from vipd.simulation.flows import FOREVER, Flows, LeftOut, arranged
from vipd.simulation.hashing import Bytes, Words

FIRST_PORT: Final = 1024
PORTS: Final = 65536 - FIRST_PORT
"Of a client, one after the other."
_SPREAD_V4: Final = np.uint64(0x9E3779B1)
_SPREAD_V6: Final = np.uint64(0x9E3779B97F4A7C15)
_EXAMPLES: Final = np.uint64(0x20010DB8)


class Popularity(StrEnum):
    ZIPF = "zipf"
    UNIFORM = "uniform"


class Law(StrEnum):
    """How durations are spread around their mean."""

    EXPONENTIAL = "exponential"
    LOGNORMAL = "lognormal"
    FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class Duration:
    mean: float
    "Seconds."
    law: Law = Law.EXPONENTIAL
    sigma: float = 1.0
    "Lognormal: of the logarithm; 1 makes the longest percent ten times the median and more."

    def draw(self, count: int, chance: Generator) -> Words:
        """Milliseconds."""
        match self.law:
            case Law.FIXED:
                seconds = np.full(count, self.mean)
            case Law.EXPONENTIAL:
                seconds = chance.standard_exponential(count) * self.mean
            case Law.LOGNORMAL:
                seconds = chance.lognormal(np.log(self.mean) - self.sigma**2 / 2, self.sigma, count)
        milliseconds: Words = np.minimum(seconds * 1000, FOREVER // 2).astype(np.uint32)
        return milliseconds


@dataclass(frozen=True, slots=True)
class Recipe:
    count: int
    clients: int
    rate: float
    "New connections a second, all endpoints together."
    duration: Duration
    popularity: Popularity = Popularity.UNIFORM
    alpha: float = 1.0
    "Zipf: the n-th client has a share in proportion to n to the power of -alpha."


def generated(
    recipe: Recipe,
    shares: Mapping[Endpoint, float],
    service_ports: Mapping[Endpoint, int],
    foreign: Sequence[Address],
    linger: int,
    chance: Generator,
) -> tuple[list[Flows], LeftOut]:
    """Flows to each endpoint by its share. `foreign`: addresses that no client has."""
    weights = np.array(list(shares.values()), float)
    counts = chance.multinomial(recipe.count, weights / weights.sum())
    found: list[Flows] = []
    left_out = LeftOut()
    families: dict[int, Bytes] = {}
    for number, (endpoint, count) in enumerate(zip(shares, counts.tolist(), strict=True)):
        family = endpoint.vip.version
        if family not in families:
            families[family] = addresses(recipe.clients, family, foreign)
        start, end = _times(recipe, count, chance)
        client, rank = _clients(recipe, count, chance)
        # No port of a client twice, whichever endpoint it talks to, until it has used all.
        stride = len(shares)
        suspects = _busy(client, rank, recipe.clients, PORTS // stride)
        port = (FIRST_PORT + (client.astype(np.uint64) * 7919 + rank * stride + number) % PORTS).astype(np.uint16)
        service_port = np.full(count, service_ports[endpoint], np.uint16)
        flows, out = arranged(
            endpoint,
            families[family],
            client,
            port,
            service_port,
            start,
            end,
            suspects,
            linger if endpoint.transport is Transport.UDP else 0,
        )
        found.append(flows)
        left_out += out
    return found, left_out


def _times(recipe: Recipe, count: int, chance: Generator) -> tuple[Words, Words]:
    """When each begins and ends: arrivals that know nothing of each other, over the time that all take."""
    span = recipe.count / recipe.rate * 1000
    start = np.sort((chance.random(count) * span).astype(np.uint32))
    duration = recipe.duration.draw(count, chance)
    return start, np.minimum(start.astype(np.uint64) + duration, FOREVER).astype(np.uint32)


def _clients(recipe: Recipe, count: int, chance: Generator) -> tuple[Words, NDArray[np.uint64]]:
    """Whose each flow is, and how many of that client's come before it in the draw."""
    of_each = chance.multinomial(count, popularity(recipe))
    rank = np.arange(count, dtype=np.uint32) - np.repeat((np.cumsum(of_each) - of_each).astype(np.uint32), of_each)
    order = chance.permutation(count)
    return np.repeat(np.arange(recipe.clients, dtype=np.uint32), of_each)[order], rank[order].astype(np.uint64)


def popularity(recipe: Recipe) -> NDArray[np.float64]:
    """Each client's share of the flows."""
    if recipe.popularity is Popularity.UNIFORM:
        return np.full(recipe.clients, 1 / recipe.clients)
    weight: NDArray[np.float64] = np.arange(1, recipe.clients + 1, dtype=np.float64) ** -recipe.alpha
    weight /= weight.sum()
    return weight


def _busy(client: Words, rank: NDArray[np.uint64], clients: int, ports: int) -> NDArray[np.int64]:
    """Rows of the clients that use some port twice; their ranks are put into the order of time."""
    many = np.bincount(client, minlength=clients) > ports
    rows = np.flatnonzero(many[client]) if many.any() else np.empty(0, np.int64)
    by_client = rows[np.argsort(client[rows], kind="stable")]
    sizes = np.unique(client[by_client], return_counts=True)[1]
    rank[by_client] = np.arange(len(by_client)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return rows


def addresses(count: int, family: int, foreign: Sequence[Address]) -> Bytes:
    """So many different addresses of clients, scattered over those that hosts may have."""
    number = np.arange(count + count // 3 + len(foreign) + 256, dtype=np.uint64)
    if family == 6:
        # One client a /64, in 2001:db8::/32, which is for examples (RFC 3849).
        rows = np.stack([_EXAMPLES << np.uint64(32) | number, number * _SPREAD_V6], axis=1).astype(">u8")
        usable = ~np.isin(rows[:, 1], _last_word(foreign, 16, ">u8"))
    else:
        rows = (number * _SPREAD_V4).astype(np.uint32).astype(">u4").reshape(-1, 1)
        first = rows[:, 0] >> 24
        usable = (first != 0) & (first != 10) & (first != 127) & (first < 224)
        usable &= ~np.isin(rows[:, 0], _last_word(foreign, 4, ">u4"))
    return np.ascontiguousarray(rows[usable][:count]).view(np.uint8)


def _last_word(addresses: Sequence[Address], width: int, kind: str) -> NDArray[np.unsignedinteger[Any]]:
    rows = [address.packed for address in addresses if len(address.packed) == width]
    return np.frombuffer(b"".join(rows), kind).reshape(-1, width // np.dtype(kind).itemsize)[:, -1]
