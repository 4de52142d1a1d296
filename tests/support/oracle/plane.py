"""The BPF program for hundreds of thousands of packets: all its maps lie in memory, its clock is the test's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.support.tables import FLOW_KEY, HASH_KEY
from vipd.dataplane import _abi
from vipd.dataplane.links import ETHERNET
from vipd.dataplane.maps import Rows
from vipd.dataplane.pins import BUILT as DIRECTOR
from vipd.dataplane.program import Run
from vipd.model.director import Address
from vipd.rehearsal.stage import Room, Stage, loaded_stage
from vipd.spec.configuration import NEXT_HOP_AGE
from vipd.spec.routes import Way

__all__ = ["DIRECTOR", "START", "Plane", "loaded_plane"]

START: Final = 1_000_000_000_000
"Where a plane's clock begins: ns."


class Plane:
    """A loaded director between wires, and the control plane's own writer over its maps."""

    def __init__(self, stage: Stage, next_hop_age: int) -> None:
        self.stage, self.next_hop_age = stage, next_hop_age
        self.maps, self.programs, self.memory = stage.maps, stage.programs, stage.memory
        self.buckets, self.table, self.slots = stage.buckets, stage.table, stage.slots
        self.dataplane = stage.dataplane()
        self.set_clock(START)

    @property
    def now(self) -> int:
        return self.stage.now

    def rows(self, name: str, layout: np.dtype[Any]) -> Rows:
        return self.stage.rows(name, layout)

    def set_clock(self, now: int) -> None:
        self.stage.set_clock(now)

    def run(self, frame: bytes, ifindex: int, program: str = ETHERNET) -> Run:
        return self.stage.run(frame, ifindex, program)

    def sweep(self) -> None:
        self.stage.sweep()

    def network_changed(self) -> None:
        self.stage.routes.forget()

    def ask(self, ingress: int, destination: Address) -> Way:
        """As `spec.routes.Routes`: the kernel's own answer."""
        return self.stage.routes.ask(ingress, destination)


@contextmanager
def loaded_plane(buckets: int, program: Path = DIRECTOR, next_hop_age: int = NEXT_HOP_AGE) -> Iterator[Plane]:
    """Unpinned, private, gone at the end. `program`: another object, such as a mutant."""
    config = np.zeros(1, _abi.CONFIG)
    config["hash_key"], config["flow_key"], config["next_hop_age"] = HASH_KEY, FLOW_KEY, next_hop_age
    with loaded_stage(Room(buckets), config, program) as stage:
        yield Plane(stage, next_hop_age)
