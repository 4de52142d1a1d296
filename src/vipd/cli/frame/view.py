"""Frames as a person reads them: the octets, then a row for each field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

from rich.console import Console
from rich.text import Text

from vipd.anatomy import show
from vipd.anatomy.dissect import Specimen
from vipd.anatomy.field import Field, walk
from vipd.anatomy.line import Found, Line
from vipd.cli.frame.line_view import legend, line_rows
from vipd.cli.frame.look import DATA, FAULT, NOTE, STYLES, Token, elided, put, rows
from vipd.wire.stretches import Part

WIDTH: Final = 100
"Of a line's rows, where nobody's terminal is narrower."
_MOST_BITS: Final = 24
_MOST_OCTETS: Final = 8
_OCTETS_IN_ROW: Final = 16
_MOST_ROWS: Final = 6
_GAP: Final = 2
_NARROWEST: Final = 10
"Of a column that is folded."
_DULL: Final = ("address", "FCS", "padding", "data", "information", "fragment")
"What says nothing in a line of its own."
_TOLD_BY_WHAT_FOLLOWS: Final = ("control", "protocol", "type")
_WAYS: Final = {"destination": "to", "source": "from"}


def show_line(screen: Console, line: Line, name: str, everything: bool) -> None:
    size = show.count(len(line.bits) // 8, "octet") if line.of_octets else show.count(len(line.bits), "bit")
    screen.print(Text.assemble(("line", "bold"), f"  {size} from {name}"))
    put(screen, line_rows(line, min(screen.width, WIDTH), everything))
    put(screen, [legend(line)])


def show_specimen(screen: Console, specimen: Specimen, line: Line | None, name: str, everything: bool) -> None:
    put(screen, [Text(), _heading(specimen, line, name)])
    if line is None:
        put(screen, _octet_rows(specimen, min(screen.width, WIDTH), everything))
    if specimen.fields:
        put(screen, _table(specimen, line, screen))
    put(screen, _conclusion(specimen, line), wrapped=True)


def brief(specimen: Specimen, name: str) -> Text:
    """A frame in one line: what it is, and what is wrong."""
    said = [_told(field) for field in specimen.fields if field.name not in _DULL]
    if any(field.parts and field.name != "control" for field in specimen.fields):
        said = [_told(field) for field in specimen.fields if field.name not in (*_DULL, *_TOLD_BY_WHAT_FOLLOWS)]
    troubles = [trouble.text for trouble in specimen.troubles()]
    line = Text.assemble((f"{name:<10} ", "bold"), f"{len(specimen.octets):>5}  ", "  ".join(said))
    if troubles:
        line.append("  " + "; ".join(troubles), FAULT)
    elif not specimen.complete:
        line.append("  not complete", NOTE)
    return line


def _told(field: Field) -> str:
    if field.name in _WAYS:
        return f"{_WAYS[field.name]} {field.text}" + (f" ({field.meaning})" if field.meaning else "")
    return f"{field.name} {field.meaning}".strip() if field.parts else field.meaning or f"{field.name} {field.text}"


def _heading(specimen: Specimen, line: Line | None, name: str) -> Text:
    heading = Text.assemble((name, "bold"), f"  {show.count(len(specimen.octets), 'octet')}")
    if line is not None and specimen.found is not None:
        where = _place_on_line(line, specimen.found.offset)
        heading.append(f" from {where} of the line on")
    return heading


def _place_on_line(line: Line, bit: int) -> str:
    return f"octet {bit // 8}" if line.of_octets else f"bit {bit}"


def _conclusion(specimen: Specimen, line: Line | None) -> Iterator[Text]:
    troubles = list(specimen.troubles())
    found = specimen.found
    for trouble in troubles:
        where = f"octet {trouble.offset // 8}"
        if line is not None and found is not None and trouble.offset < 8 * len(specimen.octets):
            place = min(found.places[trouble.offset & ~7 : (trouble.offset & ~7) + 8])
            where += f", {_place_on_line(line, place)} of the line"
        yield Text.assemble(("wrong", FAULT), f"  {where}: {trouble.text}")
    if found is not None and not found.complete:
        left = f", and has {show.count(found.left_over, 'bit')} of the next octet" if found.left_over else ""
        yield Text.assemble(("not complete", "yellow"), f"  the line ends before the frame does{left}")
    elif not troubles:
        check = f", {specimen.check.name.replace('fcs', 'FCS-')} right" if specimen.check.size else ""
        yield Text.assemble(("good", "green"), check)


def _octet_rows(specimen: Specimen, width: int, everything: bool) -> Iterator[Text]:
    """The octets of a frame that is on no line, each top field apart."""
    tokens: list[tuple[str, Token]] = []
    for number, field in enumerate(field for field in specimen.fields if field.width >= 8):
        octets = specimen.octets[field.offset // 8 : field.end // 8]
        placed = []
        for at in range(0, len(octets), _OCTETS_IN_ROW):
            written = Text(octets[at : at + _OCTETS_IN_ROW].hex(" "), DATA[number % 2])
            under = Text("" if at else field.name, NOTE)
            placed.append((str(field.offset // 8 + at), Token(written, under)))
        tokens += placed if everything else elided(placed, _MOST_ROWS, "rows")
    yield from rows(tokens, width)


def _table(specimen: Specimen, line: Line | None, screen: Console) -> Iterator[Text]:
    """Of thousands of frames there are as many tables: rich takes milliseconds for each of its own."""
    coloured = screen.color_system is not None and not screen.no_color
    headings = ("at", "bits" if line is not None and not line.of_octets else "octets", "field", "value", "meaning")
    cells = [tuple(Text(heading, "bold") for heading in headings)]
    for depth, field in walk(specimen.fields):
        name = Text("  " * depth + field.name, "bold" if field.parts else "")
        said = Text(field.fault and f"✗ {field.fault}", FAULT) if field.fault else Text(field.meaning)
        pattern = Text() if field.parts else _pattern(specimen, line, field, coloured)
        cells.append((Text(_at(field)), pattern, name, Text(field.text), said))
    widths = _widths(cells, screen.width)
    for number, row in enumerate(cells):
        yield from _lines(row, widths, screen)
        if not number:
            rule = "-" if screen.options.ascii_only else "─"
            yield Text(rule * min(sum(widths) + _GAP * (len(widths) - 1), screen.width))


def _widths(cells: Sequence[Sequence[Text]], room: int) -> list[int]:
    """As the cells need; where there is no room for that, value and meaning share what is left."""
    widths = [max(cell.cell_len for cell in column) for column in zip(*cells, strict=True)]
    *_, value, meaning = widths
    left = max(2 * _NARROWEST, room - sum(widths[:-2]) - _GAP * (len(widths) - 1))
    if value + meaning > left:
        half = left // 2
        widths[-2] = min(value, max(half, left - meaning))
        widths[-1] = min(meaning, left - widths[-2])
    return widths


def _lines(row: Sequence[Text], widths: Sequence[int], screen: Console) -> Iterator[Text]:
    """A row of the table: one line, or more where a cell is folded."""
    folded = [
        [cell] if cell.cell_len <= width else list(cell.wrap(screen, width, overflow="fold"))
        for cell, width in zip(row, widths, strict=True)
    ]
    for parts in zip_longest(*folded, fillvalue=Text()):
        line = Text()
        for number, (part, width) in enumerate(zip(parts, widths, strict=True)):
            blank = " " * (width - part.cell_len)
            line.append(blank if not number else "")
            line.append_text(part)
            line.append((blank if number else "") + " " * _GAP)
        line.rstrip()
        yield line


def _at(field: Field) -> str:
    return f"{field.offset // 8}.{field.offset % 8}" if field.offset % 8 or field.width % 8 else str(field.offset // 8)


def _pattern(specimen: Specimen, line: Line | None, field: Field, coloured: bool) -> Text:
    """A field's bits as the line has them, stuffed ones among them; else its octets, or its place in an octet."""
    if line is not None and specimen.found is not None and not line.of_octets and field.width:
        return _on_line(line, specimen.found, field, coloured)
    if field.width % 8 or field.offset % 8:
        return Text(_within(specimen, field))
    octets = specimen.octets[field.offset // 8 : field.end // 8]
    return Text(octets[:_MOST_OCTETS].hex(" ") + (" …" if len(octets) > _MOST_OCTETS else ""))


def _on_line(line: Line, found: Found, field: Field, coloured: bool) -> Text:
    places = found.on_line(field)
    pattern = Text()
    for number, at in enumerate(places[:_MOST_BITS]):
        if number and number % 8 == 0:
            pattern.append(" ")
        pattern.append(str(line.bits[at]))
        if at + 1 in found.stuffed:
            bit = str(line.bits[at + 1])
            pattern.append(bit if coloured else f"({bit})", STYLES[Part.STUFFED])
    return pattern + Text(" …") if len(places) > _MOST_BITS else pattern


def _within(specimen: Specimen, field: Field) -> str:
    """The bits of a field in the octets that it has a part in, with a dot for each other bit."""
    first, last = field.offset // 8, (field.end + 7) // 8
    bits = "".join(f"{octet:08b}" for octet in specimen.octets[first:last])
    written = [bit if field.offset <= 8 * first + at < field.end else "." for at, bit in enumerate(bits)]
    return " ".join("".join(written[at : at + 8]) for at in range(0, len(written), 8))
