"""How much is measured, and on which processor."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effort:
    """Many short runs rather than few long ones: what disturbs one run then leaves the median alone."""

    flows: tuple[int, ...] = (1, 1024, 65_536, 1_048_576)
    rounds: int = 41
    frames: int = 16_384
    new_rounds: int = 14
    new_frames: int = 65_536
    live_rounds: int = 25
    live_frames: int = 20_000
    seconds: float = 4.0
    "Of each load of connections, requests and bytes."
    turns: int = 3
    "How often each of those is measured."


QUICK = Effort(
    flows=(1, 1024, 65_536),
    rounds=11,
    new_rounds=4,
    live_rounds=7,
    seconds=1.0,
    turns=1,
)


@contextmanager
def undisturbed() -> Iterator[None]:
    """One processor, before every other process there: what else the machine does is not measured.

    The last processor that the thread may use, because the first has the interrupts.
    """
    allowed, policy = os.sched_getaffinity(0), os.sched_getscheduler(0)
    os.sched_setaffinity(0, {max(allowed)})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, os.sched_param(0))
        os.sched_setaffinity(0, allowed)
