"""Reads a frame from front to back and writes down every bit: the one mechanism behind all dissectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

from vipd.anatomy import show
from vipd.anatomy.field import Field, faults

V = TypeVar("V", int, bytes)
Told: TypeAlias = "str | Callable[[V], str]"
"A text, or what makes it of the value."


Dissector: TypeAlias = "Callable[[Scanner], None]"


class FrameEnds(Exception):
    """A field does not fit into what is left; caught by the group that knows where to go on."""


class Group:
    """A field with parts that is still being read. What it means may be told once they are known."""

    def __init__(self, name: str, meaning: str) -> None:
        self.name, self.meaning, self.fault = name, meaning, ""
        self.parts: list[Field] = []


class Scanner:
    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at, self._end = 0, 8 * len(octets)
        self._group = Group("", "")
        self.open_ended = False
        "Whether the end may be missing, as of a quote or of a frame that still arrives."
        self.packets = 0
        "Packets begun, one within the other; whoever nests them asks before it goes deeper."

    @property
    def left(self) -> int:
        """Whole octets to the end of the group."""
        return (self._end - self._at) // 8

    @property
    def offset(self) -> int:
        """Whole octets before here."""
        return self._at // 8

    @property
    def fields(self) -> tuple[Field, ...]:
        return tuple(self._group.parts)

    def peek(self, size: int) -> bytes:
        """Up to as many octets, of this group; they are not taken."""
        return self._octets[self.offset : min(self.offset + size, self._end // 8)]

    def bits(
        self,
        name: str,
        width: int,
        text: Callable[[int], str] = show.decimal,
        meaning: Told[int] = "",
        fault: Told[int] = "",
    ) -> int:
        taken = min(width, self._end - self._at)
        value = self._take(taken)
        if taken < width:
            self._cut_off(name, taken, value, f"{width} bits" if width % 8 else show.count(width // 8, "octet"))
        self._group.parts.append(
            Field(name, self._at - width, width, value, text(value), _told(meaning, value), _told(fault, value))
        )
        return value

    def octets(
        self,
        name: str,
        size: int,
        text: Callable[[bytes], str] = show.octets,
        meaning: Told[bytes] = "",
        fault: Told[bytes] = "",
    ) -> bytes:
        start, taken = self.offset, min(size, self.left)
        value = self._octets[start : start + taken]
        self._at += 8 * taken
        if taken < size:
            self._cut_off(name, 8 * taken, value, show.count(size, "octet"))
        if size:
            said = _told(meaning, value), _told(fault, value)
            self._group.parts.append(Field(name, 8 * start, 8 * size, value, text(value), *said))
        return value

    def rest(
        self,
        name: str,
        text: Callable[[bytes], str] = show.octets,
        meaning: Told[bytes] = "",
        fault: Told[bytes] = "",
    ) -> bytes:
        """All that is left of the group; no field where nothing is."""
        return self.octets(name, self.left, text, meaning, fault)

    @contextmanager
    def group(self, name: str, size: int | None = None, meaning: str = "", more: str = "data") -> Iterator[Group]:
        """Fields that belong together. With a `size` the group has as many octets: `more` names what nobody reads.

        A group without a name only limits; its fields become those of the group around it.
        """
        outer, outer_end, start = self._group, self._end, self._at
        group = self._group = Group(name, meaning)
        short = size is not None and size > self.left
        if size is not None:
            if short and not self.open_ended:
                group.fault = f"{show.count(size, 'octet')} expected at offset {self.offset}, {self.left} left"
            self._end = min(self._end, self._at + 8 * size)
        ends = short
        try:
            yield group
        except FrameEnds:
            ends = size is None or short
        if size is not None:
            self.rest(more)
        self._group, self._end = outer, outer_end
        if not name:
            self._group.parts += group.parts
            if group.fault and not any(faults(group.parts)):
                self._group.parts.append(Field(more, self._at, 0, b"", "", "", group.fault))
        elif group.parts or group.fault:
            parts = tuple(group.parts)
            self._group.parts.append(Field(name, start, self._at - start, None, "", group.meaning, group.fault, parts))
        if ends:
            raise FrameEnds

    @contextmanager
    def quote(self, name: str) -> Iterator[Group]:
        """All that is left is a frame of its own, perhaps cut off."""
        before, self.open_ended = self.open_ended, True
        with self.group(name, self.left) as group:
            yield group
        self.open_ended = before

    def _take(self, width: int) -> int:
        first, last = self._at // 8, (self._at + width + 7) // 8
        number = int.from_bytes(self._octets[first:last], "big")
        self._at += width
        return number >> 8 * last - self._at & (1 << width) - 1

    def _cut_off(self, name: str, width: int, value: int | bytes, expected: str) -> None:
        start = self._at - width
        left = f"{width // 8} left" if width % 8 == 0 else f"{width} bits left"
        written = show.decimal(value) if isinstance(value, int) else show.octets(value)
        text = written if width else ""
        missing = f"{expected} expected at offset {start // 8}, {left}"
        meaning, fault = ("not all of it is here", "") if self.open_ended else ("", missing)
        if width or fault:
            self._group.parts.append(Field(name, start, width, value, text, meaning, fault))
        raise FrameEnds


def dissect(octets: bytes, dissector: Dissector, open_ended: bool = False) -> tuple[Field, ...]:
    """The frame's fields; what the dissector leaves is data."""
    scan = Scanner(octets)
    scan.open_ended = open_ended
    with scan.group("", len(octets)):
        dissector(scan)
    return scan.fields


def _told(told: Told[V], value: V) -> str:
    return told if isinstance(told, str) else told(value)
