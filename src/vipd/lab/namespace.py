"""Network namespaces of the kernel, by name: made, entered, removed. Knows no topology."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pyroute2 import IPRoute

from vipd.errors import DirectorError

DIRECTORY: Final = Path("/run/netns")
_CLONE_NEWNET: Final = 0x40000000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def path_of(name: str) -> Path:
    return DIRECTORY / name


def exists(name: str) -> bool:
    return path_of(name).exists()


def create(name: str) -> None:
    _ip("add", name)


def is_mounted(name: str) -> bool:
    """Whether there is a namespace behind the name: its making may have been interrupted half-way."""
    return path_of(name).stat().st_dev != DIRECTORY.parent.stat().st_dev


def remove(name: str) -> None:
    if is_mounted(name):
        _ip("delete", name)
    else:
        path_of(name).unlink()


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", "netns", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DirectorError(f"ip netns {' '.join(arguments)}: {done.stderr.strip()}")


@contextmanager
def netlink(name: str) -> Iterator[IPRoute]:
    """A netlink socket of the namespace. pyroute2's own way forks, and the child would end by our signal handlers."""
    with inside(name):
        socket = IPRoute()
    with socket:
        yield socket


@contextmanager
def inside(name: str) -> Iterator[None]:
    """This thread, and it alone, stands in the namespace; files stay those of the machine."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(path_of(name), os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(there)
        yield
    finally:
        _enter(home)
        os.close(there)
        os.close(home)


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")
