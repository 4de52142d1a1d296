"""Files and directories that only root may have made: no link is followed, no stranger's is used."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from vipd.errors import EnvironmentProblem

_BUSY: Final = (
    "vipd runs already for this instance (process {owner}, lock {path}); "
    "'vipd reload' changes it, another '--instance NAME' runs beside it"
)


def private_directory(path: Path) -> None:
    """Make the directory, 0700, and those above it; refuse one that somebody else could have planted."""
    for parent in reversed(path.parents[:-2]):
        # In one like /var/tmp others may make their own, and leave ours alone.
        if not _directory(parent, 0o755) & stat.S_ISVTX:
            _require_closed(parent)
    _directory(path, 0o700)
    _require_closed(path)


def _directory(path: Path, mode: int) -> int:
    """Make it, or find it as ours; its mode."""
    try:
        path.mkdir(mode=mode)
    except FileExistsError:
        pass
    except OSError as error:
        raise EnvironmentProblem(f"{path}: the directory cannot be made: {error.strerror}") from None
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise EnvironmentProblem(f"{path}: not a directory (a link is not followed); remove it")
    if found.st_uid != os.geteuid():
        raise EnvironmentProblem(f"{path}: belongs to uid {found.st_uid}; remove it or give it to uid {os.geteuid()}")
    return found.st_mode


def _require_closed(path: Path) -> None:
    if path.lstat().st_mode & 0o022:
        raise EnvironmentProblem(f"{path}: others may write there; chmod go-w {path}")


def open_private(path: Path, flags: int, remedy: str = "remove it") -> int:
    """A file descriptor of a plain file of ours, 0600; raises `OSError` or `EnvironmentProblem`."""
    try:
        # O_NONBLOCK: a planted FIFO must not hang us; plain files do not mind.
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise EnvironmentProblem(f"{path}: not a plain file (a link is not followed); remove it") from None
        raise
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        os.close(handle)
        raise EnvironmentProblem(f"{path}: not a plain file of uid {os.geteuid()} with mode 0600; {remedy}")
    return handle


def read_private(path: Path, limit: int, remedy: str = "remove it") -> bytes:
    with os.fdopen(open_private(path, os.O_RDONLY, remedy), "rb") as file:
        return file.read(limit)


def write_private(path: Path, data: bytes) -> None:
    """All or nothing: a reader, or the next start after a crash, sees the old bytes or the new."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    try:
        with os.fdopen(open_private(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


class Lock:
    """Held as long as the process lives; the kernel drops it whatever ends the process."""

    def __init__(self, path: Path, busy: str = _BUSY) -> None:
        """`busy`: what a refusal says, of `{owner}` and `{path}`."""
        self._path = path
        self._handle = _locked(path, busy)
        while not _is(path, self._handle):  # removed by its last holder while we waited at the door
            self.release()
            self._handle = _locked(path, busy)
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._handle)

    def remove(self) -> None:
        """Release it, and leave neither the file nor, if nothing else is in it, its directory."""
        self._path.unlink(missing_ok=True)
        with suppress(OSError):
            self._path.parent.rmdir()
        self.release()


def _locked(path: Path, busy: str) -> int:
    handle = open_private(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(handle, 20, 0).decode(errors="replace").strip()
        os.close(handle)
        raise EnvironmentProblem(busy.format(owner=owner or "unknown", path=path)) from None
    return handle


def _is(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def secret(path: Path, size: int, create: bool) -> bytes:
    """The key that directors may share; made once where it is vipd's own to make."""
    try:
        data = read_private(path, size + 1)
    except FileNotFoundError:
        if not create:
            raise EnvironmentProblem(f"{path}: no such file; 'secret_file' names a file of {size} bytes") from None
        private_directory(path.parent)
        data = os.urandom(size)
        try:
            write_private(path, data)
        except OSError as error:
            raise EnvironmentProblem(f"{path}: the secret cannot be written: {error.strerror}") from None
    except OSError as error:
        raise EnvironmentProblem(f"{path}: the secret cannot be read: {error.strerror}") from None
    if len(data) != size:
        raise EnvironmentProblem(f"{path}: a secret is {size} bytes; make one with: head -c {size} /dev/urandom")
    return data
