"""Drivers that leave little room before a frame: one that must grow is dropped where it cannot, and this is counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pytest

from tests.support.oracle.corpus import Case, corpus
from tests.support.oracle.flips import BUCKETS, Bench
from tests.support.oracle.network import has_ethernet, packet_of
from tests.support.oracle.pair import pairs
from tests.support.oracle.surroundings import surroundings
from tests.support.wires import Wires
from vipd.spec import Decision

_ETHERNET: Final = 14
_QUOTED: Final = {4: 28, 6: 48}
"An IP and an ICMP header, which an error puts before the packet that it quotes."
_ERRORS: Final = ("reply_unreachable", "reply_time_exceeded", "reply_too_big")
_SHORT: Final = "drop_no_room_in_frame"


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    wires = Wires()
    try:
        with wires.lined(), pairs(wires, BUCKETS) as pair, surroundings(pair.plane) as around:
            yield Bench(pair, around)
    finally:
        wires.close()


def needed(case: Case, decision: Decision) -> int:
    """Bytes that the frame grows by at its beginning, while the director has it."""
    version = packet_of(case.port, case.frame)[0] >> 4
    longer = max(0, len(decision.frame) - len(case.frame))
    grown = _QUOTED[version] if decision.outcome.startswith(_ERRORS) else longer
    # A line's frames have one more header while they are looked at: bpf/point_to_point.h.
    return grown if has_ethernet(case.port) or version not in (4, 6) else grown + _ETHERNET


@pytest.mark.root
def test_a_frame_that_cannot_grow_is_dropped_by_name(bench: Bench) -> None:
    """With just the room that its headers take it goes as ever; with one byte less it is dropped."""
    dropped: set[str] = set()
    for case in corpus():
        decision = bench.alone(case.port, case.frame)
        room = needed(case, decision)
        assert bench.cramped(case.port, case.frame, decision, room) == (decision.outcome, []), (case.name, room)
        if room:
            short = bench.cramped(case.port, case.frame, replace(decision, outcome=_SHORT), room - 1)
            assert short == (_SHORT, []), (case.name, room)
            dropped.add(decision.outcome)
    assert {"forward_tun", "route_tun", "forward_icmp_error", "reply_too_big", "forward_dr", "pass_icmp"} <= dropped
