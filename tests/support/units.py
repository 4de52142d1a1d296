"""systemd's units, started and asked; where systemd is the first process."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.support.lan import DEADLINE, eventually


class Unit:
    """`vipd@main.service`, say."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, verb: str) -> bool:
        """start, stop, reload: over when systemd says so; whether it went well."""
        return _run("systemctl", verb, self.name).returncode == 0

    def is_running(self) -> None:
        """From now on, if it was not."""
        assert self("start"), self.journal
        assert self.state == ("active", "running")

    def shows(self, field: str) -> str:
        return _run("systemctl", "show", "--value", "--property", field, self.name).stdout.strip()

    @property
    def state(self) -> tuple[str, str]:
        return self.shows("ActiveState"), self.shows("SubState")

    @property
    def process_id(self) -> int:
        return int(self.shows("MainPID"))

    @property
    def processes(self) -> list[int]:
        """All that are in its control group."""
        group = self.shows("ControlGroup")
        listed = Path(f"/sys/fs/cgroup{group}/cgroup.procs")
        return [int(line) for line in listed.read_text().split()] if group and listed.exists() else []

    @property
    def journal(self) -> str:
        """All that it and systemd ever said of it."""
        return _run("journalctl", "--output=cat", "--no-pager", "--unit", self.name).stdout

    def says(self, words: str, times: int = 1) -> str:
        """Waits until it has; the journal then."""
        eventually(lambda: self.journal.count(words) >= times)
        return self.journal

    def is_killed_and_comes_back(self) -> None:
        before = self.process_id
        _run("systemctl", "kill", "--kill-who=main", "--signal=KILL", self.name)
        eventually(lambda: self.process_id not in (0, before) and self.state == ("active", "running"))

    def is_stopped(self) -> None:
        assert self("stop"), self.journal
        assert (self.state, self.shows("Result"), self.processes) == (("inactive", "dead"), "success", []), self.journal

    def has_failed(self, status: int) -> str:
        """Once, without another attempt; the journal."""
        assert not self("start")
        said = self.journal
        assert (self.state, self.shows("ExecMainStatus")) == (("failed", "failed"), str(status)), said
        assert self.shows("NRestarts") == "0", said
        assert "Traceback" not in said
        assert "mistake of vipd's own" not in said
        return said


def reread() -> None:
    """Files of units have changed."""
    _run("systemctl", "daemon-reload")


def powers(process_id: int) -> dict[str, str]:
    """What the kernel says of a process: capabilities, system calls, new privileges."""
    return dict(re.findall(r"^(\w+):\s+(.*)$", Path(f"/proc/{process_id}/status").read_text(), re.MULTILINE))


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)
