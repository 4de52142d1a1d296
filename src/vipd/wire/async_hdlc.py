"""Frames on a line of octets, as asynchronous (start-stop) lines are (RFC 1662 section 4).

A frame stands between two flags, 7E. A flag within it, or any octet that the line would not
carry, is escaped: 7D is sent before it and its bit of value 20 (hex) is inverted. Which of
the control characters 00 to 1F the line would not carry, each end tells the other in its
ACCM (async control character map): bit n stands for character n. The sender escapes these;
the receiver drops them where they come bare, because the line itself put them in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from vipd.wire.deframer import MAX_FRAME, Fault, FrameError, FrameRules
from vipd.wire.fcs import FCS16, FrameCheck

FLAG: Final = b"\x7e"
ESCAPE: Final = b"\x7d"
ALL_CONTROLS: Final = 0xFFFFFFFF
"The ACCM of a line of which nothing is known yet (RFC 1662 7.1)."

_INVERTED: Final = [bytes((octet ^ 0x20,)) for octet in range(256)]
_MANY: Final = 50
"Escapes in one piece from which on numpy's fixed cost is the smaller one."


def controls(accm: int) -> bytes:
    """The control characters that an ACCM names."""
    return bytes(character for character in range(32) if accm >> character & 1)


class AsyncDeframer:
    """What comes before the first flag is ignored. `accm` may change at any time."""

    def __init__(self, check: FrameCheck = FCS16, max_frame: int = MAX_FRAME, accm: int = ALL_CONTROLS) -> None:
        self._rules = FrameRules(check, max_frame)
        self._dropped = controls(accm)
        self._fed = 0
        self._frame: bytearray | None = None
        self._frame_at = 0
        self._escaped = b""
        "The escape whose octet is yet to come."

    def set_accm(self, accm: int) -> None:
        """Which bare control characters to drop from now on."""
        self._dropped = controls(accm)

    @property
    def pending(self) -> bytes | None:
        """The octets since the last flag, escapes resolved; None while there is no frame to wait for."""
        return None if self._frame is None else bytes(self._frame)

    def feed(self, data: bytes) -> Iterator[bytes | FrameError]:
        found: list[bytes | FrameError] = []
        *closed, rest = data.split(FLAG)
        for piece in closed:
            if self._frame is not None and (piece or self._frame or self._escaped):
                found += self._close(self._frame, piece)
            self._fed += len(piece) + 1
            self._frame, self._frame_at, self._escaped = bytearray(), self._fed, b""
        self._fed += len(rest)
        if self._frame is not None and not self._take(self._frame, rest):
            found.append(self._rules.too_long(self._frame_at))
            self._frame = None
        return iter(found)

    def _close(self, frame: bytearray, piece: bytes) -> list[bytes | FrameError]:
        if not self._take(frame, piece):
            return [self._rules.too_long(self._frame_at)]
        if self._escaped:
            return [FrameError(Fault.ABORT, self._frame_at, len(frame))]
        # Nothing but dropped characters is nothing.
        return [self._rules.accept(bytes(frame), self._frame_at)] if frame else []

    def _take(self, frame: bytearray, piece: bytes) -> bool:
        """Adds a piece without flags to the frame; tells whether that is not too long now."""
        if self._dropped:
            piece = piece.translate(None, self._dropped)
        if self._escaped or ESCAPE in piece:
            # An escaped escape is an octet like another. With these out of the way no two escapes
            # stand together, and each one that has an octet behind it is meant for that.
            piece = (self._escaped + piece).replace(ESCAPE + ESCAPE, _INVERTED[ESCAPE[0]])
            self._escaped = piece[-1:] if piece.endswith(ESCAPE) else b""
            piece = _unescape(piece[: len(piece) - len(self._escaped)])
        frame += piece
        return len(frame) <= self._rules.longest


def _unescape(octets: bytes) -> bytes:
    """Every escape here has an octet other than an escape behind it."""
    if octets.count(ESCAPE) < _MANY:
        first, *rest = octets.split(ESCAPE)
        return b"".join([first, *[_INVERTED[part[0]] + part[1:] for part in rest]])
    line = np.frombuffer(octets, np.uint8)
    is_escape = line == ESCAPE[0]
    resolved = line.copy()
    resolved[1:] ^= is_escape[:-1].view(np.uint8) * 0x20
    return bytes(resolved[np.flatnonzero(~is_escape)])


class AsyncFramer:
    """Escapes what the peer's ACCM names, and `others`: octets above 1F that the line would not carry."""

    def __init__(self, check: FrameCheck = FCS16, accm: int = ALL_CONTROLS, others: bytes = b"") -> None:
        for octet in others:
            # Its escaped form must be one that the line carries.
            if octet < 0x40 or octet in ESCAPE + FLAG or octet ^ 0x20 in ESCAPE + FLAG + others:
                raise ValueError(f"{octet:#04x} cannot be escaped beside the control characters")
        self._check = check
        self._others = others
        self._accm = accm

    def set_accm(self, accm: int) -> None:
        """What to escape from now on."""
        self._accm = accm

    def encode(self, frame: bytes, accm: int | None = None) -> bytes:
        """`accm`: for this frame alone, such as LCP's own, which are sent as if nothing were agreed (RFC 1661 6)."""
        octets = frame + self._check.of(frame)
        # Escapes first: those that are put in now must not be escaped themselves.
        for octet in ESCAPE + FLAG + self._others + controls(self._accm if accm is None else accm):
            if octet in octets:
                octets = octets.replace(bytes((octet,)), ESCAPE + _INVERTED[octet])
        return FLAG + octets + FLAG

    def flush(self) -> bytes:
        """Nothing ever waits."""
        return b""
