"""Every command of vipd that a document shows is one that vipd takes: its name, its options, their values."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from typer.exceptions import TyperException

from tests.docs.test_docs import DOCUMENTS, blocks
from vipd.cli.app import app

_SHELL: Final = set("|&;<>()")


def _commands(code: str) -> list[str]:
    """As a shell reads them: without a prompt, what goes on in the next line, and what stands beside them as prose."""
    lines = re.sub(r"\\\n\s*", "", code).splitlines()
    found = [re.match(r"(?:\$ |\w+# +|)vipd (\S.*)", line) for line in lines]
    return [re.split(r"\s{3,}", each[1])[0] for each in found if each]


def _words(command: str) -> list[str]:
    """Up to where the shell does something else."""
    reader = shlex.shlex(command, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    words: list[str] = []
    for word in reader:
        if set(word) <= _SHELL:
            break
        words.append(word)
    return words


def _code(document: Path) -> list[str]:
    """Of what is made of the help texts, all but the synopses: its examples stand alone."""
    text = document.read_text()
    return [text.replace("$ vipd", "")] if document.name == "cli.md" else [code for _, code in blocks(text)]


SHOWN: Final = {
    document.name: {command for code in _code(document) for command in _commands(code)} for document in DOCUMENTS
}
COMMANDS: Final = sorted({command for commands in SHOWN.values() for command in commands})


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_shown_is_one_that_vipd_takes(command: str) -> None:
    take(_words(command))


def take(words: list[str]) -> None:
    group: Any = typer.main.get_command(app)
    context = group.make_context("vipd", ["status"])
    name = "vipd"
    words = words[2:] if words[0] == "--instance" else words
    while hasattr(group, "resolve_command"):
        name, group, words = group.resolve_command(context, words)
    group.make_context(name, words, parent=context)


@pytest.mark.parametrize("command", ["trase", "trace --no-such-option", "trace --sample x", "link up --over pty"])
def test_what_vipd_does_not_take_is_found(command: str) -> None:
    with pytest.raises(TyperException):
        take(_words(command))


@pytest.mark.parametrize("document", ["README.md", "cli.md", "explain.md", "framing.md", "link.md", "trace.md"])
def test_none_is_overlooked(document: str) -> None:
    assert len(SHOWN[document]) >= 4
