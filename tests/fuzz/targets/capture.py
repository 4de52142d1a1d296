"""A capture file: the same frames and the same complaint however it is cut; what is read is written alike."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import Final

from tests.fuzz.supply import Supply
from vipd.errors import WireError
from vipd.wire import capture, pcap
from vipd.wire.capture import CaptureReader
from vipd.wire.pcap import Captured, Form

_FRAMES: Final = [Captured(b"\xff\x03\xc0\x21\x01", 60, 9, 1_700_000_000_123_456_789), Captured(b"", 4, 9)]
_NG: Final = bytes.fromhex(
    "0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c000000"  # a section
    "010000001c000000090000000000040009000100090000001c000000"  # an interface, of nanoseconds
    "06000000240000000000000001000000020000000400000004000000ff03c02124000000"  # a frame
    "0300000018000000080000000102030405060708"  # one without a time
    "18000000"
)
SEEDS: Final = [
    bytes((step, 3)) + octets
    for step in (0, 200)
    for octets in (
        _NG,
        *(
            form.header(9, 2) + b"".join(form.record(frame) for frame in _FRAMES)
            for form in (Form("little", True), Form("big", True), Form("little", False), Form("big", False))
        ),
    )
]


def check(data: bytes) -> None:
    pieces = Supply(data).pieces()
    found, complaint = _read([b"".join(pieces)])
    assert _read(pieces) == (found, complaint)
    for frame in found:
        assert len(frame.data) <= pcap.MAX_SNAPLEN
        assert frame.length >= len(frame.data)
        _write_again(frame)


def _read(pieces: Iterable[bytes]) -> tuple[list[Captured], str]:
    reader = CaptureReader()
    found: list[Captured] = []
    try:
        for piece in pieces:
            found.extend(reader.feed(piece))
        reader.end()
    except WireError as error:
        return found, str(error)
    return found, ""


def _write_again(frame: Captured) -> None:
    file = BytesIO()
    try:
        pcap.write(file, frame.link_type, [frame], fcs_octets=frame.fcs_octets)
    except WireError:
        return  # a time or an FCS that only the other form can tell
    file.seek(0)
    assert list(capture.read(file)) == [frame]
