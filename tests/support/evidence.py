"""What a failed test leaves: its name for a second run, the logs of its programs, the state of the machine."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import pytest

LABS: Final = Path("/run/vipd-lab")
NAMESPACES: Final = Path("/run/netns")
_TAIL: Final = 6000
"Characters of a log; its end says why it ended."
_LOGS: Final = 16
_COARSE: Final = 1.0
"Seconds by which a file may seem older than it is."
_began: Final = pytest.StashKey[float]()


class Failures:
    """Writes down what failed, a name a line; tests whose worker was lost are among them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._names[report.nodeid] = None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._names[report.nodeid] = None

    def pytest_sessionfinish(self) -> None:
        self._path.write_text("".join(f"{name}\n" for name in self._names))


class Witness:
    """Adds to a failed test's report what is gone once its fixtures have cleaned up."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        "Where the tests of this process write."

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        item.stash[_began] = time.time()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.failed:
            report.sections += [(f"log {path}", tail(path)) for path in self._logs(item.stash[_began])]
            report.sections.append(("machine", machine()))
        return report

    def _logs(self, since: float) -> list[Path]:
        """The last that somebody wrote to, the very last at the end."""
        places = [*LABS.glob(f"t{os.getpid()}-*"), *([self.folder] if self.folder else [])]
        found = [(path.stat().st_mtime, path) for place in places for path in place.rglob("*.log") if path.is_file()]
        return [path for written, path in sorted(found) if written >= since - _COARSE][-_LOGS:]


def tail(path: Path) -> str:
    return path.read_text(errors="replace")[-_TAIL:]


def machine() -> str:
    """What makes tests slow, or was left by others."""
    return "\n".join(_machine())


def _machine() -> Iterator[str]:
    yield f"load {Path('/proc/loadavg').read_text().strip()}, {len(os.sched_getaffinity(0))} processors"
    yield from (line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
    for pressure in sorted(Path("/proc/pressure").glob("*")):
        yield f"{pressure.name}: {pressure.read_text().splitlines()[0]}"
    names = sorted(path.name for path in NAMESPACES.iterdir()) if NAMESPACES.is_dir() else []
    yield f"{len(names)} network namespaces: {' '.join(names[:50])}"
