"""A frame before and after: octet by octet, and field by field. Whoever changed it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vipd.anatomy import show
from vipd.anatomy.compare import Kind, Pair, compare, octets_of
from vipd.anatomy.dissect import Kind as Protocol
from vipd.anatomy.dissect import Reading, bare
from vipd.anatomy.field import Field
from vipd.cli.frame import documents
from vipd.cli.frame.look import NOTE, Token, rows
from vipd.cli.frame.view import WIDTH
from vipd.cli.output import grid
from vipd.wire.fcs import NO_FCS

_STYLES: Final = {Kind.SAME: NOTE, Kind.CHANGED: "bold yellow", Kind.NEW: "bold green", Kind.GONE: "bold red"}
_ROW: Final = 16


@dataclass(frozen=True, slots=True)
class Changes:
    before: bytes
    after: bytes
    "Nothing where nothing leaves."
    pairs: list[Pair]


def changes(before: bytes, after: bytes, bare_before: bool = False, bare_after: bool = False) -> Changes:
    """`bare_…`: it begins with its IP header."""
    if not after:
        return Changes(before, after, [])
    return Changes(before, after, compare(_fields(before, bare_before), _fields(after, bare_after)))


def _fields(octets: bytes, packet: bool) -> tuple[Field, ...]:
    return bare(octets, Reading(Protocol.IP if packet else Protocol.ETHERNET, NO_FCS)).fields


def show_changes(screen: Console, found: Changes, everything: bool = False) -> None:
    show_octets(screen, found)
    if found.after:
        screen.print(table_of(found, everything))
        screen.print(summary(found))


def show_octets(screen: Console, found: Changes) -> None:
    old, new = octets_of(found.pairs, found.before, found.after)
    _show_octets(screen, "before", found.before, old, _STYLES[Kind.GONE])
    if found.after:
        _show_octets(screen, "after", found.after, new, _STYLES[Kind.NEW])


def summary(found: Changes) -> Text:
    pairs = found.pairs
    old, new = octets_of(pairs, found.before, found.after)
    put_in, taken = (sum(pair.field.width for pair in pairs if _is(pair, kind)) // 8 for kind in (Kind.NEW, Kind.GONE))
    told = [f"{show.count(len(new) - put_in, 'octet')} changed"]
    told += [f"{number} {what}" for number, what in ((put_in, "put in"), (taken, "taken away")) if number]
    assert len(old) - taken == len(new) - put_in
    return Text.assemble(("in all", "bold"), "  " + ", ".join(told))


def _is(pair: Pair, kind: Kind) -> bool:
    return pair.kind is kind and not pair.field.parts


def _show_octets(screen: Console, name: str, octets: bytes, marked: set[int], style: str) -> None:
    """Marked ones in colour; where there is none, with something under them."""
    coloured = screen.color_system is not None and not screen.no_color
    screen.print(Text.assemble((name, "bold"), f"  {show.count(len(octets), 'octet')}"))
    for at in range(0, len(octets), _ROW):
        written, under = Text(), Text()
        for place in range(at, min(at + _ROW, len(octets))):
            written.append(f"{octets[place]:02x}", style if place in marked else NOTE)
            written.append(" ")
            under.append("^^ " if place in marked and not coloured else "   ")
        for line in rows([(str(at), Token(written, under))], WIDTH):
            screen.print(line, soft_wrap=True)


def table_of(found: Changes, everything: bool = False) -> Table:
    """Of fields in a row that stayed as they were the number is told, unless all are wanted."""
    table = grid()
    for heading in ("at", "field", "before", "after", ""):
        table.add_column(heading, overflow="fold", justify="right" if heading == "at" else "left")
    quiet = 0
    for pair in [*found.pairs, None]:
        if quiet and (pair is None or pair.kind is not Kind.SAME):
            table.add_row("", Text(f"{show.count(quiet, 'field')} as before", NOTE))
            quiet = 0
        if pair is None:
            break
        if pair.kind is Kind.SAME and not everything:
            quiet += not pair.field.parts
            continue
        style = _STYLES[pair.kind]
        name = Text("  " * pair.depth + pair.field.name, "bold" if pair.field.parts else style)
        cells = (Text(_value(pair.before), style), Text(_value(pair.after), style))
        said = "" if pair.kind is Kind.SAME or (pair.field.parts and pair.kind is Kind.CHANGED) else str(pair.kind)
        table.add_row(str(pair.field.offset // 8), name, *cells, Text(said, style))
    return table


def _value(field: Field | None) -> str:
    if field is None:
        return ""
    return field.meaning if field.parts else field.text


def changes_as_json(found: Changes) -> list[documents.Change]:
    """Fields that are not as they were; offsets and widths in bits."""
    return [_change(pair) for pair in found.pairs if pair.kind is not Kind.SAME and not pair.field.parts]


def _change(pair: Pair) -> documents.Change:
    return {"field": pair.field.name, "kind": pair.kind, "before": _side(pair.before), "after": _side(pair.after)}


def _side(field: Field | None) -> documents.Side | None:
    return None if field is None else {"offset": field.offset, "width": field.width, "text": field.text}
