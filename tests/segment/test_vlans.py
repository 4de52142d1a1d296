"""VLANs, apart from each other by our switch and by the kernel's bridge alike.

Not every kernel's bridge knows VLANs; Debian's does: that half runs in a guest (tests/interop/test_segments_qemu.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.segments import (
    BROADCAST,
    A,
    B,
    Bench,
    compare_both,
    frame,
    tagged,
)
from vipd.segment.vlan import access, trunk


@pytest.fixture(params=["memory", pytest.param("kernel", marks=pytest.mark.interop)])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(request.param, stack)


TEN, TWENTY, BOTH, MIXED = range(4)
PORTS = {TEN: access(10), TWENTY: access(20), BOTH: trunk([10, 20]), MIXED: trunk([20], native=10)}


def test_vlans_hear_nothing_of_each_other(bench: Bench) -> None:
    switch = bench.switch(4, vlans=PORTS)
    plain = frame(BROADCAST, A)
    assert bench.out(switch, TEN, plain) == {BOTH: tagged(BROADCAST, A, 10), MIXED: plain}
    assert bench.out(switch, TWENTY, plain) == {BOTH: tagged(BROADCAST, A, 20), MIXED: tagged(BROADCAST, A, 20)}
    assert bench.out(switch, MIXED, plain) == {TEN: plain, BOTH: tagged(BROADCAST, A, 10)}


def test_a_tag_is_added_kept_or_taken_as_each_port_needs_it(bench: Bench) -> None:
    switch = bench.switch(4, vlans=PORTS)
    sent = tagged(BROADCAST, A, 20, 0b1010)
    assert bench.out(switch, BOTH, sent) == {TWENTY: frame(BROADCAST, A), MIXED: sent}
    assert bench.out(switch, MIXED, sent) == {TWENTY: frame(BROADCAST, A), BOTH: sent}


def test_a_frame_of_none_of_the_ports_vlans_is_not_taken(bench: Bench) -> None:
    switch = bench.switch(4, vlans=PORTS)
    assert bench.out(switch, BOTH, frame(BROADCAST, A)) == {}
    for port, vlan in ((TEN, 20), (TWENTY, 10), (BOTH, 30), (BOTH, 4095), (MIXED, 4095)):
        assert bench.out(switch, port, tagged(BROADCAST, A, vlan)) == {}
    # Nor was anybody learned from it.
    sent = frame(A, B)
    assert bench.out(switch, TEN, sent) == {BOTH: tagged(A, B, 10), MIXED: sent}


def test_a_tag_of_vlan_zero_tells_a_priority_only(bench: Bench) -> None:
    switch = bench.switch(4, vlans=PORTS)
    sent = tagged(BROADCAST, A, 0, 0b1110)
    assert bench.out(switch, TEN, sent) == {BOTH: tagged(BROADCAST, A, 10, 0b1110), MIXED: frame(BROADCAST, A)}
    assert bench.out(switch, BOTH, sent) == {}


def test_the_same_station_may_be_on_another_port_in_each_vlan(bench: Bench) -> None:
    switch = bench.switch(4, vlans=PORTS)
    bench.out(switch, TEN, frame(BROADCAST, A))
    bench.out(switch, TWENTY, frame(BROADCAST, A))
    assert list(bench.out(switch, BOTH, tagged(A, B, 10))) == [TEN]
    assert list(bench.out(switch, BOTH, tagged(A, B, 20))) == [TWENTY]


@pytest.mark.interop
def test_whatever_is_sent_both_do_the_same() -> None:
    compare_both(PORTS, examples=100)
