"""Every `vipd link up` that a document or a unit shows is one that vipd takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Final

import pytest
import typer

from vipd.cli.link import app
from vipd.link.options import parse_ends, parse_route
from vipd.model.line import parse_place

ROOT: Final = Path(__file__).parents[2]


def shown() -> list[str]:
    texts = {path: path.read_text() for path in (ROOT / "README.md", ROOT / "docs/link.md")}
    found = []
    for text in texts.values():
        # As a shell reads it: what goes on in the next line, and what is quoted for a second one.
        plain = re.sub(r"\\\n\s*", "", text).replace(r"\:", ":")
        found += re.findall(r"vipd link up (--[^\n'`&]+)", plain)
    [arguments] = re.findall(r"^#\s+ARGUMENTS=(.+)$", (ROOT / "packaging/vipd-link@.service").read_text(), re.MULTILINE)
    return [*found, f"--peer paris {arguments}"]


@pytest.mark.parametrize("arguments", shown())
def test_a_link_that_is_shown_can_be_brought_up(arguments: str) -> None:
    group = typer.main.get_group(app)
    given = group.commands["up"].make_context("up", shlex.split(arguments)).params
    parse_place(given["over"])
    parse_ends(given["ipv4"])
    for route in given["route"] or ():
        parse_route(route)


def test_enough_are_shown() -> None:
    assert len(shown()) >= 10
