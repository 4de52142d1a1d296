"""How long to wait before a line is tried again. Knows no clock and draws no lots itself."""

from __future__ import annotations

from typing import Final

_FIRST: Final = 0.5
_FACTOR: Final = 2.0
_SHARE: Final = 0.25
"Of a pause, what lots add or take, so that two ends, or many links, do not keep step."


class Backoff:
    """Twice as long after each failure, never longer than `longest` seconds (and its lot)."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._next = min(_FIRST, longest)

    def failed(self, lot: float) -> float:
        """Seconds until the next try; `lot` is drawn evenly from 0 to 1."""
        pause, self._next = self._next, min(self._next * _FACTOR, self._longest)
        return pause * (1 - _SHARE + 2 * _SHARE * lot)

    def succeeded(self) -> None:
        self._next = min(_FIRST, self._longest)
