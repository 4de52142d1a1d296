"""The systemd units: every line of them is one that systemd knows, and what they start exists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

PACKAGING: Final = Path(__file__).parents[2] / "packaging"


@pytest.mark.parametrize("unit", sorted(PACKAGING.glob("*.service")), ids=lambda path: path.stem)
def test_systemd_understands_every_line(tmp_path: Path, unit: Path) -> None:
    vipd = Path(sys.executable).with_name("vipd")
    installed = tmp_path / unit.name.replace("@", "@main")
    text = unit.read_text()
    assert "\nExecStart=vipd " in text
    installed.write_text(text.replace("=vipd ", f"={vipd} "))
    command = ["systemd-analyze", "verify", str(installed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # It may have something to say of this machine's own units, too.
    assert [line for line in done.stderr.splitlines() if installed.name in line] == []
