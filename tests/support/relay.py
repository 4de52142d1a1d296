"""Stands in the middle of a line: carries octets both ways and turns some of their bits over."""

from __future__ import annotations

import os
import random
import select
import threading
from typing import Final, Self

_PIECE: Final = 1 << 16
_OCTET: Final = 8


class Relay:
    """Between two descriptors, which stay their owner's. `noise`: the share of bits that arrive turned over."""

    def __init__(self, one: int, other: int, noise: float = 0.0, seed: int = 1) -> None:
        self.noise = noise
        self.turned = 0
        "Bits so far."
        self._ways = {one: other, other: one}
        self._random = random.Random(seed)
        self._told, self._tell = os.pipe()
        self._thread = threading.Thread(target=self._carry)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
        self._thread.join()
        for each in (self._told, self._tell):
            os.close(each)

    def leave(self) -> None:
        """Carry no more."""
        os.write(self._tell, b".")

    def wait(self) -> None:
        """Until it carries no more: it was left, or one of the ends is gone."""
        self._thread.join()

    def _carry(self) -> None:
        while True:
            ready, _, _ = select.select([*self._ways, self._told], [], [])
            if self._told in ready:
                return
            for source in ready:
                try:
                    data = os.read(source, _PIECE)
                    if not data or not self._pass_on(self._ways[source], self._noisy(data)):
                        return
                except OSError:
                    return

    def _pass_on(self, target: int, data: bytes) -> bool:
        """Whether all of it could be before the relay was left."""
        left = memoryview(data)
        while left:
            ready, room, _ = select.select([self._told], [target], [])
            if ready:
                return False
            if room:
                left = left[os.write(target, left) :]
        return True

    def _noisy(self, data: bytes) -> bytes:
        if not self.noise:
            return data
        found = bytearray(data)
        place = self._gap()
        while place < _OCTET * len(found):
            found[place // _OCTET] ^= 1 << place % _OCTET
            self.turned += 1
            place += 1 + self._gap()
        return bytes(found)

    def _gap(self) -> int:
        """Bits that arrive well before the next that does not."""
        return int(self._random.expovariate(self.noise))
