"""Processes of a lab: started in a namespace, written down, ended; those and no others.

A process is known by its number, by when it began and by the namespace it lives in: a
number alone may by now belong to somebody else.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from vipd.dataplane.shield import shielded
from vipd.errors import DirectorError
from vipd.lab import namespace

_STARTED_FIELD: Final = 19
"Of /proc/PID/stat, counted after the command's name (proc(5): field 22)."
_PATIENCE: Final = 5.0
_CROWDED: Final = 30.0
"What takes a moment may take so long where the processors have much else to do."
_BEAT: Final = 0.01


@dataclass(frozen=True, slots=True)
class Process:
    """`record` is the file that remembers it."""

    pid: int
    started: int
    namespace: str
    command: tuple[str, ...]
    record: Path
    log: Path


def entering(where: str, command: Sequence[str]) -> list[str]:
    """The command, carried out in the namespace; files stay those of the machine."""
    return ["nsenter", f"--net={namespace.path_of(where)}", *command]


def start(where: str, command: Sequence[str], directory: Path, name: str) -> Process:
    """It outlives us unless stopped, and hears no Ctrl-C of ours; its words go to NAME.log."""
    log = directory / f"{name}.log"
    # Between start and record no interruption may come: nobody would end the process.
    with shielded(), log.open("ab") as output:
        child = subprocess.Popen(
            entering(where, command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        child.returncode = 0  # `stop` waits for it; Popen shall not complain that it runs
        process = Process(child.pid, started(child.pid), where, tuple(command), directory / f"{child.pid}.process", log)
        remember(process)
    return process


def remember(process: Process) -> None:
    """Whole or not at all: who is killed in the middle leaves no record that nobody can read."""
    fresh = process.record.with_suffix(".new")
    fresh.write_text(json.dumps({**asdict(process), "record": None, "log": str(process.log)}))
    fresh.replace(process.record)


def recorded(directory: Path) -> Iterator[Process]:
    for path in sorted(directory.glob("*.process")):
        told = json.loads(path.read_text())
        yield Process(told["pid"], told["started"], told["namespace"], tuple(told["command"]), path, Path(told["log"]))


def started(pid: int) -> int:
    """When a process began, in ticks since the machine did; -1: it is not there."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return -1
    return int(stat.rpartition(")")[2].split()[_STARTED_FIELD])


def is_alive(process: Process) -> bool:
    with _handle(process) as descriptor:
        return descriptor is not None and not _ended(descriptor, 0)


@contextlib.contextmanager
def _handle(process: Process) -> Iterator[int | None]:
    """A descriptor of this very process (a number may pass on to another), or None."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield descriptor if started(process.pid) == process.started else None
    finally:
        os.close(descriptor)


def _ended(descriptor: int, timeout: float) -> bool:
    return bool(select.select([descriptor], [], [], timeout)[0])


def stop(processes: Iterable[Process], patience: float = _PATIENCE, number: signal.Signals = signal.SIGTERM) -> None:
    """All at once; who does not go in time is killed. Their records go with them."""
    processes = tuple(processes)
    for process in processes:
        send(process, number)
    deadline = time.monotonic() + patience
    for process in processes:
        with _handle(process) as descriptor:
            if descriptor is not None and not _ended(descriptor, max(0, deadline - time.monotonic())):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                _ended(descriptor, patience)
        with contextlib.suppress(ChildProcessError):  # another program's child
            os.waitpid(process.pid, os.WNOHANG)
        process.record.unlink(missing_ok=True)


def finish(process: Process, patience: float) -> None:
    """Wait for a child of ours to end by itself, and well."""
    wait_until(lambda: not is_alive(process), f"{' '.join(process.command)} to end", patience)
    _, status = os.waitpid(process.pid, 0)
    process.record.unlink()
    if status:
        said = process.log.read_text(errors="replace").strip()
        raise DirectorError(f"{' '.join(process.command)} failed ({os.waitstatus_to_exitcode(status)}): {said}")


def send(process: Process, number: signal.Signals) -> None:
    """To that very process, if it is there."""
    with _handle(process) as descriptor:
        if descriptor is not None and not _ended(descriptor, 0):
            signal.pidfd_send_signal(descriptor, number)


def await_line(process: Process, line: str, patience: float = _CROWDED) -> None:
    """Until the process has said so."""

    def said() -> bool:
        return line in process.log.read_text(errors="replace").splitlines()

    wait_until(lambda: said() or not is_alive(process), f"{process.command} to say {line!r}", patience)
    if not said():
        raise DirectorError(f"{' '.join(process.command)} ended: {process.log.read_text(errors='replace').strip()}")


def wait_until(holds: Callable[[], bool], what: str, patience: float = _CROWDED) -> None:
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            raise DirectorError(f"waited {patience:g} s in vain for {what}")
        time.sleep(_BEAT)
