"""Choices and pieces out of the bytes that a fuzzer hands to a target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


class Supply:
    """Choices are taken from the front; once that is used up, each is the first."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def number(self, most: int) -> int:
        """0 to `most`, at most 255."""
        first, self._data = self._data[:1], self._data[1:]
        return first[0] % (most + 1) if first else 0

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[self.number(len(choices) - 1)]

    def take(self, size: int) -> bytes:
        """So many octets, or what is left."""
        piece, self._data = self._data[:size], self._data[size:]
        return piece

    @property
    def empty(self) -> bool:
        return not self._data

    def pieces(self) -> list[bytes]:
        """All that is left, cut in places that the next octet tells: all alike, or of growing size."""
        step, growth = self.number(15) + 1, self.number(7)
        return list(_cut(self._data, step, growth))

    def rest(self) -> bytes:
        return self._data


def _cut(data: bytes, step: int, growth: int) -> Iterator[bytes]:
    while data:
        yield data[:step]
        data, step = data[step:], step + growth
