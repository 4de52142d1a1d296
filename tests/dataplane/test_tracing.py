"""Who may trace, until when, and on whose maps; what a packet's record says, tests/bpf tells."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support.entries import Planter
from tests.support.planes import compiled, opened
from tests.support.services import connection, endpoint, server, service
from vipd.dataplane import _abi_trace
from vipd.dataplane.maps import Map
from vipd.dataplane.port import PutService
from vipd.dataplane.program import unpinned
from vipd.dataplane.tracing import open_tracer
from vipd.dataplane.xdp import XdpDataplane
from vipd.errors import DataplaneError
from vipd.lab.process import wait_until
from vipd.model.director import OnServerRemoved
from vipd.model.trace import Asked

pytestmark = pytest.mark.root

WEB = endpoint()
HELD = service(WEB, server(WEB, "10.0.0.1", 8080), server(WEB, "10.0.0.2", 8080))
TRACING = ("tracer", "traces", "trace_counts", "trace_records")
ARP = bytes(12) + b"\x08\x06" + bytes(46)
PATIENCE = 10.0


def cell(plane: XdpDataplane) -> np.ndarray:
    """The tracer's own view of what it asks for."""
    return plane.pins.maps["tracer"].memory(_abi_trace.TRACER)


def test_a_second_tracer_is_refused_with_the_firsts_process(bpffs: Path) -> None:
    plane = opened(bpffs)
    with open_tracer(bpffs / "one") as tracer:
        tracer.start(Asked())
        expected = f"process {os.getpid()} traces this instance already, and only one can"
        with pytest.raises(DataplaneError, match=expected), open_tracer(bpffs / "one"):
            pass
        plane.pins.director.run(ARP)
        assert len(tracer.poll(0)) == 1
    with open_tracer(bpffs / "one"):
        pass
    plane.down()


def test_instances_are_traced_side_by_side(bpffs: Path) -> None:
    one, two = opened(bpffs, "one"), opened(bpffs, "two")
    with open_tracer(bpffs / "one") as first, open_tracer(bpffs / "two") as second:
        first.start(Asked())
        second.start(Asked())
        one.pins.director.run(ARP)
        assert [len(first.poll(0)), len(second.poll(0))] == [1, 0]
    one.down()
    two.down()


def test_a_killed_tracer_is_forgotten_by_the_data_plane_itself(bpffs: Path) -> None:
    plane = opened(bpffs)
    program = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from vipd.dataplane.tracing import open_tracer\nfrom vipd.model.trace import Asked\n"
        "with open_tracer(Path(sys.argv[1])) as tracer:\n"
        "    tracer.start(Asked(frame=100))\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(bpffs / "one")], check=False)
    assert done.returncode == -9
    found = cell(plane)
    assert found["on"][0]
    assert found["keep"][0]
    wait_until(lambda: not found["on"][0], "the data plane to miss the tracer", PATIENCE)
    assert not found["keep"][0]
    plane.pins.director.run(ARP)
    with open_tracer(bpffs / "one") as tracer:
        tracer.start(Asked())
        assert tracer.poll(0) == []
    plane.down()


def test_a_tracer_that_gives_signs_of_life_goes_on(bpffs: Path) -> None:
    plane = opened(bpffs)
    with open_tracer(bpffs / "one") as tracer:
        tracer.start(Asked())
        found = cell(plane)

        def heard() -> bool:
            return bool(found["heard"][0] == found["beat"][0])

        wait_until(heard, "the sweeper to hear the tracer", PATIENCE)
        # As if nothing had been heard for three seconds: a sign of life in time is enough.
        found["heard_at"] -= 3_000_000_000
        found["beat"] += 1
        wait_until(heard, "the sweeper to hear the tracer again", PATIENCE)
        assert found["on"][0]
        assert tracer.beat()
        # The same without one.
        wait_until(heard, "the sweeper to hear the tracer again", PATIENCE)
        found["heard_at"] -= 3_000_000_000
        wait_until(lambda: not found["on"][0], "the sweeper to miss the tracer", PATIENCE)
        assert not tracer.beat(), "that it had stopped is told"
        assert tracer.beat()
        plane.pins.director.run(ARP)
        assert len(tracer.poll(0)) == 1
    plane.down()


def test_the_rates_share_is_given_anew_with_each_window(bpffs: Path) -> None:
    plane = opened(bpffs)
    with open_tracer(bpffs / "one") as tracer:
        tracer.start(Asked(rate=20))
        began, shown = time.monotonic(), 0
        while shown < 6:
            plane.pins.director.run(ARP)
            shown += len(tracer.poll(0))
            assert time.monotonic() - began < PATIENCE
            tracer.beat()
        # The first share at once, two more after a tenth of a second each.
        assert time.monotonic() - began >= 0.19
        assert tracer.counts().limited > 0
    plane.down()


def test_tracing_goes_on_while_another_build_takes_over(bpffs: Path, tmp_path: Path) -> None:
    plane = opened(bpffs)
    before = plane.pins.director.id
    other = compiled(tmp_path, forward=("#define TUNNEL_TTL 64", "#define TUNNEL_TTL 65"))
    with open_tracer(bpffs / "one") as tracer:
        tracer.start(Asked())
        plane.close()
        after = opened(bpffs, built=other)
        assert after.pins.director.id != before
        # On a slow machine that took longer than a tracer may be silent.
        tracer.beat()
        after.pins.director.run(ARP)
        assert [found.outcome for found in tracer.poll(0)] == ["pass_not_ip"]
        assert tracer.counts().passed == 1
    after.down()


def test_what_a_build_without_tracing_made_is_adopted_and_can_be_traced(bpffs: Path) -> None:
    first = opened(bpffs)
    first.apply([PutService(HELD, OnServerRemoved.RESET)])
    Planter(first).plant(connection(WEB, "10.0.0.1", server_port=8080))
    first.close()
    for name in TRACING:
        (bpffs / "one" / name).unlink()
    with pytest.raises(DataplaneError, match="made by another build of vipd: trace with that one"):
        open_tracer(bpffs / "one").__enter__()
    second = opened(bpffs)
    assert second.pins.adopted
    assert len(list(second.connections())) == 1
    with open_tracer(bpffs / "one") as tracer:
        tracer.start(Asked())
        second.pins.director.run(ARP)
        assert len(tracer.poll(0)) == 1
    second.down()


def test_other_layouts_are_never_misread(bpffs: Path, tmp_path: Path) -> None:
    plane = opened(bpffs)
    other = compiled(tmp_path, abi_trace=("__u32 sample; /* one of so many */", "__u64 sample;"))
    with pytest.raises(DataplaneError, match="made by another build"):
        open_tracer(bpffs / "one", other).__enter__()
    plane.down()


def test_the_maps_of_tracing_are_pinned_with_the_others(bpffs: Path) -> None:
    plane = opened(bpffs)
    for name in TRACING:
        table = Map(unpinned(bpffs / "one" / name), name)
        assert table.info.id == plane.pins.maps[name].info.id
        table.close()
    plane.down()
