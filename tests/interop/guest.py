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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.interop.image import PATH, kernel_for, libraries, write

ROOT: Final = Path(__file__).parents[2]
STATUS: Final = "guest-status="
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
    "umount": "mount",
    "mountpoint": "util-linux",
    "nft": "nftables",
    "nsenter": "util-linux",
    "rm": "coreutils",
    "sysctl": "procps",
}
"What runs inside, and the Debian package that brings it."
_UNUSED: Final = {"test", "idlelib", "ensurepip", "lib2to3", "tkinter", "site-packages", "dist-packages", "config"}
"Of the standard library."
_UNUSED_PACKAGES: Final = (
    *("mypy", "ruff", "pip", "setuptools", "hatchling", "build", "6ec57"),
    *("matplotlib", "mpl_toolkits", "PIL", "pillow", "fontTools", "contourpy"),
)
_MODULES: Final = ("kernel/net", "kernel/lib", "kernel/crypto", "kernel/arch/x86/crypto")
_MODULE_FILES: Final = ("kernel/drivers/net/dummy.ko", "kernel/drivers/net/tun.ko", "kernel/drivers/net/veth.ko")
# What qemu 7.2 makes of AVX2 is wrong at times (numpy's argsort, by which the Maglev tables are filled).
_PROCESSOR: Final = "Nehalem"
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


@dataclass(frozen=True, slots=True)
class More:
    """Than the lean guest has: programs and their packages, files that keep their places, lines to qemu."""

    programs: Mapping[str, str] = field(default_factory=dict)
    files: Iterable[Path] = ()
    lines: Sequence[str] = ()


def run(command: str, folder: Path, deadline: float, more: More = More(), init: str = _INIT) -> str:
    """What the guest printed while it ran a line of shell at the tree's root; ends with its status.

    `init` is the first process's script, in which `{path}`, `{root}`, `{command}` and `{status}` are
    filled in. Raises `image.MissingError`.
    """
    programs = {**_PROGRAMS, **more.programs}
    kernel = kernel_for(programs)
    image = folder / "image"
    script = init.format(path=PATH, root=ROOT, command=shlex.quote(command), status=STATUS)
    write(image, folder, (*_files(kernel, programs), *more.files), script)
    arguments = [
        *("timeout", "--signal=KILL", str(deadline)),  # also where this process dies first
        *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", _PROCESSOR, "-smp", "2", "-m", "3G"),
        *("-nodefaults", "-no-user-config", "-nographic", "-no-reboot", "-serial", "stdio"),
        *more.lines,
        *("-kernel", str(kernel), "-initrd", str(image), "-append", "console=ttyS0 quiet panic=-1 rdinit=/init"),
    ]
    environment = {**os.environ, "PATH": PATH}
    done = subprocess.run(arguments, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return (done.stdout + done.stderr).decode(errors="replace").replace("\r", "")


def _files(kernel: Path, programs: Iterable[str]) -> Iterator[Path]:
    found = [Path(path) for name in programs if (path := shutil.which(name, path=PATH))]
    # The kernel itself calls /sbin/modprobe.
    yield from (Path("/bin/busybox"), Path("/sbin/modprobe"), *found, *libraries(found))
    yield from (Path(sys.executable), ROOT / ".venv/pyvenv.cfg", *libraries([Path(sys.executable)]))
    standard = Path(sysconfig.get_path("stdlib"))
    yield from _tree(standard, lambda top: top in _UNUSED or top.startswith("config-"))
    packages = list(_tree(Path(pytest.__file__).parents[1], lambda top: top.startswith(_UNUSED_PACKAGES)))
    yield from packages
    extensions = [*(standard / "lib-dynload").glob("*.so"), *(path for path in packages if path.suffix == ".so")]
    yield from libraries(extensions)
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
