"""What the program remembers of a packet, against what the specification does: all that its rules changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from vipd.explain.walk import Walk
from vipd.rehearsal.reading import cursor_of, fragment_row, hop_of, load_of, ports_of, traffic_of
from vipd.rehearsal.rows import ROWS
from vipd.rehearsal.stage import Stage
from vipd.rehearsal.tables import Connections
from vipd.spec.state import Entry, Flow, FragmentKey, Ports, ReplyEntry

_READ: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "loads": load_of,
    "traffic": traffic_of,
    "cursors": cursor_of,
    "next_hops": hop_of,
    "return_hops": hop_of,
}


def differences(stage: Stage, connections: Connections, done: Walk) -> Iterator[str]:
    """In a line each. `connections`: the stage's."""
    draft = done.decision.draft
    entries: dict[Flow, Entry | ReplyEntry | None] = dict(draft.connections.changed)
    if done.flow is not None:
        entries.setdefault(done.flow, done.after)
    for flow, entry in entries.items():
        if (known := connections.get(flow)) != entry:
            yield f"remembered of {_flow_text(flow)}: the program {known}, the specification {entry}"
    for bucket, taken in draft.taken.changed.items():
        if (found := connections.taken(bucket)) != (taken or 0):
            yield f"bucket {bucket}: the program has {found} entries, the specification {taken or 0}"
    for name, row_of in ROWS.items():
        for number, value in getattr(draft, name).changed.items():
            row = row_of(value)
            held = stage.memory[name][number, : len(row)].tobytes()
            if held != row:
                told = f"the program {_READ[name](held)}, the specification {_READ[name](row)}"
                yield f"{name}[{number}]: {told}"
                # Told once, and not again of every packet that comes after it.
                stage.memory[name][number, : len(row)] = np.frombuffer(row, "u1")
    for key, kept in draft.fragments.changed.items():
        if (ports := _ports(stage, key)) != kept:
            yield f"fragment {key}: the program {ports}, the specification {kept}"


def _flow_text(flow: Flow) -> str:
    return f"{flow.source} {flow.source_port} > {flow.destination} {flow.destination_port}"


def _ports(stage: Stage, key: FragmentKey) -> Ports | None:
    try:
        return ports_of(stage.maps["fragments"].lookup(fragment_row(key)))
    except KeyError:
        return None
