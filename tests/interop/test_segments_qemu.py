"""Our hub and switch beside the bridge of Debian's own kernel, which knows VLANs."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.interop import guest

pytestmark = [pytest.mark.interop, pytest.mark.timeout(1800)]

PASSED: Final = re.compile(r"^(?:=+ )?(\d+) passed", re.MULTILINE)


def test_segments_do_what_debians_bridge_does(tmp_path: Path) -> None:
    pytest_ = f"{sys.executable} -B -m pytest -q --color=no --tb=short -p no:cacheprovider --timeout=900"
    command = f"modprobe -a bridge tun; {pytest_} -m 'root or interop' tests/segment"
    output = guest.run(command, tmp_path, deadline=1700)
    assert f"{guest.STATUS}0" in output, output[-8000:]
    [count] = map(int, PASSED.findall(output))
    assert count > 50, output[-8000:]
