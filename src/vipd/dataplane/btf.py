"""The kernel's type format (BTF), read: names, sizes, offsets. Pure; knows no file and no kernel."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Final

_MAGIC: Final = 0xEB9F
_HEADER: Final = struct.Struct("<HBBIIIII")
_TYPE: Final = struct.Struct("<III")


class Kind(IntEnum):
    """Documentation/bpf/btf.rst, "Type Encoding"."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


_ROWS: Final = {
    # How each kind's type record goes on: struct of one row, and how many rows (None: vlen).
    Kind.INT: ("<I", 1),
    Kind.ARRAY: ("<III", 1),
    Kind.STRUCT: ("<III", None),
    Kind.UNION: ("<III", None),
    Kind.ENUM: ("<Ii", None),
    Kind.FUNC_PROTO: ("<II", None),
    Kind.VAR: ("<I", 1),
    Kind.DATASEC: ("<III", None),
    Kind.DECL_TAG: ("<i", 1),
    Kind.ENUM64: ("<III", None),
}
_TRANSPARENT: Final = {Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG, Kind.VAR}


@dataclass(frozen=True, slots=True)
class Type:
    kind: Kind
    name: str
    size_or_type: int
    rows: tuple[tuple[int, ...], ...]
    "What follows the record: members, values, an array's element and length."


class Btf:
    """The types of one object, by id."""

    def __init__(self, raw: bytes) -> None:
        magic, _, _, header, type_offset, type_length, self._strings, _ = _HEADER.unpack_from(raw)
        if magic != _MAGIC:
            raise ValueError("not BTF of this machine's byte order")
        self._raw = raw
        self._strings += header
        self.types = [Type(Kind.VOID, "void", 0, ())]
        position, end = header + type_offset, header + type_offset + type_length
        while position < end:
            position = self._read(position)

    @classmethod
    def empty(cls) -> Btf:
        """What a map has that was made without types."""
        return cls(_HEADER.pack(_MAGIC, 1, 0, _HEADER.size, 0, 0, 0, 1) + b"\0")

    def _read(self, position: int) -> int:
        name, info, size_or_type = _TYPE.unpack_from(self._raw, position)
        position += _TYPE.size
        kind = Kind(info >> 24 & 0x1F)
        layout, count = _ROWS.get(kind, ("<", 0))
        row = struct.Struct(layout)
        length = row.size * (info & 0xFFFF if count is None else count)
        rows = tuple(row.iter_unpack(self._raw[position : position + length])) if length else ()
        self.types.append(Type(kind, self.string(name), size_or_type, rows))
        return position + length

    def string(self, offset: int) -> str:
        start = self._strings + offset
        return self._raw[start : self._raw.index(b"\0", start)].decode()

    @cached_property
    def _ids(self) -> dict[tuple[Kind, str], int]:
        return {(known.kind, known.name): number for number, known in enumerate(self.types)}

    def variable(self, section: str, name: str) -> tuple[int, int]:
        """Offset and size of a variable in a section of data."""
        for type_id, offset, size in self.types[self._ids[Kind.DATASEC, section]].rows:
            if self.types[type_id].name == name:
                return offset, size
        raise KeyError(name)

    def enum(self, name: str) -> dict[str, int]:
        """Empty where the object knows no such enum."""
        found = self._ids.get((Kind.ENUM, name))
        return {self.string(key): value for key, value in self.types[found].rows} if found else {}

    def layout(self, type_id: int) -> str:
        """The same text for the same names, offsets and sizes, whatever the ids."""
        known = self.types[type_id]
        match known.kind:
            case Kind.TYPEDEF if known.name.startswith("__be"):
                return known.name
            case kind if kind in _TRANSPARENT:
                return self.layout(known.size_or_type)
            case Kind.INT | Kind.FLOAT | Kind.ENUM | Kind.ENUM64:
                return f"{known.kind.name.lower()}{known.size_or_type}"
            case Kind.ARRAY:
                element, _, count = known.rows[0]
                return f"{self.layout(element)}[{count}]"
            case Kind.STRUCT | Kind.UNION:
                members = ";".join(f"{self.string(n)}@{at}:{self.layout(t)}" for n, t, at in known.rows)
                return f"{known.kind.name.lower()} {known.name} {known.size_or_type}{{{members}}}"
            case Kind.DATASEC:
                variables = ";".join(f"{self.types[t].name}@{at}:{self.layout(t)}" for t, at, _ in known.rows)
                return f"datasec {known.name}{{{variables}}}"
            case kind:
                return kind.name.lower()
