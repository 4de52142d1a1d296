"""The memory of a machine with Debian's kernel: what is in it, and how it is written. Starts none."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MAKING: Final = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "cpio": "cpio",
    "ldd": "libc-bin",
}


class MissingError(Exception):
    """This machine lacks something, which the message names."""


def kernel_for(programs: Mapping[str, str]) -> Path:
    """Debian's newest kernel; whatever is missing is named."""
    kernels = sorted(Path("/boot").glob("vmlinuz-*-amd64"), key=lambda path: path.stat().st_mtime)
    missing = {package for name, package in {**_MAKING, **programs}.items() if not shutil.which(name, path=PATH)}
    if not kernels:
        missing.add("linux-image-amd64")
    if missing:
        names = ", ".join(sorted(missing))
        raise MissingError(f"missing for a guest with Debian's kernel: {names}; `tools/setup interop` installs it")
    return kernels[-1]


def write(image: Path, folder: Path, files: Iterable[Path], init: str) -> None:
    """Two archives, one behind the other: what is copied keeps its place; /init is new."""
    names = sorted({name for path in files for name in _with_parents(path)})
    listing = "".join(f"{name.removeprefix('/')}\n" for name in names if name != "/")
    with image.open("wb") as out:
        archive = ["cpio", "--quiet", "-o", "-H", "newc"]
        subprocess.run(archive, cwd="/", input=listing.encode(), stdout=out, check=True)
        out.flush()
        own = folder / "own"
        (own / "bin").mkdir(parents=True)
        (own / "init").write_text(init)
        (own / "init").chmod(0o755)
        subprocess.run(archive, cwd=own, input=b"init\n", stdout=out, check=True)


def libraries(programs: Iterable[Path]) -> set[Path]:
    shown = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=False).stdout
    return {
        Path(word) for line in shown.splitlines() for word in line.split() if word.startswith("/") and ":" not in word
    }


def _with_parents(path: Path) -> Iterator[str]:
    """The path and each folder above it. A link is named, then followed: nothing is named as being behind one."""
    if not path.exists():
        return
    for part in (*reversed(path.parents), path):
        yield str(part)
        if part.is_symlink():
            target = part.parent / part.readlink()
            yield from _with_parents(Path(os.path.normpath(target)) / path.relative_to(part))
            return
