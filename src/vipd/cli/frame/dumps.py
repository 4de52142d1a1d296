"""Dumps of octets as other programs print them: what is no octet in them is blanked out, so that offsets stay."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from vipd.errors import WireError

_WITH_COLON: Final = re.compile(
    r"^([ \t]*(?:0[xX])?[0-9a-fA-F]{4,8}:[ \t]+)([0-9a-fA-F]{2,}(?: [0-9a-fA-F]{2,})*)([ ].*)?$", re.MULTILINE
)
"A line as xxd and tcpdump -x write it."
_OFFSET: Final = re.compile(r"[ \t]*([0-9a-fA-F]{4,8})(?=[ \t]|$)")
_OCTET: Final = re.compile(r"[ \t]+[0-9a-fA-F]{2}(?=[ \t]|$)")
_MOST_IN_ROW: Final = 64
_USUAL_ROW: Final = 16
_GAP: Final = 3
"Spaces before Wireshark's column of characters; hexdump has a bar there."


@dataclass(frozen=True, slots=True)
class _Row:
    start: int
    "In the text."
    line: str
    offset: int
    "As it says."
    after: int
    "Where the octets begin in the line."

    def octets_end(self, count: int) -> int | None:
        """Behind so many octets; None where there are fewer."""
        at = self.after
        for _ in range(count):
            octet = _OCTET.match(self.line, at)
            if octet is None:
                return None
            at = octet.end()
        return at

    def count(self) -> int:
        """Of the last row, behind which none tells."""
        number, at = 0, self.after
        while number < _USUAL_ROW and (octet := _OCTET.match(self.line, at)):
            if number and octet.end() - at - 2 >= _GAP:
                break
            number, at = number + 1, octet.end()
        return number


def undumped(text: str) -> str:
    text = _WITH_COLON.sub(lambda line: " " * len(line[1]) + line[2] + " " * len(line[3] or ""), text)
    made: list[str] = []
    at = 0
    for block in _blocks(text):
        for start, end in _columns(block):
            made += [text[at:start], " " * (end - start)]
            at = end
    return "".join([*made, text[at:]])


def _blocks(text: str) -> Iterator[list[_Row]]:
    """What stands between blank lines, where every line begins with an offset: octets of hexdump, od, Wireshark."""
    block: list[_Row] | None = []
    left_out, at = -1, 0
    for raw in [*text.split("\n"), ""]:
        line = raw.rstrip("\r")
        if not line.strip():
            if block:
                if left_out >= 0:
                    raise WireError(
                        f"'*' at offset {left_out} stands for rows that are left out; hexdump -v shows them"
                    )
                yield block
            block, left_out = [], -1
        elif line.strip() == "*":
            left_out = at + line.index("*")
        elif block is not None:
            offset = _OFFSET.match(line)
            if offset is None:
                block = None
            else:
                block.append(_Row(at, line, int(offset[1], 16), offset.end()))
        at += len(raw) + 1


def _columns(block: list[_Row]) -> list[tuple[int, int]]:
    """Where what is no octet stands in the text; nothing where the offsets do not say how many there are."""
    counts = [later.offset - row.offset for row, later in pairwise(block)]
    if block[0].offset or not all(0 < count <= _MOST_IN_ROW for count in counts):
        return []
    last = block[-1]
    counts.append(last.count())
    ends = [row.octets_end(count) for row, count in zip(block, counts, strict=True)]
    found = [(row, end) for row, end in zip(block, ends, strict=True) if end is not None]
    if len(found) < len(block) or (not counts[-1] and last.line[last.after :].strip()):
        return []
    # A row alone may be octets that are zeros first: characters behind it, or a wide gap, tell that it is none.
    if len(block) == 1 and not last.line[found[0][1] :].strip() and not last.line[last.after :].startswith(" " * _GAP):
        return []
    return [
        each
        for row, end in found
        for each in ((row.start, row.start + row.after), (row.start + end, row.start + len(row.line)))
    ]
