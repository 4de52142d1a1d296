"""A line between two hosts, without Ethernet: a TUN device at each end, and this process as the wire between them."""

from __future__ import annotations

import os
import select
import threading
from types import TracebackType
from typing import Final, Self

from tests.support.lan import Host
from tests.support.tun import Tun

_AT_ONCE: Final = 64


class Line:
    """`device` is its name on both hosts, which are (host, its addresses). Cut, it carries nothing."""

    def __init__(self, device: str, *ends: tuple[Host, tuple[str, ...]], mtu: int = 1500) -> None:
        self.device, self._ends, self._mtu = device, ends, mtu
        self.cut = False
        self._tuns = [self._open(*end) for end in ends]
        self._ending, self._end = os.pipe()
        self._wire = threading.Thread(target=self._carry, args=(tuple(self._tuns),), daemon=True)
        self._wire.start()

    def _open(self, host: Host, addresses: tuple[str, ...]) -> Tun:
        made = host.inside(lambda: Tun(self.device))
        for address in addresses:
            host.ip("addr", "add", address, "dev", self.device, *(["nodad"] if ":" in address else []))
        host.ip("link", "set", "dev", self.device, "mtu", str(self._mtu), "up")
        return made

    def _carry(self, tuns: tuple[Tun, Tun]) -> None:
        other = {tuns[0].descriptor: tuns[1], tuns[1].descriptor: tuns[0]}
        while True:
            readable, _, _ = select.select([*other, self._ending], [], [])
            if self._ending in readable:
                return
            for fd in readable:
                self._pass(fd, other[fd])

    def _pass(self, fd: int, to: Tun) -> None:
        for _ in range(_AT_ONCE):
            try:
                packet = os.read(fd, 65_535)
            except OSError:  # nothing more, or the device is down
                return
            if not self.cut:
                to.write(packet)  # lost where the other end is down, as on any line

    def close(self) -> None:
        """The devices go."""
        os.write(self._end, b"x")
        self._wire.join()
        for tun in self._tuns:
            tun.close()
        os.close(self._ending)
        os.close(self._end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
