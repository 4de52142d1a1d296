"""Which parts of the slots map are whose. Pure: numbers in, numbers out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from vipd.errors import DataplaneError


class Region(NamedTuple):
    start: int
    size: int


NOWHERE = Region(0, 0)


class Regions:
    """Hands out room that nobody used when it was made: what is given back waits for the next time.

    A packet that is under way while a table is exchanged still reads the old region.
    """

    def __init__(self, capacity: int, used: Iterable[Region]) -> None:
        self._capacity = capacity
        self._gaps: list[Region] = []
        self._turn = 0
        end = 0
        for region in sorted(used):
            if region.start > end:
                self._gaps.append(Region(end, region.start - end))
            end = max(end, region.start + region.size)
        if end < capacity:
            self._gaps.append(Region(end, capacity - end))

    @property
    def free(self) -> int:
        return sum(gap.size for gap in self._gaps)

    def take(self, count: int) -> Region:
        """The next gap that is large enough, going round."""
        if count == 0:
            return NOWHERE
        for step in range(len(self._gaps)):
            place = (self._turn + step) % len(self._gaps)
            gap = self._gaps[place]
            if gap.size >= count:
                self._gaps[place] = Region(gap.start + count, gap.size - count)
                self._turn = place
                return Region(gap.start, count)
        raise DataplaneError(
            f"the slots table has {self.free} of {self._capacity} entries free, but no {count} in a row: "
            "use fewer or smaller Maglev tables (maglev_slots), or `vipd down` and start again with a larger table"
        )
