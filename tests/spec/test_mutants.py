"""The search finds a planted mutant; what is listed as equivalent exists and has a reason; C is read as it is meant."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.mutants import ledger
from tests.support.mutants.building import DoesNotCompileError, Workshop, code
from tests.support.mutants.defects import defects
from tests.support.mutants.operators import edits, operators
from tests.support.mutants.population import HEADERS, Key, Mutant, headers, mutants, population, sample
from tests.support.mutants.trial import SURVIVED, Verdict, trials
from tests.support.oracle.plane import DIRECTOR

EVERY = population()
SOURCE = dedent("""\
    #include "other.h"
    #define LIMIT 8 /* 9 is too much */
    enum colour { RED, GREEN };

    /* x == y */
    static int paint(struct wall *wall, int n)
    {
    \tint done = 0;

    \tif (n > LIMIT && wall)
    \t\treturn RED;
    \twall->source = bpf_htons(n + 1);
    \treturn done;
    }
    """)


def changes(operator: str) -> list[str]:
    return [
        f"{mutant.key.place}: {mutant.key.was} => {mutant.key.now}"
        for mutant in mutants("wall.h", SOURCE, {"RED": "GREEN", "GREEN": "RED"})
        if mutant.operator == operator
    ]


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("relation", ["paint: if (n > LIMIT && wall) => if (n >= LIMIT && wall)"]),
        ("and-or", ["paint: if (n > LIMIT && wall) => if (n > LIMIT || wall)"]),
        (
            "arithmetic",
            ["paint: wall->source = bpf_htons(n + 1); => wall->source = bpf_htons(n - 1);"],
        ),
        ("dropped", ["paint: wall->source = bpf_htons(n + 1); => ;"]),
        ("byte order", ["paint: wall->source = bpf_htons(n + 1); => wall->source = (n + 1);"]),
        ("field", ["paint: wall->source = bpf_htons(n + 1); => wall->destination = bpf_htons(n + 1);"]),
        ("value", ["paint: return RED; => return GREEN;"]),
        (
            "condition",
            [
                "paint: if (n > LIMIT && wall) => if (!(n > LIMIT && wall))",
                "paint: if (n > LIMIT && wall) => if (0 && (n > LIMIT && wall))",
            ],
        ),
    ],
)
def test_an_operator_changes_code_and_nothing_else(operator: str, expected: list[str]) -> None:
    assert changes(operator) == expected


def test_constants_are_off_by_one_in_macros_too() -> None:
    found = changes("constant")
    assert "LIMIT: #define LIMIT 8 /* 9 is too much */ => #define LIMIT 9 /* 9 is too much */" in found
    assert "paint: int done = 0; => int done = 1;" in found
    assert len(found) == 5


def test_there_are_mutants_of_every_header_and_kind() -> None:
    assert len(EVERY) > 1000
    assert len({mutant.key for mutant in EVERY}) == len(EVERY)
    assert {mutant.key.file for mutant in EVERY} == {path.name for path in headers()}
    assert {mutant.operator for mutant in EVERY} == operators({}).keys()
    assert all(mutant.text != (HEADERS / mutant.key.file).read_text() for mutant in EVERY)


def test_a_sample_is_the_same_each_time_and_has_some_of_every_header() -> None:
    picked = sample(EVERY, 150, 1)
    assert picked == sample(population(), 150, 1)
    assert len(picked) >= 150
    assert {mutant.key.file for mutant in picked} == {path.name for path in headers()}
    assert picked != sample(EVERY, 150, 2)


def test_a_moved_line_keeps_its_mutants_names() -> None:
    text = (HEADERS / "addr.h").read_text()
    moved = text.replace("\n\n", "\n\n\n")
    assert moved != text
    assert [each.key for each in mutants("addr.h", text, {})] == [each.key for each in mutants("addr.h", moved, {})]


def test_the_list_of_equivalents_is_in_form() -> None:
    listed = ledger.equivalent(ledger.EQUIVALENT.read_text())
    keys = [each.key for each in listed]
    assert len(set(keys)) == len(keys)
    assert [str(key) for key in set(keys) - {mutant.key for mutant in EVERY}] == [], "no longer mutants: take them out"
    assert [str(each.key) for each in listed if len(each.why) < 20] == []


def test_a_list_that_is_not_true_any_more_is_told() -> None:
    one, other, third = EVERY[:3]
    gone = Key("addr.h", "addr_from_v4", "was", "never")
    listed = [ledger.Equivalent(each, "because") for each in (one.key, gone)]
    found = {
        one.key: Verdict("spec", "forward_dr: frame", 1.0),
        other.key: Verdict(SURVIVED, "", 1.0),
        third.key: Verdict("verifier", "", 1.0),
    }
    told = list(ledger.complaints(EVERY, found, listed, {"addr.h"}))
    assert len(told) == 3
    assert "killed by spec" in told[0]
    assert told[1].startswith("SURVIVED")
    assert "no longer a mutant" in told[2]


def test_an_entry_is_read_as_it_is_proposed() -> None:
    key = EVERY[7].key
    assert ledger.equivalent(ledger.entry_for(key)) == [ledger.Equivalent(key, "…")]


def test_results_are_kept_and_survivors_are_tried_again(tmp_path: Path) -> None:
    killed, survivor = EVERY[:2]
    first = ledger.Ledger(tmp_path / "results")
    first.note(killed, Verdict("spec", "forward_dr: frame", 1.5))
    first.note(survivor, Verdict(SURVIVED, "", 60.0))
    with (tmp_path / "results").open("a") as file:
        file.write('{"key": "cut sho')
    second = ledger.Ledger(tmp_path / "results")
    assert second.known(killed) == Verdict("spec", "forward_dr: frame", 1.5)
    assert second.known(survivor) is None


def test_what_the_compiler_cannot_tell_apart_is_known(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    text = (HEADERS / "hash.h").read_text()
    tree = {path: path.read_bytes() for path in HEADERS.iterdir()}
    assert code(workshop.build("hash.h", text)) == code(DIRECTOR)
    assert code(workshop.build("hash.h", text.replace("c ^= 0xff;", "c ^= 0xfe;"))) != code(DIRECTOR)
    with pytest.raises(DoesNotCompileError, match="error"):
        workshop.build("hash.h", text.replace("c ^= 0xff;", "c ^= ;"))
    assert code(workshop.build("hash.h", text)) == code(DIRECTOR)
    assert {path: path.read_bytes() for path in HEADERS.iterdir()} == tree


def test_every_defect_can_be_planted_and_they_are_of_all_stages() -> None:
    every = defects()
    for defect in every:
        assert defect.was not in defect.text or defect.was in defect.now, defect
    assert len({defect.stage for defect in every}) >= 10
    assert {defect.file for defect in every} <= {path.name for path in headers()}


@pytest.mark.root
def test_a_planted_mutant_is_killed(tmp_path: Path) -> None:
    text = (HEADERS / "rewrite.h").read_text()
    [edit] = [each for each in edits(text, operators({})["dropped"]) if "hop_limit--" in text[each.start : each.end]]
    key = Key("rewrite.h", edit.place, "pkt->ip6->hop_limit--;", ";")
    planted = Mutant(key, "dropped", text[: edit.start] + edit.text + text[edit.end :])
    with trials(tmp_path) as all_of_it:
        verdict = all_of_it.try_out(planted, 1, 60)
    assert (verdict.by, verdict.killed) == ("spec", True)
    assert "frame" in verdict.told
