"""How something went over time, in a bounded number of steps that grow with the time. Values."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

MOST: Final = 120
"Steps, before two become one."
_FIRST_NS: Final = 1_000_000


class Course(Generic[K]):
    """Packets of each key in each step, and the most open connections."""

    def __init__(self) -> None:
        self.step = _FIRST_NS
        "Nanoseconds."
        self.packets: dict[K, list[int]] = {}
        self.open: dict[K, list[int]] = {}
        "As far as anything was noted; before its first note a key has none open."
        self._length = 0

    @property
    def length(self) -> int:
        return self._length

    def add(self, key: K, at: int) -> None:
        """`at`: nanoseconds from the beginning."""
        place = self._place(at)
        steps = self.packets.setdefault(key, [])
        steps.extend([0] * (place + 1 - len(steps)))
        steps[place] += 1

    def note(self, key: K, number: int, at: int) -> None:
        """So many are open from now on."""
        place = self._place(at)
        steps = self.open.setdefault(key, [])
        last = steps[-1] if steps else 0
        steps.extend([last] * (place - len(steps)))
        if place < len(steps):
            steps[place] = max(steps[place], number)
        else:
            steps.append(number)

    def _place(self, at: int) -> int:
        while at // self.step >= MOST:
            self.step *= 2
            self.packets = {key: _paired(steps, sum) for key, steps in self.packets.items()}
            self.open = {key: _paired(steps, max) for key, steps in self.open.items()}
            self._length = (self._length + 1) // 2
        place = at // self.step
        self._length = max(self._length, place + 1)
        return place


def _paired(steps: list[int], of: Callable[[list[int]], int]) -> list[int]:
    return [of(steps[at : at + 2]) for at in range(0, len(steps), 2)]
