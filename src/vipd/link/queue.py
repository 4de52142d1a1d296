"""Packets that wait for the line. What has waited too long makes room for what is new. Time is an argument."""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

LATEST: Final = 0.25
"Seconds after which a packet is of less use than the ones behind it."
FEW: Final = 4
"So many are never too late: a very slow line needs longer for one."
MOST_OCTETS: Final = 1 << 20

LATE: Final = "queue_late"
FULL: Final = "queue_full"


class Queue:
    """Counts in `dropped` what it drops, always at its head."""

    def __init__(self, dropped: Counter[str]) -> None:
        self._dropped = dropped
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._octets = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, packet: bytes, now: float) -> None:
        self._waiting.append((now, packet))
        self._octets += len(packet)
        while self._octets > MOST_OCTETS and len(self._waiting) > 1:
            self._drop(FULL)

    def take(self, now: float) -> bytes | None:
        """The oldest that is not late."""
        waiting = self._waiting
        while len(waiting) > FEW and waiting[0][0] < now - LATEST:
            self._drop(LATE)
        if not waiting:
            return None
        _, packet = waiting.popleft()
        self._octets -= len(packet)
        return packet

    def clear(self, name: str) -> None:
        """All of them are dropped under this name."""
        while self._waiting:
            self._drop(name)

    def _drop(self, name: str) -> None:
        _, packet = self._waiting.popleft()
        self._octets -= len(packet)
        self._dropped[name] += 1
