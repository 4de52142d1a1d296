"""Reads a capture file of either form (pcap, pcapng), in pieces. Hostile until read; opens none itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from vipd.errors import WireError
from vipd.wire import pcap, pcapng
from vipd.wire.pcap import Captured, Parser, Place

_PIECE: Final = 65_536


class CaptureReader:
    """A capture file in pieces of any size. Holds the incomplete rest of one record, at most 16 MiB."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._used = 0
        self._place = Place()
        self._parser = _parse(self._place)
        self._next = next(self._parser)

    def feed(self, data: bytes) -> Iterator[Captured]:
        """`WireError` where the file is damaged, after the frames before that; nothing can be read behind it."""
        del self._held[: self._used]
        self._used = 0
        self._held += data
        return self._frames()

    def end(self) -> None:
        """`WireError` where the file ends in the middle of something."""
        left = len(self._held) - self._used
        if not left and not self._place.offset:
            raise WireError("it is empty")
        if left or not self._place.between_records:
            raise WireError(
                f"the capture file ends too early: {self._next} octets expected"
                f" at offset {self._place.offset}, {left} left"
            )

    def _frames(self) -> Iterator[Captured]:
        try:
            while True:
                if isinstance(self._next, Captured):
                    frame, self._next = self._next, next(self._parser)
                    yield frame
                elif len(self._held) - self._used >= self._next:
                    start, end = self._used, self._used + self._next
                    self._used, self._place.offset = end, self._place.offset + self._next
                    self._next = self._parser.send(bytes(self._held[start:end]))
                else:
                    return
        except StopIteration:
            raise WireError("nothing is read behind the fault of a damaged capture file") from None


def is_capture(start: bytes) -> bool:
    """Whether a file that begins so is one; the first four octets tell."""
    return pcap.is_magic(start[:4]) or start[:4] == pcapng.SECTION


class Readable(Protocol):
    """An open file, or what behaves like one: empty is its end."""

    def read(self, size: int, /) -> bytes: ...


def read(file: Readable) -> Iterator[Captured]:
    """Every frame of an open file, then `WireError` where it is damaged or cut off."""
    reader = CaptureReader()
    while piece := file.read(_PIECE):
        yield from reader.feed(piece)
    reader.end()


def _parse(place: Place) -> Parser:
    magic = yield 4
    if magic == pcapng.SECTION:
        yield from pcapng.parse(place)
    elif pcap.is_magic(magic):
        yield from pcap.parse(magic, place)
    else:
        raise WireError(f"no capture file: it begins with {magic.hex(' ')}, neither pcap's nor pcapng's mark")
