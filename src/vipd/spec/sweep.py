"""Expiry without a packet: what is over is forgotten. The data plane's timer does so every second, in steps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vipd.spec import table
from vipd.spec.configuration import TICK, Configuration
from vipd.spec.state import Draft, Entry, Flow, Tables


@dataclass(frozen=True, slots=True)
class _Sweeper:
    configuration: Configuration
    draft: Draft


def sweep(configuration: Configuration, state: Tables, flows: Iterable[Flow], now: int) -> tuple[Draft, int]:
    """What is remembered after a look at all connections of `flows`, and how many were over: one event each."""
    sweeper, over = _Sweeper(configuration, Draft(state)), 0
    for flow in flows:
        entry = sweeper.draft.connections.get(flow)
        if isinstance(entry, Entry) and table.is_over(entry.expires, now // TICK):
            table.end(sweeper, flow, entry)
            over += 1
    return sweeper.draft, over
