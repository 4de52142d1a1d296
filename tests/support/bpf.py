"""The compiled data plane for tests of single packets: unpinned, private, gone at the end.

with loaded() as bpf:
    bpf.maps["timeouts"].update(...)
    result = bpf.run(frame, ifindex=3)
    assert (result.action, result.frame, result.outcomes) == (XDP_TX, expected, {"FORWARD_DR": 1})
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from vipd.dataplane import _abi
from vipd.dataplane.maps import Map
from vipd.dataplane.program import Object, Program

OBJECT: Final = Path(__file__).parents[2] / "src" / "vipd" / "bpf" / "vipd.bpf.o"
XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT = range(5)
_COUNTER: Final = np.dtype("<u8")


@dataclass(frozen=True, slots=True)
class Result:
    action: int
    frame: bytes
    outcomes: Mapping[str, int]
    "How each outcome's counter moved, by its name in abi.h; those that did not are left out."
    events: Mapping[str, int]
    duration: int


class Bpf:
    """Loaded maps and programs, and the one question of every packet test."""

    def __init__(self, built: Object) -> None:
        self.maps: dict[str, Map] = built.maps
        self.programs: dict[str, Program] = built.programs

    def _counts(self, name: str) -> list[int]:
        totals: list[int] = self.maps[name].read(_COUNTER).sum(axis=1).tolist()
        return totals

    def run(self, frame: bytes, ifindex: int = 0, repeat: int = 1, program: str = "director") -> Result:
        before = {name: self._counts(name) for name in ("outcomes", "events")}
        run = self.programs[program].run(frame, repeat=repeat, ifindex=ifindex)
        moved = {
            name: {
                kind(n).name: now - was
                for n, (was, now) in enumerate(zip(old, self._counts(name), strict=True))
                if now != was
            }
            for (name, old), kind in zip(before.items(), (_abi.Outcome, _abi.Event), strict=True)
        }
        return Result(run.action, run.frame, moved["outcomes"], moved["events"], run.duration)


@contextmanager
def loaded(buckets: int = 64, slots: int = 65_536, path: Path = OBJECT, **config: int | list[int]) -> Iterator[Bpf]:
    """`config` sets fields of `struct config` by name; `buckets` sizes the connection table."""
    with Object(path) as built:
        built.resize("connections", buckets)
        built.resize("slots", slots)
        constant = np.frombuffer(built.constant("config"), _abi.CONFIG)
        constant["buckets"] = buckets
        for name, value in config.items():
            constant[name] = value
        built.load()
    try:
        yield Bpf(built)
    finally:
        for table in built.maps.values():
            table.close()
        for program in built.programs.values():
            program.close()


@contextmanager
def on_one_processor() -> Iterator[None]:
    """For what each processor counts by itself; a crowded machine moves a test from one to another."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
