"""Every script that once showed a disagreement: the program and the specification agree in it now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.oracle import Runner, replay
from tests.support.oracle.script import dump, load
from tests.support.oracle.search import BUCKETS, wired

SCRIPTS: Final = sorted((Path(__file__).parent / "scripts").glob("*.yaml"))


@pytest.fixture(scope="module")
def runners() -> Iterator[dict[int, Runner]]:
    with wired() as made:
        yield made


@pytest.mark.root
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_both_agree_in_a_script(runners: dict[int, Runner], path: Path) -> None:
    script = load(path.read_text())
    replay(runners[script.buckets], script)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_is_written_as_it_was_read(path: Path) -> None:
    script = load(path.read_text())
    assert load(dump(script)) == script
    assert script.about.strip()
    assert script.buckets in BUCKETS
