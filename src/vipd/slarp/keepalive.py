"""The numbers of Cisco's keep-alive: each end counts its own and repeats the other's. Knows no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from vipd.wire.cisco_hdlc import Keepalive

_NUMBERS: Final = 1 << 32
_MILLISECONDS: Final = 1000


class Keepalives:
    def __init__(self, misses: int, random: Callable[[int], bytes]) -> None:
        self.unanswered = 0
        "How many of ours the peer has not yet shown to have heard."
        self._sequence = int.from_bytes(random(4), "big")
        "Begins anywhere: were both ends to count from 1, each would take the other for its own echo."
        self._seen = 0
        self._sent: deque[tuple[int, int]] = deque(maxlen=misses + 1)

    def next(self, uptime: float) -> Keepalive:
        # 0 would say that nothing was heard.
        self._sequence = (self._sequence + 1) % _NUMBERS or 1
        self._sent.append((self._sequence, self._seen))
        self.unanswered += 1
        return Keepalive(self._sequence, self._seen, int(uptime * _MILLISECONDS) % _NUMBERS)

    def looped(self, keepalive: Keepalive) -> bool:
        """Whether it is one of ours that has come back."""
        return (keepalive.sequence, keepalive.seen) in self._sent

    def hear(self, keepalive: Keepalive) -> bool:
        """One of the peer's; whether it shows that the peer has heard us of late."""
        self._seen = keepalive.sequence
        ours = [sequence for sequence, _ in self._sent]
        if keepalive.seen not in ours:
            return False
        self.unanswered = min(self.unanswered, len(ours) - 1 - ours.index(keepalive.seen))
        return True
