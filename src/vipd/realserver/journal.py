"""What `up` did on this machine, kept until `down` has undone it. Every write is whole or not at all."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, TypeAdapter, ValidationError

from vipd.errors import EnvironmentProblem
from vipd.realserver.options import Options
from vipd.realserver.steps import Step

DIRECTORY: Final = Path("/run/vipd-real-server")
_STATE: Final = "state.json"
_UNFINISHED: Final = f".{_STATE}.new"
_VERSION: Final = 1
_LARGEST: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Record:
    """A step of ours, written down before it was taken; so it may not have happened."""

    step: Annotated[Step, Field(discriminator="step")]
    before: int = 0
    "Of a sysctl: the value that was there."
    listing: str = ""
    "Of a table: how nft shows it when nobody has touched it."


@dataclass(frozen=True, slots=True)
class Journal:
    namespace: str
    "The network namespace that all of this is true of."
    options: Options
    wanted: tuple[Annotated[Step, Field(discriminator="step")], ...] = ()
    done: tuple[Record, ...] = ()
    version: int = _VERSION

    def record(self, key: str) -> Record | None:
        return next((record for record in self.done if record.step.key == key), None)


_ADAPTER: Final = TypeAdapter(Journal)


def namespace() -> str:
    found = Path("/proc/thread-self/ns/net").stat()
    return f"{found.st_dev}:{found.st_ino}"


@contextmanager
def locked() -> Iterator[None]:
    """One change of this machine's real servers at a time."""
    place = _own_directory(DIRECTORY)
    try:
        lock = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=place)
    finally:
        os.close(place)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def load(instance: str) -> Journal | None:
    """None where nothing was ever done, or all of it is undone."""
    path = DIRECTORY / instance / _STATE
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not _is_ours(os.fstat(file.fileno()), stat.S_ISREG):
                raise EnvironmentProblem(f"{path} is no file of root's alone; remove it by hand")
            text = file.read(_LARGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EnvironmentProblem(f"cannot read {path}: {error.strerror}") from error
    try:
        journal = _ADAPTER.validate_json(text)
    except ValidationError as error:
        raise EnvironmentProblem(
            f"{path} is not readable as ours; undo by hand what it names, then remove it"
        ) from error
    if journal.version != _VERSION:
        raise EnvironmentProblem(f"{path} is of version {journal.version}, not {_VERSION}; use the vipd that wrote it")
    return journal


def store(journal: Journal) -> None:
    os.close(_own_directory(DIRECTORY))
    place = _own_directory(DIRECTORY / journal.options.instance)
    try:
        with suppress(FileNotFoundError):
            os.unlink(_UNFINISHED, dir_fd=place)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(_UNFINISHED, flags, 0o600, dir_fd=place), "wb") as file:
            file.write(_ADAPTER.dump_json(journal, indent=1))
            file.flush()
            os.fsync(file.fileno())
        os.rename(_UNFINISHED, _STATE, src_dir_fd=place, dst_dir_fd=place)
    except OSError as error:
        raise EnvironmentProblem(f"cannot write {DIRECTORY / journal.options.instance}: {error.strerror}") from error
    finally:
        os.close(place)


def forget(instance: str) -> None:
    """Also what a crash left of a write. Another file in the directory stays, and with it the directory."""
    place = DIRECTORY / instance
    for name in (_STATE, _UNFINISHED):
        (place / name).unlink(missing_ok=True)
    with suppress(OSError):
        place.rmdir()


def others(instance: str) -> list[Journal]:
    """Those of this network namespace."""
    names = sorted(path.name for path in DIRECTORY.iterdir() if path.is_dir() and path.name != instance)
    found = (load(name) for name in names)
    return [journal for journal in found if journal and journal.namespace == namespace()]


def _own_directory(path: Path) -> int:
    """An open directory that nobody else can write to."""
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        place = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise EnvironmentProblem(f"cannot use {path}: {error.strerror}") from error
    if not _is_ours(os.fstat(place), stat.S_ISDIR):
        os.close(place)
        raise EnvironmentProblem(f"{path} belongs to another user or is open to others; remove it")
    return place


def _is_ours(found: os.stat_result, kind: object) -> bool:
    assert callable(kind)
    return bool(kind(found.st_mode)) and found.st_uid == os.geteuid() and not found.st_mode & 0o022
