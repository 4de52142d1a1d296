"""Frames on a line of bits (ISO 13239, RFC 1662 section 5).

A frame stands between two flags, 01111110. So that no flag appears within, the sender puts
a 0 after every five 1s, and the receiver takes it out. All that a receiver sees follows from
the number of 1s that stand together:

    fewer than five   data
    five              data; the 0 behind them was stuffed
    six               a flag, with the 0 on either side
    seven or more     abort: the frame was given up
    fifteen or more   the line is idle

Nothing else has to be remembered from bit to bit. So thousands of bits are handled at once,
as one large number: `line & line << 1` has a 1 wherever two stand together, and a few such
steps find every stuffed 0 and every flag. Then the line is spread out, one octet for each bit
and stuffed ones marked; it is cut at the flags, and bytes.replace takes the marked bits out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from vipd.wire.bits import BitOrder, pack, reverse
from vipd.wire.deframer import MAX_FRAME, Fault, FrameError, FrameRules
from vipd.wire.fcs import FCS16, FrameCheck

FLAG: Final = bytes((0, 1, 1, 1, 1, 1, 1, 0))
_BUT_THE_LAST: Final = len(FLAG) - 1

# What a bit's octet is for those that are more than data.
_STUFFED: Final = b"\x02"
_ABORT_ENDS: Final = b"\x04"
"The 0 after seven 1s or more."
_IDLE: Final = b"\x11"
"The fifteenth 1, and those behind it."

_BITS_SET: Final = [[bit for bit in range(8) if octet >> bit & 1] for octet in range(256)]

_CONTEXT: Final = 16
"Bits that are kept of what was fed before: what a bit means is told by the fifteen before it."
_UNDECIDED: Final = 14
"The last bits of what looks like data may yet be an abort's (or a flag's), but not more than these."
_AT_ONCE: Final = 12_288
"Octets. An octet for each of their bits is little enough for malloc not to ask the kernel each time."
_TOGETHER: Final = 6_000
"Octets of frames that are stuffed as one, which takes several times as much memory."


class BitDeframer:
    """Flags are found at every offset; what comes before the first is ignored.

    Flags may follow each other, also with a 0 in common; what stands between two is a frame,
    or a fault unless it is nothing. With `NO_FCS` every frame of whole octets is given as it is.
    """

    def __init__(
        self, check: FrameCheck = FCS16, max_frame: int = MAX_FRAME, order: BitOrder = BitOrder.LSB_FIRST
    ) -> None:
        self._rules = FrameRules(check, max_frame)
        self._most_bits = 8 * self._rules.longest
        self._order = order
        self._context = (1 << _CONTEXT) - 1  # nothing was heard yet: an idle line
        self._fed = 0
        self._frame: bytearray | None = None
        self._frame_at = self._frame_bits = 0

    def feed(self, data: bytes) -> Iterator[bytes | FrameError]:
        """Eight bits of the line in each octet, in this deframer's order."""
        found: list[bytes | FrameError] = []
        for start in range(0, len(data), _AT_ONCE):
            octets = data[start : start + _AT_ONCE]
            found += self._hear(octets if self._order is BitOrder.LSB_FIRST else reverse(octets), 8 * len(octets))
        return iter(found)

    def feed_bits(self, bits: bytes) -> Iterator[bytes | FrameError]:
        """Any number of bits, an octet for each (see `bits`)."""
        found: list[bytes | FrameError] = []
        for start in range(0, len(bits), 8 * _AT_ONCE):
            some = bits[start : start + 8 * _AT_ONCE]
            found += self._hear(pack(some), len(some))
        return iter(found)

    @property
    def pending(self) -> bytes | None:
        """The bits since the last flag, without stuffed ones; None while there is no frame to wait for.

        The last of them may turn out to be a flag's or an abort's.
        """
        return None if self._frame is None else bytes(self._frame).replace(_STUFFED, b"")

    @property
    def is_idle(self) -> bool:
        """Whether the last fifteen bits were 1s."""
        return self._context >> 1 == 0x7FFF

    def _hear(self, octets: bytes, count: int) -> list[bytes | FrameError]:
        line = int.from_bytes(self._context.to_bytes(_CONTEXT // 8, "little") + octets, "little")
        self._context = line >> count
        marks, flag_ends = _read(line, octets, count)
        found: list[bytes | FrameError] = []
        at = 0
        for end in flag_ends:
            # Between two flags with nothing in between stands only the second, without its last bit.
            if self._frame is not None and (self._frame or end - at > _BUT_THE_LAST):
                found += self._close(bytes(self._frame) + marks[at:end] if self._frame else marks[at:end])
            at = end + 1
            self._frame, self._frame_at, self._frame_bits = bytearray(), self._fed + at, 0
        self._fed += count
        if self._frame is not None:
            found += self._go_on(self._frame, marks[at:])
        return found

    def _close(self, marks: bytes) -> list[bytes | FrameError]:
        """The frame that a flag ended, whose last bit is not among the marks."""
        if _ABORT_ENDS in marks:
            return self._give_up(marks)
        bits = marks[:-_BUT_THE_LAST].replace(_STUFFED, b"")
        whole, more = divmod(len(bits), 8)
        if not bits:
            return []
        if len(bits) > self._most_bits:
            return [self._rules.too_long(self._frame_at)]
        if more and whole >= self._rules.shortest:
            return [FrameError(Fault.MISALIGNED, self._frame_at, whole)]
        return [self._rules.accept(pack(bits[: 8 * whole], self._order), self._frame_at)]

    def _go_on(self, frame: bytearray, marks: bytes) -> list[bytes | FrameError]:
        """More of a frame whose end is yet to come."""
        frame += marks
        self._frame_bits += len(marks) - marks.count(_STUFFED)
        if _IDLE in marks or _ABORT_ENDS in marks:
            self._frame = None
            return self._give_up(bytes(frame))
        if self._frame_bits > self._most_bits + _UNDECIDED:
            self._frame = None
            return [self._rules.too_long(self._frame_at)]
        return []

    def _give_up(self, marks: bytes) -> list[bytes | FrameError]:
        """So many 1s stand in the frame that it is none; a fault unless nothing stands before them."""
        end = marks.find(_ABORT_ENDS)
        idle = marks.find(_IDLE, 0, end if end >= 0 else None)
        fault, end = (Fault.IDLE, idle) if idle >= 0 else (Fault.ABORT, end)
        bits = marks[:end].rstrip(b"\1").replace(_STUFFED, b"")
        if len(bits) > self._most_bits:
            return [self._rules.too_long(self._frame_at)]
        return [FrameError(fault, self._frame_at, len(bits) // 8)] if bits else []


def _read(line: int, octets: bytes, count: int) -> tuple[bytes, list[int]]:
    """What each of the `count` bits in the octets is, and where flags end among them.

    `line` is the context and these bits, the first of all the least significant. In each of
    the numbers made of it a bit stands for what ends there: `ones2`, two 1s; `six`, a 0 after
    six 1s or more. Behind the last bit some have one more, as if a 0 came next.
    """
    ones2 = line & line << 1
    ones4 = ones2 & ones2 << 2
    after_five = (ones4 & line << 4) << 1
    zeros = after_five ^ after_five & line
    six = zeros & line << 6
    stuffed = zeros ^ six
    aborts = six & line << 7
    flags = six ^ aborts

    marks = _spread(octets)
    marks += _spread(_octets(stuffed, octets)) * _STUFFED[0]
    if aborts:
        ones8 = ones4 & ones4 << 4
        idles = ones8 & ones8 << 7
        marks += _spread(_octets(aborts, octets)) * _ABORT_ENDS[0]
        marks |= _spread(_octets(idles, octets)) * _IDLE[0]
    return marks[:count].tobytes(), _places(_octets(flags, octets), count) if flags else []


def _octets(number: int, like: bytes) -> bytes:
    """The bits behind the context, as many as the others have."""
    return number.to_bytes(len(like) + 3, "little")[_CONTEXT // 8 :][: len(like)]


def _spread(octets: bytes) -> npt.NDArray[np.uint8]:
    return np.unpackbits(np.frombuffer(octets, np.uint8), bitorder="little")


def _places(octets: bytes, count: int) -> list[int]:
    """Of the bits that are set, which are few."""
    some = np.flatnonzero(np.frombuffer(octets, np.uint8) != 0).tolist()
    places = [8 * place + bit for place in some for bit in _BITS_SET[octets[place]]]
    return places if not places or places[-1] < count else places[:-1]


class BitFramer:
    """Sends a frame's bits behind those of the one before, with one flag between them.

    The line takes whole octets, stuffed frames have any number of bits: up to seven wait for
    what comes next. `flush` sends another flag behind them, whose own last bits wait instead
    and open the next frame.
    """

    def __init__(self, check: FrameCheck = FCS16, order: BitOrder = BitOrder.LSB_FIRST) -> None:
        self._check = check
        self._order = order
        self._waiting = FLAG
        self._frame_waits = False
        "Whether its last bits are among those that wait."

    def encode(self, *frames: bytes) -> bytes:
        """One behind the other; together they take less time."""
        octets = b"".join([self._send(_line_of(some, self._check, self._order)) for some in _together(frames)])
        if frames:
            self._frame_waits = bool(self._waiting)
        return octets

    def flush(self) -> bytes:
        """An octet, or nothing where no frame waits for it."""
        return self.fill(1) if self._frame_waits else b""

    def fill(self, octets: int) -> bytes:
        """What a synchronous line carries between frames: flags (RFC 1662 5.4)."""
        self._frame_waits = self._frame_waits and octets == 0
        return self._send(FLAG * octets)

    def _send(self, bits: bytes) -> bytes:
        bits = self._waiting + bits
        whole = len(bits) & ~7
        self._waiting = bits[whole:]
        return pack(bits[:whole], self._order)


def _together(frames: Iterable[bytes]) -> Iterator[list[bytes]]:
    some: list[bytes] = []
    room = _TOGETHER
    for frame in frames:
        if some and len(frame) > room:
            yield some
            some, room = [], _TOGETHER
        some.append(frame)
        room -= len(frame)
    if some:
        yield some


def frame_bits(frame: bytes, check: FrameCheck = FCS16, order: BitOrder = BitOrder.LSB_FIRST) -> bytes:
    """A frame as it passes on the line behind a flag: FCS added, stuffed, with the flag that ends it."""
    return _line_of([frame], check, order)


def _line_of(frames: Iterable[bytes], check: FrameCheck, order: BitOrder) -> bytes:
    """The bits of frames, each with the flag that ends it."""
    octets = [*(frame + check.of(frame) for frame in frames), b""]
    if order is BitOrder.MSB_FIRST:
        octets = list(map(reverse, octets))
    return _stuffed(b"\0".join(octets), pack(FLAG).join(octets))


def stuff(bits: bytes) -> bytes:
    """A 0 after every five 1s."""
    filled = -len(bits) % 8
    stuffed = _stuffed(pack(bits), pack(bits))
    return stuffed[: len(stuffed) - filled]


def _stuffed(octets: bytes, shown: bytes) -> bytes:
    """The bits of octets, least significant first, with a 0 after every five 1s.

    `shown` is the same, but may have flags, which are not to be stuffed, in the place of zeros.
    """
    line = int.from_bytes(octets, "little")
    ones2 = line & line << 1
    five = ones2 & ones2 << 2 & line << 4
    # Where so many 1s stand together for the first time the fifth is one that counts, and in
    # a longer run each fifth one after it: there as many are found as already were, each time.
    fifths = five ^ five & line << 5
    chain, step = five, 5
    while more := fifths << step & chain:
        fifths |= more
        chain &= chain << step
        step *= 2
    bits = _spread(shown)
    bits += _spread(fifths.to_bytes(len(octets), "little"))
    return bits.tobytes().replace(b"\2", b"\1\0")
