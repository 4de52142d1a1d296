"""The director's data plane on Debian's own kernel, the oldest that vipd supports."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.interop import guest

pytestmark = [pytest.mark.interop, pytest.mark.timeout(1800)]

PASSED: Final = re.compile(r"^(?:=+ )?(\d+) passed", re.MULTILINE)
FORWARDING: Final = ("tests/bpf/test_methods.py", "tests/bpf/test_schedulers.py", "tests/bpf/test_tunnels.py")
LINKS: Final = (
    "tests/bpf/test_point_to_point.py",
    "tests/bpf/test_point_to_point_answers.py",
    "tests/bpf/test_tracing.py",
    "tests/dataplane/test_attaching.py",
)


@pytest.mark.parametrize(("files", "least"), [(FORWARDING, 200), (LINKS, 150)], ids=["forwarding", "links"])
def test_the_data_plane_on_debians_kernel(files: tuple[str, ...], least: int, tmp_path: Path) -> None:
    pytest_ = f"{sys.executable} -B -m pytest -q --color=no --tb=short -p no:cacheprovider --timeout=900"
    output = guest.run(f"modprobe -a veth tun; {pytest_} {' '.join(files)}", tmp_path, deadline=1700)
    assert f"{guest.STATUS}0" in output, output[-8000:]
    [count] = map(int, PASSED.findall(output))
    assert count > least, output[-8000:]
