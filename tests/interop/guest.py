"""A machine with Debian's kernel under qemu that runs tests of this tree: all it needs is in its memory.

No KVM, no disk, no network, no file of this machine mounted. A process in it starts as
fast as software emulation goes, which no shared file system does.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
STATUS: Final = "guest-status="
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PROGRAMS: Final = {
    "bash": "bash",
    "bpftool": "bpftool",
    "cat": "coreutils",
    "ethtool": "ethtool",
    "grep": "grep",
    "ip": "iproute2",
    "mkdir": "coreutils",
    "modprobe": "kmod",
    "mount": "mount",
    "mountpoint": "util-linux",
    "nft": "nftables",
    "nsenter": "util-linux",
    "rm": "coreutils",
    "sysctl": "procps",
}
"What runs inside, and the Debian package that brings it."
_MAKING: Final = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "cpio": "cpio",
    "ldd": "libc-bin",
}
_UNUSED: Final = {"test", "idlelib", "ensurepip", "lib2to3", "tkinter", "site-packages", "dist-packages", "config"}
"Of the standard library."
_UNUSED_PACKAGES: Final = (
    *("mypy", "ruff", "pip", "setuptools", "hatchling", "build", "6ec57"),
    *("matplotlib", "mpl_toolkits", "PIL", "pillow", "fontTools", "contourpy"),
)
_MODULES: Final = ("kernel/net", "kernel/lib", "kernel/crypto", "kernel/arch/x86/crypto")
_MODULE_FILES: Final = ("kernel/drivers/net/dummy.ko", "kernel/drivers/net/tun.ko", "kernel/drivers/net/veth.ko")
_INIT: Final = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /run/netns /tmp
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs run /run && /bin/busybox mkdir -p /run/netns
/bin/busybox mount -t bpf bpf /sys/fs/bpf
export PATH={path} HOME=/tmp
cd {root}
/bin/bash -c {command}
/bin/busybox echo {status}$?
/bin/busybox poweroff -f
"""


class MissingError(Exception):
    """This machine lacks something, which the message names."""


def run(command: str, folder: Path, deadline: float, more: Mapping[str, str] = MappingProxyType({})) -> str:
    """What the guest printed while it ran a line of shell at the tree's root; ends with its status.

    `more` programs and their packages, as in `_PROGRAMS`. Raises MissingError.
    """
    programs = {**_PROGRAMS, **more}
    kernel = _needed(programs)
    image = folder / "image"
    _write_image(image, folder, _files(kernel, programs), command)
    arguments = [
        *("timeout", "--signal=KILL", str(deadline)),  # also where this process dies first
        *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "3G"),
        *("-nodefaults", "-no-user-config", "-nographic", "-no-reboot", "-serial", "stdio"),
        *("-kernel", str(kernel), "-initrd", str(image), "-append", "console=ttyS0 quiet panic=-1 rdinit=/init"),
    ]
    environment = {**os.environ, "PATH": _PATH}
    done = subprocess.run(arguments, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return (done.stdout + done.stderr).decode(errors="replace").replace("\r", "")


def _needed(programs: Mapping[str, str]) -> Path:
    """Debian's newest kernel; whatever is missing is named."""
    kernels = sorted(Path("/boot").glob("vmlinuz-*-amd64"), key=lambda path: path.stat().st_mtime)
    missing = {package for name, package in {**_MAKING, **programs}.items() if not shutil.which(name, path=_PATH)}
    if not kernels:
        missing.add("linux-image-amd64")
    if missing:
        names = ", ".join(sorted(missing))
        raise MissingError(f"missing for a guest with Debian's kernel: {names}; `tools/setup interop` installs it")
    return kernels[-1]


def _write_image(image: Path, folder: Path, files: Iterable[Path], command: str) -> None:
    """Two archives, one behind the other: what is copied keeps its place; /init is new."""
    names = sorted({name for path in files for name in _with_parents(path)})
    listing = "".join(f"{name.removeprefix('/')}\n" for name in names if name != "/")
    with image.open("wb") as out:
        archive = ["cpio", "--quiet", "-o", "-H", "newc"]
        subprocess.run(archive, cwd="/", input=listing.encode(), stdout=out, check=True)
        out.flush()
        own = folder / "own"
        (own / "bin").mkdir(parents=True)
        init = own / "init"
        init.write_text(_INIT.format(path=_PATH, root=ROOT, command=shlex.quote(command), status=STATUS))
        init.chmod(0o755)
        subprocess.run(archive, cwd=own, input=b"init\n", stdout=out, check=True)


def _files(kernel: Path, programs: Iterable[str]) -> Iterator[Path]:
    found = [Path(path) for name in programs if (path := shutil.which(name, path=_PATH))]
    # The kernel itself calls /sbin/modprobe.
    yield from (Path("/bin/busybox"), Path("/sbin/modprobe"), *found, *_libraries(found))
    yield from (Path(sys.executable), ROOT / ".venv/pyvenv.cfg", *_libraries([Path(sys.executable)]))
    standard = Path(sysconfig.get_path("stdlib"))
    yield from _tree(standard, lambda top: top in _UNUSED or top.startswith("config-"))
    packages = list(_tree(Path(pytest.__file__).parents[1], lambda top: top.startswith(_UNUSED_PACKAGES)))
    yield from packages
    extensions = [*(standard / "lib-dynload").glob("*.so"), *(path for path in packages if path.suffix == ".so")]
    yield from _libraries(extensions)
    for name in ("src", "tests", "bpf"):
        yield from _tree(ROOT / name, lambda _: False)
    yield from (ROOT / "pyproject.toml", Path("/etc/passwd"), Path("/etc/protocols"))
    modules = Path("/lib/modules", kernel.name.removeprefix("vmlinuz-"))
    yield from modules.glob("modules.*")
    yield from (modules / name for name in _MODULE_FILES)
    for name in _MODULES:
        yield from _tree(modules / name, lambda _: False)


def _tree(top: Path, unused: object) -> Iterator[Path]:
    assert callable(unused)
    for folder, inner, files in os.walk(top):
        if Path(folder) == top:
            inner[:] = [name for name in inner if not unused(name)]
        yield from (Path(folder, name) for name in files if Path(folder) != top or not unused(name))


def _libraries(programs: Iterable[Path]) -> set[Path]:
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
