"""What holds for every test: those marked `root` refuse to run without it, by name."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.evidence import Failures, Witness

# On a crowded machine anything may take long once; what takes long always, pytest's timeout ends.
# A change is judged by the same examples each time (.ci/run says CI); whoever works on it meets others each time.
settings.register_profile(
    "vipd", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("vipd")

# A shell's background jobs start with Ctrl-C ignored, and so would all that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT_FOLDERS = {"bpf", "netns"}
"Folders under tests/ in which every test needs root."
WITNESS = Witness()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--failed-to", metavar="FILE", type=Path, help="write the names of what failed there")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(WITNESS)
    path: Path | None = config.getoption("failed_to")
    # With xdist, the process that hears of all tests, and of lost workers, is no worker.
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Failures(path))


@pytest.fixture(scope="session", autouse=True)
def _witnessed(tmp_path_factory: pytest.TempPathFactory) -> None:
    WITNESS.folder = tmp_path_factory.getbasetemp()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.path.relative_to(here).parts[0] in ROOT_FOLDERS:
            item.add_marker("root")


def pytest_collection_finish(session: pytest.Session) -> None:
    # A test that is skipped without a word proves nothing; so no word, no run.
    needing = [item for item in session.items if item.get_closest_marker("root")]
    if needing and os.geteuid() != 0 and not session.config.option.collectonly:
        raise pytest.UsageError(f"{len(needing)} tests need root: run as root, or leave them out (make unit)")
