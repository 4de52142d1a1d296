"""Capture files in the form that Wireshark writes (draft-ietf-opsawg-pcapng), read only."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final

from vipd.errors import WireError
from vipd.wire.pcap import MAX_SNAPLEN, Captured, Parser, Place

MAX_BLOCK: Final = 16 << 20
"No block is longer; Wireshark draws the line in the same place."
MAX_INTERFACES: Final = 65_536
SECTION: Final = b"\x0a\x0d\x0d\x0a"
"A section header's type, the same in both byte orders."

_ORDERS: Final = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_INTERFACE, _SIMPLE, _ENHANCED = 1, 3, 6
_TIME_UNIT, _FCS_LENGTH, _TIME_OFFSET = 9, 13, 14
_SECOND_NS: Final = 1_000_000_000
_MICROSECOND: Final = 6


@dataclass(frozen=True, slots=True)
class _Interface:
    link_type: int
    snaplen: int
    units: int = 10**_MICROSECOND
    "Units of time in a second (if_tsresol)."
    offset_ns: int = 0
    fcs_octets: int | None = None


class _Section:
    """One section: its byte order and its interfaces."""

    def __init__(self, order: str) -> None:
        self.head = Struct(order + "II")
        self.word = Struct(order + "I")
        self._order = order
        self._interfaces: list[_Interface] = []

    def frames(self, kind: int, body: bytes, offset: int) -> Iterator[Captured]:
        """What a block brings: a frame or none; `offset` is where its body begins."""
        if kind == _INTERFACE:
            self._add_interface(_Fields(body, self._order, offset))
        elif kind == _ENHANCED:
            yield self._enhanced(_Fields(body, self._order, offset))
        elif kind == _SIMPLE:
            yield self._simple(_Fields(body, self._order, offset))

    def _add_interface(self, fields: _Fields) -> None:
        if len(self._interfaces) == MAX_INTERFACES:
            raise fields.fault(f"more than {MAX_INTERFACES} interfaces")
        link_type, _reserved, snaplen = fields.u16(), fields.u16(), fields.u32()
        units, offset_ns, fcs_octets = 10**_MICROSECOND, 0, None
        for code, value in fields.options():
            if code == _TIME_UNIT and len(value) == 1:
                exponent = value[0] & 0x7F
                units = 2**exponent if value[0] & 0x80 else 10**exponent
            elif code == _TIME_OFFSET and len(value) == 8:
                offset_ns = int(Struct(self._order + "q").unpack(value)[0]) * _SECOND_NS
            elif code == _FCS_LENGTH and len(value) == 1:
                fcs_octets = value[0]
        self._interfaces.append(_Interface(link_type, snaplen, units, offset_ns, fcs_octets))

    def _interface(self, number: int, fields: _Fields) -> _Interface:
        if number >= len(self._interfaces):
            raise fields.fault(f"interface {number} of {len(self._interfaces)}")
        return self._interfaces[number]

    def _enhanced(self, fields: _Fields) -> Captured:
        interface = self._interface(fields.u32(), fields)
        time, size, length = fields.u32() << 32 | fields.u32(), fields.u32(), fields.u32()
        if size > MAX_SNAPLEN:
            raise fields.fault(f"{size} octets captured, at most {MAX_SNAPLEN} are read")
        data = fields.take(size)
        time_ns = time * _SECOND_NS // interface.units + interface.offset_ns
        return Captured(data, max(length, size), interface.link_type, time_ns, interface.fcs_octets)

    def _simple(self, fields: _Fields) -> Captured:
        """It has neither a time nor a captured length: that is the interface's limit or the frame's length."""
        interface = self._interface(0, fields)
        length = fields.u32()
        size = min(length, interface.snaplen or length, MAX_SNAPLEN)
        return Captured(fields.take(size), length, interface.link_type, 0, interface.fcs_octets)


class _Fields:
    """Reads a block's body from front to back."""

    def __init__(self, body: bytes, order: str, offset: int) -> None:
        self._body, self._order, self._start, self._at = body, order, offset, 0

    def fault(self, what: str) -> WireError:
        return WireError(f"pcapng block at offset {self._start - 8}: {what}")

    def take(self, size: int) -> bytes:
        if size > len(self._body) - self._at:
            left = len(self._body) - self._at
            raise self.fault(f"{size} octets expected at offset {self._start + self._at}, {left} left")
        self._at += size
        return self._body[self._at - size : self._at]

    def u16(self) -> int:
        return int(Struct(self._order + "H").unpack(self.take(2))[0])

    def u32(self) -> int:
        return int(Struct(self._order + "I").unpack(self.take(4))[0])

    def options(self) -> Iterator[tuple[int, bytes]]:
        while len(self._body) - self._at >= 4:
            code, size = self.u16(), self.u16()
            if code == 0:
                return
            yield code, self.take(size)
            self.take(-size % 4)


def parse(place: Place) -> Parser:
    """All that comes after the first four octets, which were `SECTION`."""
    section = yield from _section(place.offset - 4)
    while True:
        start, place.between_records = place.offset, True
        kind = yield 4
        place.between_records = False
        if kind == SECTION:
            section = yield from _section(start)
            continue
        size = _body_size(section.word.unpack((yield 4))[0], start)
        offset = place.offset
        body = yield size
        _check_end(section.word.unpack((yield 4))[0], size, start)
        yield from section.frames(section.word.unpack(kind)[0], body, offset)


def _section(start: int) -> Generator[int | Captured, bytes, _Section]:
    size_octets = yield 4
    mark = yield 4
    order = _ORDERS.get(mark)
    if order is None:
        raise WireError(f"pcapng section at offset {start}: no byte-order mark at offset {start + 8}")
    section = _Section(order)
    size = _body_size(section.word.unpack(size_octets)[0], start)
    if size < 16:
        raise WireError(f"pcapng section at offset {start}: a length of {size + 12}, at least 28 expected")
    major = Struct(order + "HHq").unpack((yield 12))[0]
    if major != 1:
        raise WireError(f"pcapng version {major} at offset {start + 12}; only 1 is read")
    yield size - 16
    _check_end(section.word.unpack((yield 4))[0], size, start)
    return section


def _body_size(total: int, start: int) -> int:
    if not 12 <= total <= MAX_BLOCK or total % 4:
        raise WireError(
            f"pcapng block at offset {start}: a length of {total}; a multiple of 4 from 12 to {MAX_BLOCK} is read"
        )
    return total - 12


def _check_end(total: int, size: int, start: int) -> None:
    if total != size + 12:
        raise WireError(f"pcapng block at offset {start}: its length is {size + 12} before it and {total} behind it")
