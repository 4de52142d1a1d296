"""A line as a person reads it: each flag, octet and stuffed bit in place."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, islice
from typing import Final

from rich.text import Text

from vipd.anatomy.line import Found, Line
from vipd.cli.frame.look import DATA, MARGIN, NOTE, STYLES, Token, elided, rows
from vipd.wire.bits import BitOrder, pack, to_text
from vipd.wire.stretches import Part, Stretch

_MOST_TOKENS: Final = 64
"Octets of a frame, or flags in a row, that are written out."
_MOST_BITS: Final = 32
"Of what means nothing, or of silence."
_MOST: Final = 1000
"Octets and flags of a line."
_NAMES: Final = {
    Part.IGNORED: "ignored",
    Part.FLAG: "flag",
    Part.ABORT: "abort",
    Part.IDLE: "idle",
    Part.ESCAPE: "esc",
    Part.DROPPED: "drop",
    Part.PREAMBLE: "preamble",
    Part.DELIMITER: "delimiter",
}
_STUFFED: Final = "▲"
Placed = tuple[str, Token]


def line_rows(line: Line, width: int, everything: bool) -> Iterator[Text]:
    most = len(line.bits) if everything else _MOST_TOKENS
    tokens = _octet_tokens(line, most) if line.of_octets else _bit_tokens(line, most)
    yield from rows(tokens if everything else islice(tokens, _MOST), width)
    for place, _ in islice(tokens, 1):
        what = "octet" if line.of_octets else "bit"
        yield Text(f"{'…':>{MARGIN}}  and so on, from {what} {place} to the end; --all shows it", NOTE)


def legend(line: Line) -> Text:
    """What the colours stand for, of the parts that there are."""
    parts = [part for part in Part if any(each.part is part for each in line.stretches)]
    said = Text(" " * 10)
    for part in parts:
        if STYLES[part]:
            said.append(f" {part} ", style=STYLES[part])
            said.append("  ")
    return said


def _bit_tokens(line: Line, most: int) -> Iterator[Placed]:
    found = {each.offset: each for each in line.found if each.places}
    for is_frame, run in groupby(line.stretches, lambda each: each.part in (Part.DATA, Part.STUFFED)):
        stretches = list(run)
        at = stretches[0].start
        if is_frame and at in found:
            yield from elided(_data_tokens(line, found[at], stretches[-1].end), most, "octets")
        else:
            yield from elided([_plain(line, each) for each in stretches], most, "flags")


def _plain(line: Line, stretch: Stretch) -> Placed:
    written = to_text(line.bits[stretch.start : stretch.end])
    if len(written) > _MOST_BITS and stretch.part is not Part.PREAMBLE:
        written = f"{written[: _MOST_BITS // 2]}… {len(written)} bits"
    return str(stretch.start), Token(Text(written, STYLES[stretch.part]), Text(_NAMES[stretch.part], NOTE))


def _data_tokens(line: Line, found: Found, end: int) -> list[Placed]:
    """One for each octet, stuffed bits within; and one for what makes no octet."""
    tokens = []
    places = [*found.places, end]
    for number in range((len(found.places) + 7) // 8):
        first, after = places[8 * number], places[min(8 * number + 8, len(places) - 1)]
        inside = found.places[8 * number : 8 * number + 8]
        whole = number < len(found.octets)
        written, under = Text(), Text(found.octets[number : number + 1].hex() if whole else "…", NOTE)
        if after - first == len(inside):  # nothing is stuffed into it
            written.append(to_text(line.bits[first:after]), DATA[number % 2])
            tokens.append((str(first), Token(written, under)))
            continue
        for at in range(first, after):
            written.append(str(line.bits[at]), DATA[number % 2] if at in inside else STYLES[Part.STUFFED])
            if at not in inside:
                under.append(" " * (at - first - len(under)))
                under.append(_STUFFED, "red")
        tokens.append((str(first), Token(written, under)))
    return tokens


def _octet_tokens(line: Line, most: int) -> Iterator[Placed]:
    for is_data, run in groupby(line.stretches, lambda each: each.part not in (Part.FLAG, Part.IGNORED)):
        placed = [_octet(line, at, each.part) for each in run for at in range(each.start, each.end, 8)]
        yield from elided(placed, most, "octets" if is_data else "flags")


def _octet(line: Line, at: int, part: Part) -> Placed:
    octet = pack(line.bits[at : at + 8], BitOrder.MSB_FIRST)
    under = f"={octet[0] ^ 0x20:02x}" if part is Part.ESCAPED else _NAMES.get(part, "")
    style = STYLES[part] or DATA[0]
    return str(at // 8), Token(Text(octet.hex(), style), Text(under, NOTE))
