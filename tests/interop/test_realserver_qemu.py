"""Real servers on Debian's own kernel: dummies and tunnels, which the kernel here may lack."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.interop import guest

pytestmark = [pytest.mark.interop, pytest.mark.timeout(1800)]

PASSED: Final = re.compile(r"^(?:=+ )?(\d+) passed", re.MULTILINE)


def test_dummies_and_kernel_tunnels_on_debians_kernel(tmp_path: Path) -> None:
    # Loaded first: with each module come devices of its own (tunl0, sit0), which are not ours.
    modules = "modprobe -a dummy ipip sit ip6_tunnel"
    pytest_ = f"{sys.executable} -B -m pytest -q --color=no --tb=short -p no:cacheprovider --timeout=900"
    frames = "tests/realserver/test_decapsulator.py -k 'whole or merged or allowed'"
    guests = "tests/interop/guest_realserver.py"
    output = guest.run(f"{modules} && {pytest_} {frames} && {pytest_} {guests}", tmp_path, deadline=1700)
    assert f"{guest.STATUS}0" in output, output[-8000:]
    of_frames, of_guests = map(int, PASSED.findall(output))
    assert of_frames > 50, output[-8000:]
    assert of_guests == 9, output[-8000:]
