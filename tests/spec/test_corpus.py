"""A corpus of frames, each cut at every length and with every bit flipped, with other bytes before and behind it.

The program does what the specification says; what lies beside the frame changes nothing and is not changed.
`make corpus` flips every bit; else CORPUS_FLIPS (5) says of how many in a hundred, SPEC_SEED of which.
"""

from __future__ import annotations

import multiprocessing
import os
import random
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.support.mutants.building import Workshop
from tests.support.mutants.population import HEADERS
from tests.support.oracle.corpus import Case, corpus
from tests.support.oracle.flips import FILLINGS, LEAST, Met, run, variants
from tests.support.oracle.surroundings import AROUND, Surrounded
from vipd.dataplane.program import Run
from vipd.model.outcome import OUTCOMES

FLIPS: Final = float(os.environ.get("CORPUS_FLIPS", "5"))
SEED: Final = int(os.environ.get("SPEC_SEED", str(random.randrange(1 << 32))))
WORKERS: Final = os.cpu_count() or 1
CORPUS: Final = corpus()
ELSEWHERE: Final = {
    *("drop_collision", "drop_no_route", "drop_neighbour_unresolved", "drop_no_ethernet", "drop_no_room_in_frame"),
    *("drop_too_big", "drop_ttl", "drop_unknown_reply", "pass_too_big", "drop_no_server"),
    *("reply_reset_no_connection", "reply_unreachable_no_connection"),
}
"Outcomes that take another network or a full table, for test_agreement to find."


def test_the_corpus_is_large_and_each_frame_is_there_once() -> None:
    assert len(CORPUS) >= 200
    assert len({case.name for case in CORPUS}) == len(CORPUS)
    assert len({(case.port, case.frame) for case in CORPUS}) == len(CORPUS)


def test_a_frame_is_cut_everywhere_and_each_bit_is_flipped_once() -> None:
    frame = bytes(range(20))
    found = list(variants(Case("a frame", "out", frame), 1, random.Random(1)))
    assert [len(each) for what, each in found if what == "cut"] == list(range(LEAST, 20))
    flipped = [int.from_bytes(each, "big") ^ int.from_bytes(frame, "big") for what, each in found if what == "flipped"]
    assert sorted(flipped) == [1 << bit for bit in range(160)]


@pytest.mark.parametrize("fill", FILLINGS)
def test_what_is_written_beside_a_frame_is_seen(fill: bytes) -> None:
    intact = (fill * AROUND)[:AROUND]
    for before, behind, grown, lengthened, expected in (
        (intact, intact, 0, 0, []),
        (intact[:-20] + bytes(20), intact, 20, 0, []),
        (intact[:-20] + bytes(20), intact, 19, 0, ["before"]),
        (intact, bytes(1) + intact[1:], 0, 0, ["behind"]),
        (intact, bytes(1) + intact[1:], 0, -4, ["behind"]),
        (intact, bytes(4) + intact[4:], 0, 4, []),
        (bytes(1) + intact[1:], intact, 48, 0, ["before"]),
    ):
        there = Surrounded(Run(2, b"", 0), grown, lengthened, before, behind)
        assert [each.split()[0] for each in there.damage(fill, "director")] == expected


@pytest.mark.root
@pytest.mark.timeout(0)
def test_cut_and_flipped_frames_are_what_the_specification_makes_of_them() -> None:
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as pool:
        shares = [pool.submit(run, CORPUS[n::WORKERS], FLIPS / 100, SEED + n) for n in range(WORKERS)]
        met = sum((each.result() for each in shares), start=Met())
    print(f"\nSPEC_SEED={SEED} CORPUS_FLIPS={FLIPS:g}: {len(CORPUS)} frames, {dict(met.done)},")
    print(f"each alone, between {len(FILLINGS)} fillings, and once more for what XDP is told: ", end="")
    print(f"{(2 + len(FILLINGS)) * met.done.total()} runs")
    print({name: met.outcomes[name] for name in OUTCOMES if met.outcomes[name]})
    if met.wrong:
        pytest.fail("\n\n".join(met.wrong), pytrace=False)
    assert met.done["whole"] == len(CORPUS)
    assert set(OUTCOMES) - set(met.outcomes) <= ELSEWHERE


@pytest.mark.root
def test_what_leaks_from_beside_the_frame_is_found(tmp_path: Path) -> None:
    """An answer's identification is 0; left out, it is what lay before the frame, where tests else have zeros."""
    text, kept = (HEADERS / "reply.h").read_text(), "\tip->id = 0;\n"
    assert text.count(kept) == 1
    leaking = Workshop(tmp_path).build("reply.h", text.replace(kept, ""))
    [refused] = [case for case in CORPUS if case.name == "udp4 91 new out"]
    [wrong, *_] = run([refused], 0, 1, leaking).wrong
    assert FILLINGS[0].hex() in wrong
