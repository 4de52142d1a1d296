"""Writes to the maps that can be taken back. Knows no row's meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self, TypeAlias

import numpy as np

from vipd.dataplane.maps import Map, Rows
from vipd.dataplane.tables import INDEX
from vipd.errors import DataplaneError

After: TypeAlias = Callable[[str], None]
"Called after each write with its name; what it raises is treated like the kernel's refusal."


def nothing(_step: str) -> None:
    """The usual `After`."""


class Writer:
    """A context: left by an exception, all that was written is taken back, last first."""

    def __init__(self, maps: Mapping[str, Map], after: After = nothing) -> None:
        self._maps, self._after = maps, after
        self._undo: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            return
        failed: list[str] = []
        for undo in reversed(self._undo):
            try:
                undo()
            except DataplaneError as refusal:
                failed.append(str(refusal))
        if failed:
            raise DataplaneError(f"{error}; and taking it back failed too: {'; '.join(failed)}") from error

    def rows(self, name: str, ids: list[int], new: Rows, old: Rows) -> None:
        """Rows of an array map; `new` and `old` are those of `ids`, in that order."""
        if ids:
            keys = np.array(ids, INDEX)
            self._undo.append(lambda: self._maps[name].write(keys, old))
            self._maps[name].write(keys, new)
            self._after(f"write {name}")

    def put(self, name: str, keys: Rows, values: Rows, old: Mapping[bytes, bytes] | None = None) -> None:
        """Entries of a hash or trie; taken back, each has its `old` value again or is gone."""
        if len(keys):
            table, before = self._maps[name], old or {}

            def undo() -> None:
                for key in keys:
                    restore(table, key.tobytes(), before.get(key.tobytes()))

            self._undo.append(undo)
            table.write(keys, values)
            self._after(f"write {name}")

    def delete(self, name: str, keys: Rows, values: Rows) -> None:
        """Entries of a hash or trie; `values` are what they have now."""
        table = self._maps[name]
        for key, value in zip(keys, values, strict=True):
            self._undo.append(lambda key=key, value=value: restore(table, key.tobytes(), value.tobytes()))  # type: ignore[misc]
            restore(table, key.tobytes(), None)
            self._after(f"delete from {name}")

    def fill(self, step: str, memory: Rows, start: int, content: Rows) -> None:
        """A part of a map in memory that nobody reads yet, so that nothing needs taking back."""
        memory[start : start + len(content)] = content
        self._after(step)


def restore(table: Map, key: bytes, value: bytes | None) -> None:
    """The key has that value, or None: there is no such key."""
    if value is not None:
        table.update(key, value)
        return
    try:
        table.delete(key)
    except KeyError:
        return
