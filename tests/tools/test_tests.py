"""What fails is run once more, alone, whatever way it failed: what passes then is told, what fails then has failed."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "tests"
ONCE = """
import os, pathlib, time

def once(name):
    mark = pathlib.Path(__file__).with_name(name)
    found = mark.exists()
    mark.touch()
    return not found
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """In the tree, as all tests are."""
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as made:
        yield Path(made)


def run(folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    file = folder / "test_some.py"
    file.write_text(ONCE + text)
    command = [str(TOOL), "-p", "tests.conftest", f"--basetemp={folder / 'base'}", *options, str(file)]
    environment = {**os.environ, "FAILED": str(folder / "failed")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def told(done: subprocess.CompletedProcess[str], ending: str) -> list[str]:
    """The names after that ending."""
    return [line.rpartition("::")[2] for line in done.stdout.rpartition(ending)[2].splitlines() if "::" in line]


PASSED, FAILED = "passed alone, which nobody should get used to:", "not all of it passed alone:"


def test_what_passes_alone_is_told_with_the_logs_of_its_failure(folder: Path) -> None:
    done = run(
        folder,
        "def test_log(tmp_path):\n"
        "    (tmp_path / 'daemon.log').write_text('a last word')\n"
        "    assert not once('log')\n"
        "def test_fine(): pass\n",
    )
    assert (done.returncode, told(done, PASSED)) == (0, ["test_log"]), done.stdout
    assert "daemon.log -" in done.stdout
    assert "a last word" in done.stdout
    assert "processors" in done.stdout


def test_a_lost_process_and_a_test_that_hangs_are_run_again_too(folder: Path) -> None:
    done = run(
        folder,
        "def test_lost():\n    if once('lost'): os._exit(3)\ndef test_hangs():\n    if once('hangs'): time.sleep(60)\n",
        *("-n", "1", "-o", "timeout=2"),
    )
    assert (done.returncode, sorted(told(done, PASSED))) == (0, ["test_hangs", "test_lost"]), done.stdout


def test_what_fails_again_fails(folder: Path) -> None:
    done = run(folder, "def test_wrong(): assert False\ndef test_seldom(): assert not once('seldom')\n")
    assert (done.returncode, told(done, FAILED)) == (1, ["test_wrong", "test_seldom"]), done.stdout


@pytest.mark.parametrize(
    ("text", "options", "status"), [("", ("--no-such-option",), 4), ("def test_fine(): pass\n", ("-k", "nothing"), 5)]
)
def test_where_not_all_was_run_nothing_is_run_again(
    folder: Path, text: str, options: tuple[str, ...], status: int
) -> None:
    done = run(folder, text, *options)
    assert done.returncode == status
    assert "once more" not in done.stdout
