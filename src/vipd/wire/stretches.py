"""What each bit or octet of a line is there for: flags, data, what was stuffed in.

To be looked at; the deframers give the frames themselves. For a line that fits in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from vipd.wire.async_hdlc import ALL_CONTROLS, ESCAPE, FLAG, controls
from vipd.wire.bits import pack
from vipd.wire.ethernet_line import SFD, frame_start


class Part(StrEnum):
    IGNORED = "ignored"
    "Before the first flag, or behind an abort."
    FLAG = "flag"
    DATA = "data"
    "Of a frame, FCS included; the last of it may turn out to be something else as long as no flag follows."
    STUFFED = "stuffed"
    "A 0 that the sender put behind five 1s."
    ABORT = "abort"
    "Seven to fourteen 1s; or an escape with a flag behind it."
    IDLE = "idle"
    "Fifteen 1s or more."
    ESCAPE = "escape"
    ESCAPED = "escaped"
    "Data, its bit of value 20 (hex) inverted."
    DROPPED = "dropped"
    "A control character that the ACCM names."
    PREAMBLE = "preamble"
    DELIMITER = "delimiter"
    "Ethernet's SFD."


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bits or octets that stand together, from `start` up to but without `end`."""

    part: Part
    start: int
    end: int


_FLAG_BITS: Final = re.compile(b"\0\1{6}(?=\0)")
"Without its last 0, which may be the next one's first."
_FIVE_OR_MORE: Final = re.compile(b"\1{5,}")


def of_bits(bits: bytes) -> list[Stretch]:
    """All of the line (see `bits`), in order; a 0 that two flags share is the first one's."""
    found: list[Stretch] = []
    at, in_frame = 0, False
    for flag in _FLAG_BITS.finditer(bits):
        found += _between_flags(bits, at, flag.start(), in_frame)
        found.append(Stretch(Part.FLAG, max(at, flag.start()), flag.end() + 1))
        at, in_frame = flag.end() + 1, True
    found += _between_flags(bits, at, len(bits), in_frame)
    return [stretch for stretch in found if stretch.start < stretch.end]


def _between_flags(bits: bytes, at: int, end: int, in_frame: bool) -> Iterator[Stretch]:
    for run in _FIVE_OR_MORE.finditer(bits, at, max(at, end)):
        ones = run.end() - run.start()
        if ones >= 7:
            yield Stretch(Part.DATA if in_frame else Part.IGNORED, at, run.start())
            yield Stretch(Part.IDLE if ones >= 15 else Part.ABORT, run.start(), run.end())
            at, in_frame = run.end(), False
        elif ones == 5 and in_frame and run.end() < end:
            yield Stretch(Part.DATA, at, run.end())
            yield Stretch(Part.STUFFED, run.end(), run.end() + 1)
            at = run.end() + 1
    yield Stretch(Part.DATA if in_frame else Part.IGNORED, at, end)


def of_burst(bits: bytes, aligned: bool = True) -> list[Stretch]:
    """Of a burst of Ethernet, bit by bit; what is left behind its whole octets means nothing (802.3 4.2.4.2.1)."""
    start = frame_start(pack(bits), aligned)
    if start is None:
        return [Stretch(Part.IGNORED, 0, len(bits))] if bits else []
    start *= 8 if aligned else 1
    delimiter, end = start - 8 * len(SFD), start + (len(bits) - start) // 8 * 8
    preamble = delimiter
    # The SFD begins with a 1, so the bit before it is a 0.
    while preamble and bits[preamble - 1] == (delimiter - preamble) % 2:
        preamble -= 1
    found = [
        Stretch(Part.IGNORED, 0, preamble),
        Stretch(Part.PREAMBLE, preamble, delimiter),
        Stretch(Part.DELIMITER, delimiter, start),
        Stretch(Part.DATA, start, end),
        Stretch(Part.IGNORED, end, len(bits)),
    ]
    return [stretch for stretch in found if stretch.start < stretch.end]


def of_octets(octets: bytes, accm: int = ALL_CONTROLS) -> list[Stretch]:
    """All of the line, in order."""
    found: list[Stretch] = []
    for start, part in enumerate(_parts(octets, controls(accm))):
        last = found[-1] if found else None
        if last and last.part == part and part in (Part.DATA, Part.IGNORED):
            found[-1] = Stretch(part, last.start, start + 1)
        else:
            found.append(Stretch(part, start, start + 1))
    return found


def _parts(octets: bytes, dropped: bytes) -> list[Part]:
    parts: list[Part] = []
    in_frame, escape_at = False, -1
    for offset, octet in enumerate(octets):
        part = Part.DATA if in_frame else Part.IGNORED
        if octet == FLAG[0]:
            if escape_at >= 0:
                parts[escape_at] = Part.ABORT
            part, in_frame, escape_at = Part.FLAG, True, -1
        elif in_frame and octet in dropped:
            part = Part.DROPPED
        elif in_frame and escape_at >= 0:
            part, escape_at = Part.ESCAPED, -1
        elif in_frame and octet == ESCAPE[0]:
            part, escape_at = Part.ESCAPE, offset
        parts.append(part)
    return parts
