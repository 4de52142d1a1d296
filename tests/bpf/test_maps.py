"""The maps have room for every number that the control plane may give, and the constants are those of the documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pytest

from tests.support.bpf import OBJECT
from vipd.dataplane import _abi, _abi_trace
from vipd.dataplane._abi import Limits
from vipd.dataplane.program import Object
from vipd.spec.configuration import NEXT_HOP_AGE

ROOM: Final = {
    "interest": 1,
    "timeouts": int(_abi.ConnectionState.COUNT),
    "interfaces": Limits.INTERFACES,
    "fragments": Limits.FRAGMENTS,
    "services": Limits.SERVICES,
    "service_ranges": 65_536,
    "service_table": Limits.SERVICES,
    "cursors": Limits.SERVICES,
    "real_servers": Limits.REAL_SERVERS,
    "nat_sources": Limits.REAL_SERVERS,
    "loads": Limits.REAL_SERVERS,
    "traffic": Limits.REAL_SERVERS,
    "next_hops": Limits.REAL_SERVERS,
    "return_hops": Limits.RETURN_HOPS,
    "outcomes": int(_abi.Outcome.OUTCOME_COUNT),
    "events": int(_abi.Event.COUNT),
    "traces": _abi_trace.TraceLimits.ROOM,
    "trace_counts": 1,
    "trace_records": 1,
    "sweeper": 1,
}
BEAT: Final = 4_000_000
"ns between two beats of the sweeper, and as old as the data plane's clock may be."


@pytest.fixture(scope="module")
def built() -> Iterator[Object]:
    with Object(OBJECT) as made:
        yield made


@pytest.mark.parametrize("name", ROOM)
def test_a_map_has_an_entry_for_each_number(built: Object, name: str) -> None:
    assert built.shape(name).max_entries == ROOM[name]


def test_constants_are_those_of_the_specification(built: Object) -> None:
    config = np.frombuffer(built.constant("config"), _abi.CONFIG)
    assert (config["next_hop_age"][0], config["sweep_interval"][0]) == (NEXT_HOP_AGE, BEAT)
