"""Where the frames of a line are on it, bit for bit: from what each stretch of it is there for.

Everything counts in bits from the line's first, also where it carries whole octets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from vipd.anatomy.field import Field
from vipd.wire.bits import BitOrder, pack, unpack
from vipd.wire.deframer import Fault
from vipd.wire.stretches import Part, Stretch, of_bits, of_burst, of_octets

_ENDS: Final = {Part.FLAG: None, Part.ABORT: Fault.ABORT, Part.IDLE: Fault.IDLE}
"What ends a frame, and whether that is a fault."
_DATA: Final = (Part.DATA, Part.ESCAPED)
_INVERTED: Final = 0x20


@dataclass(frozen=True, slots=True)
class Found:
    """What stood between two flags, or behind the last one."""

    octets: bytes
    "Whole ones, without what was stuffed; with the FCS."
    places: Sequence[int]
    "Where on the line each of its bits is, in the line's order; also of those that make no whole octet."
    offset: int
    order: BitOrder
    fault: Fault | None = None
    "Seen on the line. What is wrong with its length or its FCS is another matter."
    complete: bool = True
    "False where the line ends before the frame does."
    stuffed: frozenset[int] = frozenset()
    "Where on the line a bit was stuffed into it."

    @property
    def left_over(self) -> int:
        """Bits behind the last whole octet."""
        return len(self.places) - 8 * len(self.octets)

    def on_line(self, field: Field) -> list[int]:
        """Where a field's bits are, in the order of the line."""
        inside = range(field.offset, field.end)
        # A field's place counts from an octet's highest bit, as RFCs draw it.
        ordered = sorted(bit ^ 7 for bit in inside) if self.order is BitOrder.LSB_FIRST else inside
        return [self.places[bit] for bit in ordered]


@dataclass(frozen=True, slots=True)
class Line:
    bits: bytes
    "An octet for each (see `wire.bits`), in the line's order."
    stretches: tuple[Stretch, ...]
    "They follow each other without gap or overlap."
    found: tuple[Found, ...]
    of_octets: bool = False
    "Whether it carries octets, which are then written with the highest bit first."


def bit_line(bits: bytes, order: BitOrder = BitOrder.LSB_FIRST) -> Line:
    stretches = of_bits(bits)
    found = []
    for inside, ended_by in _between_flags(stretches):
        places = [at for each in inside if each.part is Part.DATA for at in range(each.start, each.end)]
        if places:
            octets = pack(bytes(bits[at] for at in places[: len(places) & ~7]), order)
            # Ones that the line ends with may yet become more.
            complete = ended_by is not None and (ended_by.part is not Part.ABORT or ended_by.end < len(bits))
            fault = _ENDS[ended_by.part] if ended_by and complete else None
            stuffed = frozenset(each.start for each in inside if each.part is Part.STUFFED)
            found.append(Found(octets, places, inside[0].start, order, fault, complete, stuffed))
    return Line(bits, tuple(stretches), tuple(found))


def async_line(octets: bytes, accm: int = 0) -> Line:
    """`accm` names the control characters that are dropped where they come bare."""
    stretches = of_octets(octets, accm)
    found = []
    for inside, ended_by in _between_flags(stretches):
        data = [(each, at) for each in inside if each.part in _DATA for at in range(each.start, each.end)]
        taken = bytes(octets[at] ^ _INVERTED * (each.part is Part.ESCAPED) for each, at in data)
        fault = _ENDS[ended_by.part] if ended_by else None
        if taken or fault or any(each.part is Part.ESCAPE for each in inside):
            places = [bit for _, at in data for bit in range(8 * at, 8 * at + 8)]
            start = inside[0].start if inside else ended_by.start if ended_by else 0
            found.append(Found(taken, places, 8 * start, BitOrder.MSB_FIRST, fault, ended_by is not None))
    in_bits = tuple(Stretch(each.part, 8 * each.start, 8 * each.end) for each in stretches)
    return Line(unpack(octets, BitOrder.MSB_FIRST), in_bits, tuple(found), of_octets=True)


def ethernet_burst(bits: bytes, aligned: bool) -> Line:
    """One burst; `aligned` where its octets are the frame's."""
    stretches, order = of_burst(bits, aligned), BitOrder.LSB_FIRST
    data = [each for each in stretches if each.part in (Part.DATA, Part.DELIMITER)]
    if not data:
        nothing = Found(b"", (), 0, order, Fault.NO_SFD)
        return Line(bits, tuple(stretches), (nothing,) if bits else ())
    start, end = data[0].end, data[-1].end
    found = Found(pack(bits[start:end], order), range(start, end), start, order)
    return Line(bits, tuple(stretches), (found,))


def _between_flags(stretches: Iterable[Stretch]) -> Iterator[tuple[list[Stretch], Stretch | None]]:
    """What stands behind each flag, and what ends it; None: nothing does."""
    inside: list[Stretch] | None = None
    for each in stretches:
        if inside is not None and each.part in _ENDS:
            yield inside, each
        if each.part in _ENDS:
            inside = [] if each.part is Part.FLAG else None
        elif inside is not None:
            inside.append(each)
    if inside is not None:
        yield inside, None
