"""Who lives in a lab's namespaces: found by where they live, also where nobody wrote them down."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from vipd.lab import namespace
from vipd.lab.process import Process, started

_PROC: Final = Path("/proc")
_PARENT_FIELD: Final = 1
"Of /proc/PID/stat, counted after the command's name (proc(5): field 4)."


@dataclass(frozen=True, slots=True)
class _Identity:
    """Of a namespace, by which /proc knows it. Its number may be another's once nothing holds it any more."""

    device: int
    inode: int


class Inhabitants:
    """Of namespaces, which are held meanwhile: who enters one at the last moment is found after its name is gone."""

    def __init__(self, names: Iterable[str], directory: Path) -> None:
        """`directory` is the lab's own, as for its other processes."""
        self._directory = directory
        self._homes: dict[_Identity, str] = {}
        self._held = ExitStack()
        for name in names:
            descriptor = os.open(namespace.path_of(name), os.O_RDONLY | os.O_CLOEXEC)
            self._held.callback(os.close, descriptor)
            self._homes[_identity(os.fstat(descriptor))] = name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._held.close()

    def __iter__(self) -> Iterator[Process]:
        """Not we ourselves, nor who started us: a lab can be taken down from a shell inside it."""
        ours = set(_ancestors(os.getpid()))
        for path in _PROC.iterdir():
            if not path.name.isdecimal() or int(path.name) in ours:
                continue
            try:
                home = self._homes.get(_identity((path / "ns/net").stat()))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended, or ends
            except PermissionError:
                continue  # of a container's root, who may not look at all, nobody hides in a lab
            if home is not None:
                pid = int(path.name)
                record, log = self._directory / f"{pid}.process", self._directory / f"{pid}.log"
                yield Process(pid, started(pid), home, (), record, log)


def _identity(status: os.stat_result) -> _Identity:
    return _Identity(status.st_dev, status.st_ino)


def _ancestors(pid: int) -> Iterator[int]:
    while pid > 0:
        yield pid
        pid = int((_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[_PARENT_FIELD])
