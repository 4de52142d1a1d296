"""What the maps that lie open must say, as the specification has it, byte for byte; and fragments, which do not."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any, Final

import numpy as np

from tests.support.oracle.plane import Plane
from vipd.dataplane import _abi
from vipd.rehearsal.reading import fragment_row
from vipd.rehearsal.rows import ROWS, ports_row
from vipd.spec import State
from vipd.spec.state import Draft, FragmentKey, Ports

_COUNTERS: Final = {
    "outcomes": [kind.name.lower() for kind in _abi.Outcome],
    "events": [kind.name.lower() for kind in _abi.Event],
}
_LONG: Final = "return_hops"
"Too long to be compared as a whole after each packet."


class Images:
    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self._images = {name: bytearray(plane.memory[name].tobytes()) for name in (*ROWS, *_COUNTERS)}

    def copy(self) -> dict[str, bytes]:
        return {name: bytes(image) for name, image in self._images.items()}

    def restore(self, held: Mapping[str, bytes], but: Container[str]) -> None:
        """What `copy` gave; `but`: tables that count on."""
        self._images |= {name: bytearray(image) for name, image in held.items() if name not in but}

    def draw(self, name: str, key: int, value: Any) -> None:
        """The row of a key, from now on."""
        row = ROWS[name](value)
        self._images[name][key * len(row) : (key + 1) * len(row)] = row

    def count(self, name: str, what: str, by: int = 1) -> None:
        """An outcome or event happened."""
        at = _COUNTERS[name].index(what) * 8
        image = self._images[name]
        image[at : at + 8] = (int.from_bytes(image[at : at + 8], "little") + by).to_bytes(8, "little")

    def wrong(self, draft: Draft) -> Iterator[str]:
        """What the maps say otherwise, after all that the draft changed."""
        for name in ROWS:
            for key, value in getattr(draft, name).changed.items():
                self.draw(name, key, value)
        for name, image in self._images.items():
            if name != _LONG and self.plane.memory[name].tobytes() != image:
                yield from self._wrong_rows(name)
        for place in draft.return_hops.changed:
            row = self.plane.memory[_LONG][place].tobytes()
            if self._images[_LONG][place * len(row) : (place + 1) * len(row)] != row:
                yield from self._wrong_rows(_LONG)
        for key, kept in draft.fragments.changed.items():
            yield from self._wrong_fragment(key, kept)

    def wrong_at_the_end(self, state: State) -> Iterator[str]:
        """What is too long to be compared after each packet."""
        yield from self._wrong_rows(_LONG)
        held = len(list(self.plane.maps["fragments"].keys()))
        if held != len(state.fragments):
            yield f"fragments: the program {held}, the specification {state.fragments}"

    def _wrong_rows(self, name: str) -> Iterator[str]:
        memory, image = self.plane.memory[name], self._images[name]
        width = memory.shape[1]
        for number in np.flatnonzero((memory != np.frombuffer(image, "u1").reshape(memory.shape)).any(axis=1)).tolist():
            ours, theirs = image[number * width : (number + 1) * width], memory[number].tobytes()
            what = _COUNTERS[name][number] if name in _COUNTERS else number
            yield f"{name}[{what}]: the program {theirs.hex(' ', 4)}, the specification {ours.hex(' ', 4)}"

    def _wrong_fragment(self, key: FragmentKey, kept: Ports | None) -> Iterator[str]:
        try:
            found = self.plane.maps["fragments"].lookup(fragment_row(key))
        except KeyError:
            found = b""
        expected = b"" if kept is None else ports_row(kept)
        if found != expected:
            yield f"fragment {key}: the program {found.hex()}, the specification {expected.hex()}"
