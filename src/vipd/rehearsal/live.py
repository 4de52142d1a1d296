"""The BPF program asked what the specification was; of a running director on copies of its maps, which are left alone.

What the control plane wrote is copied as it is, what packets change as far as the specification looked:
with the very values that it saw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from vipd.dataplane import _abi
from vipd.dataplane.links import ETHERNET, POINT_TO_POINT
from vipd.dataplane.maps import Map
from vipd.dataplane.pins import BUILT
from vipd.dataplane.tables import INDEX
from vipd.errors import BusyError
from vipd.explain.verdict import SHORTEST, Verdict
from vipd.explain.walk import Walk
from vipd.model.outcome import Action
from vipd.rehearsal import remembered
from vipd.rehearsal.reading import fragment_row
from vipd.rehearsal.rows import ROWS, ports_row
from vipd.rehearsal.running import Running
from vipd.rehearsal.stage import Room, Stage, loaded_stage
from vipd.rehearsal.tables import Connections
from vipd.spec.configuration import Keys
from vipd.spec.hashes import flow_hash
from vipd.spec.state import Entry, Flow, ReplyEntry
from vipd.spec.table import buckets

_AS_THEY_ARE: Final = ("interest", "interfaces", "timeouts", "service_table", "real_servers")
"Arrays that the control plane writes."
_BY_KEY: Final = ("services", "service_ranges", "nat_sources")
_ACTIONS: Final = {Action.PASS: "pass", Action.ROUTE: "pass", Action.DROP: "drop"}
_XDP: Final = ("aborted", "drop", "pass", "tx", "redirect")
"Return values of an XDP program, from 0 on."


class Live:
    def __init__(self, stage: Stage, keys: Keys) -> None:
        self._stage = stage
        self._connections = Connections(stage.table, keys)

    def ask(self, done: Walk) -> Verdict | None:
        """The walk's own packet; walks come in their order. None: too short for the kernel to run a program on."""
        stage, packet = self._stage, done.packet
        if len(packet.frame) < SHORTEST:
            return None
        outcomes, events = self._counted("outcomes"), self._counted("events")
        program = ETHERNET if packet.ingress.ethernet else POINT_TO_POINT
        run = stage.run(packet.frame, packet.ingress.ifindex, program)
        ended = _names(_abi.Outcome, self._counted("outcomes") - outcomes)
        met = _names(_abi.Event, self._counted("events") - events)
        wrong = list(_differences(done, run.action, run.frame, ended, met))
        wrong += remembered.differences(stage, self._connections, done)
        return Verdict("+".join(ended), _XDP[run.action], run.frame, tuple(wrong))

    def pass_time(self, now: int, sweep: bool) -> None:
        """`sweep`: what is over is forgotten now, all of it."""
        self._stage.set_clock(now)
        if sweep:
            self._stage.sweep()

    def _counted(self, name: str) -> Any:
        return self._stage.rows(name, np.dtype("<u8")).copy()


def _names(kinds: Any, more: Any) -> list[str]:
    return [kinds(int(number)).name.lower() for number in np.flatnonzero(more) for _ in range(int(more[number]))]


def _differences(done: Walk, action: int, frame: bytes, ended: list[str], met: list[str]) -> Iterator[str]:
    decision = done.decision
    if ended != [decision.outcome]:
        yield f"outcome: the program {' and '.join(ended) or 'none'}, the specification {decision.outcome}"
    expected = _ACTIONS.get(decision.action) or ("tx" if decision.egress == done.packet.ingress.ifindex else "redirect")
    if _XDP[action] != expected:
        yield f"action: the program {_XDP[action]}, the specification {expected}"
    if decision.action is not Action.DROP and frame != decision.frame:
        yield f"frame: the program {frame.hex()}, the specification {decision.frame.hex()}"
    if Counter(met) != Counter(decision.events):
        told = ", ".join(decision.events) or "none"
        yield f"events: the program {', '.join(met) or 'none'}, the specification {told}"


@contextmanager
def live(found: Running, program: Path = BUILT, remembering: bool = True) -> Iterator[Live]:
    """After the specification's walks, whose look-ups are copied. `program`: another build of the same layout.

    `remembering` False: what the director remembers is left out, and the walks may come later.
    """
    maps = found.maps
    room = Room(
        buckets=len(found.connections),
        slots=maps["slots"].max_entries,
        servers=maps["real_servers"].max_entries,
        services=maps["service_table"].max_entries,
        interfaces=maps["interfaces"].max_entries,
        keys=max(maps[name].max_entries for name in _BY_KEY),
    )
    with loaded_stage(room, found.config, program) as stage:
        for name in _AS_THEY_ARE:
            _copy_array(maps[name], stage)
        for name in _BY_KEY:
            _copy_entries(maps[name], stage.maps[name])
        stage.slots[:] = maps["slots"].memory(INDEX, writable=False)
        if remembering:
            _copy_state(found, stage)
        _require_same(found, stage, remembering)
        stage.set_clock(found.scene.now)
        yield Live(stage, found.scene.configuration.keys)


def _copy_array(source: Map, stage: Stage) -> None:
    rows = source.read(np.dtype(f"V{source.value_size}"))
    if source.name in stage.memory:
        stage.memory[source.name][:, : source.value_size] = rows.view("u1").reshape(len(rows), -1)
    else:
        stage.maps[source.name].write(np.arange(len(rows), dtype="u4"), rows)


def _copy_entries(source: Map, copy: Map) -> None:
    keys, values = source.items(np.dtype(f"V{source.info.key_size}"), np.dtype(f"V{source.value_size}"))
    for key, value in zip(keys, values, strict=True):
        copy.update(key.tobytes(), value.tobytes())


def _other(entry: Entry | ReplyEntry | None) -> Flow | None:
    if isinstance(entry, ReplyEntry):
        return entry.client
    return None if entry is None else entry.reply


def _copy_state(found: Running, stage: Stage) -> None:
    snapshot, keys = found.snapshot, found.scene.configuration.keys
    for name, row_of in ROWS.items():
        for number, value in getattr(snapshot, name).seen.items():
            row = row_of(value)
            stage.memory[name][number, : len(row)] = np.frombuffer(row, "u1")
    for key, ports in snapshot.fragments.seen.items():
        if ports is not None:
            stage.maps["fragments"].update(fragment_row(key), ports_row(ports))
    # An entry names its other one by place.
    others = {other for entry in snapshot.connections.seen.values() if (other := _other(entry)) is not None}
    for flow in others | snapshot.connections.seen.keys():
        for bucket in buckets(flow_hash(keys, flow), stage.buckets):
            stage.table[bucket : bucket + 1] = np.frombuffer(found.connections.raw(bucket), _abi.BUCKET)


def _require_same(found: Running, stage: Stage, remembering: bool) -> None:
    """What was copied is what the specification has seen."""
    snapshot, copied = found.snapshot, Connections(stage.table, found.scene.configuration.keys)
    connections, taken = (snapshot.connections.seen, snapshot.taken.seen) if remembering else ({}, {})
    same = (
        all(copied.get(flow) == entry for flow, entry in connections.items())
        and all(copied.taken(bucket) == number for bucket, number in taken.items())
        and np.array_equal(stage.rows("service_table", _abi.SERVICE), found.written.services)
        and np.array_equal(stage.rows("real_servers", _abi.REAL_SERVER), found.written.servers)
    )
    if not same:
        raise BusyError("what the answer depends on changed while it was looked at; try again")
