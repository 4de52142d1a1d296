"""Every `vipd frame …` that a document or a help text shows is typed as it stands there, and works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.docs.test_docs import ROOT, blocks
from tests.support.frame_cli import capture_file, runner
from tests.support.specimens import ETHERNET
from vipd.cli.app import app
from vipd.cli.frame import decode, forward, segment

_OWN: Final = "## With frames of your own"
_KEEPALIVE: Final = ("cisco-hdlc", "--keepalive", "5,4")


def _examples() -> list[str]:
    document = (ROOT / "docs/framing.md").read_text()
    [own] = [code for _, code in blocks(document[document.index(_OWN) :])]
    commands = re.findall(
        r"^(?:\$ )?(vipd frame .*?)(?: +# .*)?$", document[: document.index(_OWN)] + own, re.MULTILINE
    )
    helps = (decode.EXAMPLES, forward.EXAMPLES, segment.EXAMPLES, *_epilogs())
    return sorted({*commands, *(each for text in helps for each in re.findall(r"vipd frame .+", text))})


def _epilogs() -> list[str]:
    from vipd.cli.frame import encode

    return [command.epilog or "" for command in encode.app.registered_commands] + [encode.app.info.help or ""]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with the files that the examples name."""
    for name in ("some.pcap", "capture.pcap"):
        capture_file(tmp_path / name, 1, [ETHERNET["tcp"], ETHERNET["udp"]])
    (tmp_path / "line.txt").write_text("0111111011000000111110100110110100011011101111110\n")
    line = runner.invoke(app, ["frame", "encode", *_KEEPALIVE]).stdout
    (tmp_path / "line.bits").write_text(line)
    return tmp_path


@pytest.mark.parametrize("example", _examples())
def test_an_example_works_as_it_stands(home: Path, example: str) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["bash", "-euo", "pipefail", "-c", example]
    done = subprocess.run(
        command, cwd=home, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False, timeout=60
    )
    # 1: what is shown is wrong, and is meant to be.
    assert done.returncode in (0, 1), done.stderr
    assert done.stderr == ""
    assert done.stdout or (home / "echo.pcap").exists() or (home / "hello.pcap").exists()


def test_no_example_is_left_out() -> None:
    assert len(_examples()) >= 25
