"""A TUN device whose other end is this process: what the kernel sends there is read, what is written comes in there."""

from __future__ import annotations

import select
import time
from types import TracebackType
from typing import Final, Self

from vipd.drivers import tun

_PATIENCE: Final = 60.0


class Tun(tun.Tun):
    """Made in the network namespace that the caller stands in; gone when it is closed."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._open = True

    def close(self) -> None:
        if self._open:
            self._open = False
            super().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def receive(self, within: float = _PATIENCE) -> bytes:
        """The next packet; fails where none comes in time."""
        end = time.monotonic() + within
        while not (packet := self.read()):
            left = end - time.monotonic()
            assert left > 0, f"nothing came out of {self.name}"
            select.select([self.descriptor], [], [], left)
        return packet
