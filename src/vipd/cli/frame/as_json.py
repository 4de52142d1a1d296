"""The same as JSON: what programs read instead of the tables."""

from __future__ import annotations

from collections.abc import Sequence

from vipd.anatomy.dissect import Specimen
from vipd.anatomy.field import Field
from vipd.anatomy.line import Found, Line
from vipd.cli.frame import documents
from vipd.wire.bits import to_text


def line_as_json(line: Line) -> documents.Line:
    return {
        "bits": len(line.bits),
        "stretches": [
            {"part": each.part, "offset": each.start, "bits": to_text(line.bits[each.start : each.end])}
            for each in line.stretches
        ],
    }


def specimen_as_json(specimen: Specimen, line: int) -> documents.Frame:
    """`line`: the number of the line that it was found on, if it was on one."""
    found = specimen.found
    place: documents.Place | None = None
    if found is not None:
        place = {"number": line, "offset": found.offset, "left_over_bits": found.left_over}
    return {
        "octets": specimen.octets.hex(),
        "fcs": specimen.check.name,
        "complete": specimen.complete,
        "fault": specimen.fault,
        "line": place,
        "troubles": [{"offset": trouble.offset, "text": trouble.text} for trouble in specimen.troubles()],
        "fields": [_field(field, found) for field in specimen.fields],
    }


def _field(field: Field, found: Found | None) -> documents.Field:
    told: documents.Field = {
        "name": field.name,
        "offset": field.offset,
        "width": field.width,
        "meaning": field.meaning,
        "fault": field.fault,
    }
    if field.parts:
        told["fields"] = [_field(part, found) for part in field.parts]
        return told
    told["value"] = field.value.hex() if isinstance(field.value, bytes) else field.value
    told["text"] = field.text
    if found is not None:
        told["line"] = _runs(found.on_line(field))
    return told


def _runs(places: Sequence[int]) -> documents.Runs:
    runs: documents.Runs = []
    for place in places:
        if runs and place == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], place)
        else:
            runs.append((place, place))
    return runs
