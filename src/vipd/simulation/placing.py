"""Which server each of many flows gets: rr, wrr, sh, mh and the hash for what nobody remembers. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from vipd.simulation.casting import Index
from vipd.simulation.flows import Flows
from vipd.simulation.hashing import chunks, client_hashes, share
from vipd.simulation.standing import NOBODY

LONGEST: Final = 1 << 20
"Turns that are dealt out together."


def turns(table: Index, cursor: int, count: int) -> Index:
    """The table's next servers, one after the other."""
    if not len(table):
        return np.full(count, NOBODY, np.uint16)
    found = np.empty(count, np.uint16)
    for part in chunks(count, LONGEST):
        found[part] = table[(cursor + np.arange(part.start, part.stop)) % len(table)]
    return found


def by_hash(table: Index, key: bytes, flows: Flows, rows: NDArray[np.int64], by_port: bool) -> Index:
    """Where the hash of each flow's client points."""
    found = np.full(len(rows), NOBODY, np.uint16)
    if len(table):
        for part in chunks(len(rows)):
            some = rows[part]
            hashed = client_hashes(key, flows.sources(some), flows.port[some] if by_port else None)
            found[part] = table[share(hashed, len(table))]
    return found
