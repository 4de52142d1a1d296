"""The documents say what is so: examples load, links lead somewhere, commands and tests exist."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from vipd.cli.app import COMMANDS, app

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FAILURE_MODES: Final = (ROOT / "docs/failure-modes.md").read_text()

# What a director, a data plane and a control plane without health checks and election must stand.
CONCERNED: Final = [
    *(f"T{n}" for n in (1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14, 17, 18)),
    *(f"P{n}" for n in (1, *range(3, 21), 22, 23, 24, 25)),
    *(f"C{n}" for n in (*range(1, 8), 9, 10, 11, 12, 14, 15)),
    *(f"S{n}" for n in range(1, 7)),
]


def blocks(text: str) -> list[tuple[str, str]]:
    """Every fenced block: its language and what is in it."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_readme_shows_an_example_as_it_is() -> None:
    [shown] = [code for language, code in blocks((ROOT / "README.md").read_text()) if language == "yaml"]
    assert shown == (ROOT / "examples/vipd.yaml").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_commands_exist(document: Path) -> None:
    text = document.read_text()
    code = "\n".join([*(code for _, code in blocks(text)), *re.findall(r"`([^`\n]+)`", text)])
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"(?:^|sudo )make ([a-z]+)", code, re.MULTILINE)) - targets == set()
    assert set(re.findall(r"^vipd ([a-z][a-z-]*)", code, re.MULTILINE)) - COMMANDS.keys() == set()


def test_pictures_load_nothing_from_anywhere() -> None:
    pictures = sorted((ROOT / "docs/pictures").glob("*.svg"))
    assert len(pictures) >= 10
    for path in pictures:
        text = path.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "", 1)
        assert re.findall(r"://|url\(|@import|@font-face|href|<image|<script", text) == [], path.name


@pytest.mark.parametrize("name", CONCERNED)
def test_every_known_failure_mode_has_its_answer(name: str) -> None:
    [row] = re.findall(rf"^\| {name} \|.*$", FAILURE_MODES, re.MULTILINE)
    _, _, failure, answer, _ = row.split("|")
    assert failure.strip()
    assert re.search(r"`tests/[\w/]+\.py::test_\w+`|^ (Cannot happen|Documented): ", answer)


def test_every_test_that_the_failure_modes_name_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", FAILURE_MODES)
    assert named
    missing = [
        f"{path}::{test}"
        for path, test in named
        if not (ROOT / path).is_file() or f"def {test}(" not in (ROOT / path).read_text()
    ]
    assert missing == []


def shown_in(document: str, commands: str) -> list[tuple[str, str]]:
    """What a document shows of some commands: each with its output."""
    text = (ROOT / "docs" / document).read_text()
    return re.findall(rf"^```\w*\n\$ (vipd (?:{commands}) [^\n|]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def printed(command: str) -> list[str]:
    done = CliRunner().invoke(app, shlex.split(command)[1:], env={"COLUMNS": "120", "NO_COLOR": "1"})
    return [line.rstrip() for line in done.stdout.splitlines()]


EXACT: Final = [*shown_in("simulate.md", "simulate"), *shown_in("explain.md", "explain")]


@pytest.mark.parametrize(("command", "output"), EXACT, ids=[command for command, _ in EXACT])
def test_what_a_document_shows_is_what_is_printed(command: str, output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert printed(command) == output.splitlines()


def test_both_kinds_of_document_show_some() -> None:
    assert {command.split()[1] for command, _ in EXACT} == {"explain", "simulate"}


def test_a_part_of_explains_document_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = (ROOT / "docs/explain.md").read_text()
    [(command, key, shown)] = re.findall(
        r"^\$ (vipd explain [^\n]*--json) \| jq '\.packets\[0\]\.(\w+)'\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    )
    assert json.loads("\n".join(printed(command)))["packets"][0][key] == json.loads(shown)


def test_an_expectation_that_fails_is_shown_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that is shown, and the example's configuration with what is said to be changed in it."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs/explain.md").read_text()
    [(old, new)] = re.findall(r"`(- 10\.0\.0\.11)` has become\s`(- \{address: 10\.0\.0\.11, weight: 0\})`", text)
    [expectations] = [code for language, code in blocks(text) if language == "yaml"]
    Path("expectations.yaml").write_text(expectations)
    Path("vipd.yaml").write_text((ROOT / "examples/vipd.yaml").read_text().replace(old, new))
    [(command, output)] = shown_in("explain.md", "test")
    assert printed(command) == output.splitlines()
