"""A frame as a tree of fields, whose leaves follow each other without gap or overlap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """Places count in bits from the frame's first octet on, an octet's highest bit first, as RFCs draw them.

    On a line that sends the lowest bit first, a field's bits stand elsewhere: see `line.Line`.
    """

    name: str
    offset: int
    width: int
    "0: it should be here, but the frame has ended."
    value: int | bytes | None
    "Of a leaf; None where it has parts."
    text: str = ""
    "The value as people write it."
    meaning: str = ""
    fault: str = ""
    "What is wrong with it."
    parts: tuple[Field, ...] = ()

    @property
    def end(self) -> int:
        return self.offset + self.width

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Field]]:
        """This field and all below it, each with its depth."""
        yield depth, self
        for part in self.parts:
            yield from part.walk(depth + 1)


def walk(fields: Iterable[Field]) -> Iterator[tuple[int, Field]]:
    for field in fields:
        yield from field.walk()


def leaves(fields: Iterable[Field]) -> Iterator[Field]:
    return (field for _, field in walk(fields) if not field.parts)


def faults(fields: Iterable[Field]) -> Iterator[Field]:
    """Those with something wrong, in the frame's order."""
    return (field for _, field in walk(fields) if field.fault)


def find(fields: Iterable[Field], *names: str) -> Field:
    """The first field with the last of these names, below fields with the names before it. KeyError without one."""
    name, *more = names
    for _, field in walk(fields):
        if field.name == name:
            if not more:
                return field
            try:
                return find(field.parts, *more)
            except KeyError:
                continue
    raise KeyError(" > ".join(names))
