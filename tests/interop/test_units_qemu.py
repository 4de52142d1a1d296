"""The systemd units, started by Debian's systemd on Debian's kernel: what their sandbox forbids, nobody needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.interop import booted, guest

pytestmark = [pytest.mark.interop, pytest.mark.timeout(1800)]

PASSED: Final = re.compile(r"^(?:=+ )?(\d+) passed", re.MULTILINE)


@pytest.mark.parametrize(
    ("file", "count"),
    [("tests/daemon/guest_unit.py", 6), ("tests/interop/guest_link_unit.py", 4)],
    ids=["director", "link"],
)
def test_units_start_work_and_end_in_their_sandbox(file: str, count: int, tmp_path: Path) -> None:
    pytest_ = f"{booted.PYTHON} -B -m pytest -q --color=no --tb=short -p no:cacheprovider --timeout=900"
    output = booted.run(f"modprobe -a veth tun; {pytest_} {file}", tmp_path, 1700, wired(tmp_path / "wire"))
    assert f"{guest.STATUS}0" in output, output[-8000:]
    assert [int(found) for found in PASSED.findall(output)] == [count], output[-8000:]


def wired(wire: Path) -> tuple[str, ...]:
    """Two serial ports beside the console's, each the other's end."""
    return (
        *("-chardev", f"socket,id=one,path={wire},server=on,wait=off", "-device", "isa-serial,chardev=one"),
        *("-chardev", f"socket,id=other,path={wire}", "-device", "isa-serial,chardev=other"),
    )
