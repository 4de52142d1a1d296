"""A network namespace without a name: closed, or whatever ends the process, the kernel takes everything in it away."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_CLONE_NEWNET: Final = 0x40000000
_OWN: Final = "/proc/thread-self/ns/net"


class Namespace:
    """For the thread that made it."""

    def __init__(self) -> None:
        home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            call("unshare", _CLONE_NEWNET)
            self.fd = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            _back_to(home)

    def close(self) -> None:
        os.close(self.fd)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Interface numbers mean those of this namespace meanwhile; files stay those of the machine."""
        before = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            call("setns", self.fd, _CLONE_NEWNET)
            yield
        finally:
            _back_to(before)


def _back_to(namespace: int) -> None:
    try:
        call("setns", namespace, _CLONE_NEWNET)
    finally:
        os.close(namespace)


def call(name: str, *arguments: int) -> None:
    """A function of the C library that returns 0 where all went well."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
