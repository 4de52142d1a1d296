"""The stack of the data plane's programs, and that room is left on it: told before the oldest kernel refuses them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.support.planes import compiled
from tests.support.stack import FRAMES, LIMIT, chains, deepest, functions
from vipd.dataplane.pins import BUILT

SPARE: Final = 64
"Bytes: room for what is added next. Who takes it should give it back, by a step of its own for what is rare."
PROGRAMS: Final = {
    "vipd": {"director", "director_point_to_point", "start_sweeper"},
    "realserver": {"decapsulator", "decapsulator_point_to_point"},
    "rehearsal": {"sweep_all"},
    "pass": {"pass"},
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_leaves_room_on_the_stack(name: str) -> None:
    found = deepest(BUILT.with_name(f"{name}.bpf.o"))
    assert PROGRAMS[name] <= found.keys()
    assert [str(chain) for chain in found.values() if chain.bytes > LIMIT - SPARE] == []


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_chain_of_calls_has_more_frames_than_the_kernel_allows(name: str) -> None:
    all_ = functions(BUILT.with_name(f"{name}.bpf.o"))
    assert max(len(chain.functions) for one in all_ for chain in chains(all_, one)) <= FRAMES


def test_each_packaged_object_is_looked_at() -> None:
    assert {path.name.split(".")[0] for path in BUILT.parent.glob("*.bpf.o")} == PROGRAMS.keys()


def test_calls_callbacks_and_frames_are_found() -> None:
    all_ = functions(BUILT)
    assert "least_step" in all_["choose"].calls, "by bpf_loop"
    assert "sweep_beat" in all_["start_sweeper"].calls, "by bpf_timer"
    assert "reply_icmp" in all_["director"].calls, "static, by section"
    assert "next_hop_ask" in all_["director"].calls, "global, by name"
    assert all_["fragment_ports"].depth >= 40 + 16, "a fragment_key and a fragment"


def test_a_frame_that_grows_is_told(tmp_path: Path) -> None:
    grown = compiled(tmp_path, packet=("	__u64 now;", "	volatile __u64 more[8], now;"))
    before, after = deepest(BUILT)["director"], deepest(grown)["director"]
    assert after.bytes >= before.bytes + 8 * 8
