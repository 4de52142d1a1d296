"""Ethernet frames as they pass on the line (IEEE 802.3 3.1, 4.2): preamble, delimiter, frame, FCS, gap.

    55 55 55 55 55 55 55   preamble: 1010… (least significant bit first), to lock on to
    D5                     start of frame delimiter (SFD): the first two 1s that stand together
    frame                  from 60 octets on, see `ethernet`
    FCS                    CRC-32, least significant octet first
    silence                for at least 12 octet times, the inter-frame gap

Nothing in these octets tells where a frame ends: no octet is forbidden within, and the frame
does not count its own length. The receiver knows because the signal ends, and whatever stands
between the line and this module must pass that on. So here a *burst* is what is heard from the
beginning of a signal to its end; `feed` takes octets of it, `end` tells that it is over, and
each burst is one frame or one fault. Silence itself is not fed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from vipd.wire.bits import unpack
from vipd.wire.deframer import Fault, FrameError
from vipd.wire.ethernet import HEADER, MAX_LENGTH, MIN_FRAME, TAG_TYPES, padded
from vipd.wire.fcs import FCS32

PREAMBLE: Final = b"\x55" * 7
SFD: Final = b"\xd5"
GAP: Final = 12
"Octet times of silence between two frames."

_TAG: Final = 4
_MAX_TAGS: Final = 2
_ADDRESSES: Final = 12
_LOCKED_WITHIN: Final = 16
"The SFD is among these first octets of a burst, or there is none: the preamble may come whole, late or not at all."

_OCTETS_START: Final = re.compile(b"\x55*\xd5")
_ALTERNATION: Final = re.compile(b"(?:\x01\x00){3,}(\x01\x01)?")
"At least what alternates in the SFD itself; then its end, if it is one."


class EthernetDeframer:
    """Frames without preamble, SFD and FCS, padding left on.

    `aligned`: octets are fed as the frame has them, as a PHY's interface gives them. Else a
    frame may begin at any bit, faults count bits, and up to seven bits that are left over at
    the end mean nothing (802.3 4.2.4.2.1).
    """

    def __init__(self, aligned: bool = True, max_payload: int = MAX_LENGTH) -> None:
        self._aligned = aligned
        self._longest = HEADER + max_payload + FCS32.size
        self._most = _LOCKED_WITHIN + self._longest + _MAX_TAGS * _TAG
        self._burst = bytearray()
        self._burst_at = self._fed = 0
        self._told = False

    def feed(self, data: bytes) -> Iterator[bytes | FrameError]:
        """More of a burst. The one thing known before the burst's end is that it is too long."""
        self._fed += len(data)
        self._burst += data[: self._most + 1 - len(self._burst)]
        if self._told or len(self._burst) <= self._most:
            return iter(())
        self._told = True
        return iter((self._judge(bytes(self._burst)),))

    def end(self) -> Iterator[bytes | FrameError]:
        """The signal is gone: what was the burst? Nothing, if nothing was fed since the last."""
        judged = () if self._told or not self._burst else (self._judge(bytes(self._burst)),)
        self._burst.clear()
        self._burst_at, self._told = self._fed, False
        return iter(judged)

    def _judge(self, burst: bytes) -> bytes | FrameError:
        start = frame_start(burst, self._aligned)
        unit = 1 if self._aligned else 8
        if start is None:
            return FrameError(Fault.NO_SFD, unit * self._burst_at, len(burst))
        frame = burst[start:] if self._aligned else _from_bit(burst, start)
        fault = self._fault(frame)
        return FrameError(fault, unit * self._burst_at + start, len(frame)) if fault else frame[: -FCS32.size]

    def _fault(self, frame: bytes) -> Fault | None:
        right = FCS32.is_right(frame)
        if len(frame) < MIN_FRAME + FCS32.size:
            return Fault.RUNT if right else Fault.FRAGMENT
        if len(frame) > self._longest + _TAG * _tags(frame):
            return Fault.GIANT
        return None if right else Fault.BAD_FCS


def frame_start(burst: bytes, aligned: bool = True) -> int | None:
    """Behind the SFD: an octet of the burst, or where it is not aligned, a bit; None where there is no SFD."""
    if aligned:
        start = _OCTETS_START.match(burst, 0, _LOCKED_WITHIN)
        return start.end() if start else None
    start = _ALTERNATION.search(unpack(burst[:_LOCKED_WITHIN]))
    return start.end() if start and start[1] else None


def _from_bit(burst: bytes, start: int) -> bytes:
    """Whole octets from a bit on."""
    size = (8 * len(burst) - start) // 8
    return (int.from_bytes(burst, "little") >> start).to_bytes(len(burst), "little")[:size]


def _tags(frame: bytes) -> int:
    """Each makes the longest frame longer (802.3 3.2.7)."""
    count = 0
    while count < _MAX_TAGS and int.from_bytes(frame[_ADDRESSES + _TAG * count :][:2], "big") in TAG_TYPES:
        count += 1
    return count


class EthernetFramer:
    """Makes of a frame the burst to send; the line must then be silent for `GAP` octet times."""

    def encode(self, frame: bytes) -> bytes:
        frame = padded(frame)
        return PREAMBLE + SFD + frame + FCS32.of(frame)

    def flush(self) -> bytes:
        """Nothing ever waits: the end of the signal ends the frame."""
        return b""


def line_octets(frame: bytes) -> int:
    """For how many octet times a frame keeps the line: preamble, SFD, padding, FCS and gap included."""
    return len(PREAMBLE) + len(SFD) + len(padded(frame)) + FCS32.size + GAP
