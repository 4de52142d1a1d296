"""Writes capture files in the form that Wireshark writes (draft-ietf-opsawg-pcapng): frames with a word about each."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final

from vipd.wire.pcap import Captured
from vipd.wire.pcapng import SECTION

_ORDER_MARK: Final = 0x1A2B3C4D
_VERSION: Final = (1, 0)
_ANY_LENGTH: Final = -1
_INTERFACE, _ENHANCED = 1, 6
_END, _COMMENT, _NAME, _APPLICATION, _TIME_UNIT = 0, 1, 2, 4, 9
_NANOSECONDS: Final = 9
_MOST: Final = 0xFFFF
"Octets of an option."
_WORD: Final = Struct("<I")
_OPTION: Final = Struct("<HH")
_HEADER: Final = Struct("<IHHq")
_DESCRIPTION: Final = Struct("<HHI")
_PACKET: Final = Struct("<IIIII")


class Writer:
    """One section with an interface for each name and link type, described when it is first used."""

    def __init__(self, application: str) -> None:
        self._application = application
        self._interfaces: dict[tuple[str, int], int] = {}

    def header(self) -> bytes:
        """What the file begins with."""
        body = _HEADER.pack(_ORDER_MARK, *_VERSION, _ANY_LENGTH)
        return _block(SECTION, body + _options((_APPLICATION, self._application.encode())))

    def packet(self, interface: str, frame: Captured, comment: str = "") -> bytes:
        """The blocks of one frame."""
        number = self._interfaces.get((interface, frame.link_type))
        described = b""
        if number is None:
            number = self._interfaces[interface, frame.link_type] = len(self._interfaces)
            options = _options((_NAME, interface.encode()), (_TIME_UNIT, bytes([_NANOSECONDS])))
            described = _block(_WORD.pack(_INTERFACE), _DESCRIPTION.pack(frame.link_type, 0, 0) + options)
        high, low = frame.time_ns >> 32, frame.time_ns & 0xFFFFFFFF
        head = _PACKET.pack(number, high, low, len(frame.data), max(frame.length, len(frame.data)))
        options = _options((_COMMENT, comment.encode())) if comment else b""
        return described + _block(_WORD.pack(_ENHANCED), head + _padded(frame.data) + options)


def _block(kind: bytes, body: bytes) -> bytes:
    length = _WORD.pack(len(body) + 12)
    return kind + length + body + length


def _options(*options: tuple[int, bytes]) -> bytes:
    return b"".join(_option_blocks(*options)) + _OPTION.pack(_END, 0)


def _option_blocks(*options: tuple[int, bytes]) -> Iterator[bytes]:
    for code, value in options:
        cut = value[:_MOST]
        yield _OPTION.pack(code, len(cut)) + _padded(cut)


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)
