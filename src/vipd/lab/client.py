"""A concurrent client: many connections, each answer checked, every loss counted and named.

`python -m vipd.lab.client tcp 203.0.113.10 80 --connections 300` prints a JSON object.
It asks `vipd.lab.server`, and never asks twice: a request without an answer is lost.
SIGTERM ends the work after the requests under way and prints what there is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Final

from vipd.lab.exchange import Exchange, Lost, TcpExchange, UdpExchange

_PORTS: Final = range(1024, 65_536)
EXCHANGES: Final[dict[str, type[Exchange]]] = {"tcp": TcpExchange, "udp": UdpExchange}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask for. `seconds` ends it early; without `connections` it is the only end."""

    transport: str
    address: str
    port: int
    connections: int | None = 300
    concurrency: int = 64
    requests: int = 1
    "On each connection, one after the other."
    pause: float = 0
    "Seconds between two requests on a connection."
    timeout: float = 5
    seconds: float | None = None
    upload: int = 0
    "Bytes more in each request."
    download: int = 0
    "Bytes more in each answer."
    sources: tuple[str, ...] = ()
    "Addresses to ask from, in turn; the kernel's choice without."
    first_port: int | None = None
    """Each connection asks from the next port. Without it UDP begins anywhere: the kernel
    would give a port twice before long, and that would be a connection the director knows."""


@dataclass(slots=True)
class Result:
    """`sent` and `answered` count requests; `moved` connections that met more than one server."""

    connections: int = 0
    sent: int = 0
    answered: int = 0
    moved: int = 0
    servers: Counter[str] = field(default_factory=Counter)
    clients: Counter[str] = field(default_factory=Counter)
    "Addresses that the servers saw."
    errors: Counter[str] = field(default_factory=Counter)
    retransmits: int = 0
    "TCP segments that the client's kernel had to send again: losses that TCP hid."
    latency_max: float = 0
    seconds: float = 0

    def dump(self) -> dict[str, Any]:
        # asdict() cannot copy a Counter before Python 3.12.
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def load(cls, told: dict[str, Any]) -> Result:
        counters = {name: Counter(told[name]) for name in ("servers", "clients", "errors")}
        return cls(**{**told, **counters})

    @property
    def lost(self) -> int:
        return self.sent - self.answered


class Load:
    """A plan under way. Setting `stop` ends it after the requests under way."""

    def __init__(self, plan: Plan, announce: Callable[[], None] | None = None) -> None:
        self.plan = plan
        self.stop = asyncio.Event()
        self.result = Result()
        self._announce = announce
        self._first_port = random.choice(_PORTS) if plan.first_port is None else plan.first_port - _PORTS[0]
        self._started = time.monotonic()

    async def run(self) -> Result:
        """No more than `concurrency` connections at a time."""
        self._started = time.monotonic()
        numbers = self._numbers()
        async with asyncio.TaskGroup() as group:
            for _ in range(self.plan.concurrency):
                group.create_task(self._work(numbers))
        self.result.seconds = round(time.monotonic() - self._started, 6)
        return self.result

    def _numbers(self) -> Iterator[int]:
        """The connections' numbers, as long as there is time."""
        number = 0
        while not self._is_over() and (self.plan.connections is None or number < self.plan.connections):
            yield number
            number += 1

    def _is_over(self) -> bool:
        if self.plan.seconds is not None and time.monotonic() - self._started > self.plan.seconds:
            self.stop.set()
        return self.stop.is_set()

    async def _work(self, numbers: Iterator[int]) -> None:
        plan, result = self.plan, self.result
        for number in numbers:
            exchange = EXCHANGES[plan.transport]((plan.address, plan.port), self._source(number))
            result.connections += 1
            met: set[str] = set()
            try:
                await self._talk(number, exchange, met)
            except Lost as lost:
                result.errors[lost.kind] += 1
            finally:
                result.retransmits += exchange.close()
            result.moved += len(met) > 1

    def _source(self, number: int) -> tuple[str, int]:
        plan = self.plan
        address = plan.sources[number % len(plan.sources)] if plan.sources else ""
        if plan.transport == "tcp" and plan.first_port is None:
            return address, 0
        return address, _PORTS[(self._first_port + number) % len(_PORTS)]

    async def _talk(self, number: int, exchange: Exchange, met: set[str]) -> None:
        plan, result = self.plan, self.result
        for turn in range(plan.requests):
            if turn:
                await asyncio.sleep(plan.pause)
                if self._is_over():
                    return
            token = f"{number}.{turn}"
            result.sent += 1
            began = time.monotonic()
            told = await exchange.ask(token, plan.upload, plan.download, turn + 1 == plan.requests, plan.timeout)
            if told.get("token") != token:
                raise Lost("wrong answer")
            result.answered += 1
            result.latency_max = max(result.latency_max, round(time.monotonic() - began, 6))
            result.servers[told["server"]] += 1
            result.clients[told["client"]] += 1
            met.add(told["server"])
            if self._announce:
                self._announce()
                self._announce = None


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m vipd.lab.client", description=__doc__)
    parser.add_argument("transport", choices=sorted(EXCHANGES))
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, help="without it: until --seconds are over or SIGTERM comes")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--requests", type=int, default=1, help="on each connection")
    parser.add_argument("--pause", type=float, default=0, help="seconds between requests on a connection")
    parser.add_argument("--timeout", type=float, default=5, help="seconds until a request counts as lost")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--upload", type=int, default=0, help="bytes more in each request")
    parser.add_argument("--download", type=int, default=0, help="bytes more in each answer")
    parser.add_argument("--source", dest="sources", action="append", default=[], help="an address to ask from")
    parser.add_argument("--first-port", type=int, help="ask from this port, then the next")
    parser.add_argument("--announce", action="store_true", help="print `started` after the first answer")
    return parser


async def _main(plan: Plan, announce: bool) -> Result:
    load = Load(plan, (lambda: print("started", flush=True)) if announce else None)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, load.stop.set)
    return await load.run()


def main() -> None:
    chosen = vars(_arguments().parse_args())
    announce = chosen.pop("announce")
    plan = Plan(**{**chosen, "sources": tuple(chosen["sources"])})
    print(json.dumps(asyncio.run(_main(plan, announce)).dump()))


if __name__ == "__main__":
    main()
