"""Decisions out of bytes: what hypothesis draws, shrinks and deletes is bytes, one draw for many decisions.

Every choice reads one byte, and 0 is the plainest choice, so that a shrunken example is a plain one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Bytes that are used up from the front; after the last, every choice is the first."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def word(self) -> int:
        return self.byte() << 8 | self.byte()

    def of(self, options: Sequence[T]) -> T:
        return options[self.byte() % len(options)]

    def below(self, limit: int) -> int:
        return self.byte() % limit

    def one_in(self, count: int) -> bool:
        """True once in so many times."""
        return self.byte() % count == count - 1
