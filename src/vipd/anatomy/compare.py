"""Two frames, field by field: what a device changed, put in or took away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from vipd.anatomy.field import Field, walk


class Kind(StrEnum):
    SAME = "same"
    CHANGED = "changed"
    NEW = "new"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Pair:
    """A field of both frames, or of one; with parts or without."""

    kind: Kind
    depth: int
    before: Field | None
    after: Field | None

    @property
    def field(self) -> Field:
        field = self.after or self.before
        assert field is not None
        return field


def compare(before: Sequence[Field], after: Sequence[Field]) -> list[Pair]:
    """Headers are put in and taken away in the middle: what is alike by name is matched from both ends.

    From the end first, so that of two IP headers the inner one is the old one.
    """
    front = _alike(before, after, _LINK)
    back = _alike(before[front:][::-1], after[front:][::-1], None)
    pairs: list[Pair] = []
    for old, new in zip(before[:front], after[:front], strict=True):
        pairs += _pair(old, new, 0)
    pairs += _alone(Kind.GONE, before[front : len(before) - back])
    pairs += _alone(Kind.NEW, after[front : len(after) - back])
    for old, new in zip(before[len(before) - back :], after[len(after) - back :], strict=True):
        pairs += _pair(old, new, 0)
    return pairs


_LINK = frozenset({"destination", "source", "type", "address", "control", "protocol"})
"A frame's own header, which is never one of two."


def _alike(before: Sequence[Field], after: Sequence[Field], names: frozenset[str] | None) -> int:
    count = 0
    for old, new in zip(before, after, strict=False):
        if old.name != new.name or (names is not None and old.name not in names):
            break
        count += 1
    return count


def _pair(old: Field, new: Field, depth: int) -> Iterator[Pair]:
    if [part.name for part in old.parts] != [part.name for part in new.parts]:
        yield from _alone(Kind.GONE, [old])
        yield from _alone(Kind.NEW, [new])
        return
    parts = [pair for each in zip(old.parts, new.parts, strict=True) for pair in _pair(*each, depth + 1)]
    alike = all(pair.kind is Kind.SAME for pair in parts) if parts else old.value == new.value
    yield Pair(Kind.SAME if alike else Kind.CHANGED, depth, old, new)
    yield from parts


def _alone(kind: Kind, fields: Sequence[Field]) -> Iterator[Pair]:
    for depth, field in walk(fields):
        yield Pair(kind, depth, *((field, None) if kind is Kind.GONE else (None, field)))


def octets_of(pairs: Sequence[Pair], before: bytes, after: bytes) -> tuple[set[int], set[int]]:
    """The octets of each frame that are not as in the other, by their place."""
    old, new = set[int](), set[int]()
    for pair in pairs:
        if pair.field.parts or pair.kind is Kind.SAME:
            continue
        gone, came = _octets(pair.before), _octets(pair.after)
        if pair.before and pair.after and len(gone) == len(came):
            shift = (pair.after.offset - pair.before.offset) // 8
            gone = {at for at in gone if before[at] != after[at + shift]}
            came = {at + shift for at in gone}
        old |= gone
        new |= came
    return old, new


def _octets(field: Field | None) -> set[int]:
    return set(range(field.offset // 8, (field.end + 7) // 8)) if field else set()
