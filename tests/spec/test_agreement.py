"""The BPF program and the specification do the same with whatever hypothesis makes up: outcome, bytes, all state.

SPEC_MINUTES (2) says how long, SPEC_SEED with which random numbers; what was used is printed. What the two
disagree in is made small and saved as a script, which test_scripts runs for ever after.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.support.oracle import transitions
from tests.support.oracle.cells import SELDOM, reachable, report
from tests.support.oracle.script import Script, dump
from tests.support.oracle.search import Found, search

MINUTES: Final = float(os.environ.get("SPEC_MINUTES", "2"))
SEED: Final = int(os.environ.get("SPEC_SEED", str(random.randrange(1 << 32))))
WORKERS: Final = os.cpu_count() or 1
ENOUGH: Final = 2.0
"Minutes after which every cell must have been met."
MORE: Final = 8
"Minutes more, at most, where that is not so: a crowded machine does little in two."
AFRESH: Final = 10_000
"From one seed to the next: a search goes on to those that follow its own, which would be made up again."
SCRIPTS: Final = Path(__file__).parent / "scripts"


@pytest.mark.root
@pytest.mark.timeout(0)
def test_the_program_does_what_the_specification_says() -> None:
    print(f"\nSPEC_SEED={SEED} SPEC_MINUTES={MINUTES:g}, {WORKERS} at once")
    found, start = searched(SEED, 60 * MINUTES), time.monotonic()
    if MINUTES >= ENOUGH:
        for again in range(1, MORE + 1):
            if found.script is None and missing(found):
                found += searched(SEED + again * AFRESH, 60)
    seconds = 60 * MINUTES + time.monotonic() - start
    print(f"{found.packets} packets, {found.packets / seconds:.0f} a second\n{report(found.met)}")
    print(transitions.report(found.passed))
    print(f"events: {dict(found.events)}")
    if found.script is not None:
        pytest.fail(f"saved as {saved(found.script)}:\n{found.told}", pytrace=False)
    assert MINUTES < ENOUGH or missing(found) == [], "never met"
    known = {*reachable(), *SELDOM}
    assert [str(cell) for cell in found.met if cell not in known] == [], "thought to be unreachable"


def searched(seed: int, seconds: float) -> Found:
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as pool:
        searches = [pool.submit(search, seed + 1_000_000 * number, seconds) for number in range(WORKERS)]
        return sum((each.result() for each in searches), start=Found())


def missing(found: Found) -> list[str]:
    cells = [str(cell) for cell in reachable() if not found.met[cell]]
    return cells + transitions.missing(found.passed)


def saved(script: Script) -> Path:
    text = dump(script)
    path = SCRIPTS / f"found-{hashlib.sha256(text.encode()).hexdigest()[:8]}.yaml"
    path.write_text(text)
    return path
