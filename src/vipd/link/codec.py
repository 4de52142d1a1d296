"""Both directions of a line's framing, as a session needs them: what was agreed holds from the next frame on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from vipd.wire.async_hdlc import ALL_CONTROLS, FLAG, AsyncDeframer, AsyncFramer
from vipd.wire.bit_hdlc import BitDeframer, BitFramer
from vipd.wire.deframer import FrameError
from vipd.wire.fcs import FrameCheck

_HEADER: Final = 4
"Octets before a packet: address, control and protocol or type."
_LEAST: Final = 1500
"Packets of this size must be taken whatever was agreed (RFC 1661 6.1)."


class Codec(Protocol):
    """Frames of one line; made anew for each time that the line is opened."""

    def feed(self, data: bytes) -> Iterator[bytes | FrameError]:
        """Frames without their FCS. To be read as far as `reframe` shall not hold yet."""

    def encode(self, frames: Sequence[bytes], plain: bool = False, /) -> bytes:
        """What goes on the line for them; `plain` as in `Send`."""

    def flush(self) -> bytes:
        """What must follow where nothing else is sent now."""

    def reframe(self, send_accm: int, receive_accm: int, /) -> None: ...


class AsyncCodec:
    def __init__(self, check: FrameCheck, mru: int) -> None:
        self._framer = AsyncFramer(check)
        self._deframer = AsyncDeframer(check, max_frame(mru))
        self._agreed = False

    def feed(self, data: bytes) -> Iterator[bytes | FrameError]:
        """Frame by frame until the ends agreed, because the frame by which they do changes how the next is read."""
        start = 0
        while not self._agreed and (end := data.find(FLAG, start) + 1):
            yield from self._deframer.feed(data[start:end])
            start = end
        yield from self._deframer.feed(data[start:])

    def encode(self, frames: Sequence[bytes], plain: bool = False) -> bytes:
        accm = ALL_CONTROLS if plain else None
        return b"".join([self._framer.encode(frame, accm) for frame in frames])

    def flush(self) -> bytes:
        return self._framer.flush()

    def reframe(self, send_accm: int, receive_accm: int) -> None:
        self._framer.set_accm(send_accm)
        self._deframer.set_accm(receive_accm)
        self._agreed = receive_accm != ALL_CONTROLS


class BitCodec:
    """Bits have no control characters to escape."""

    def __init__(self, check: FrameCheck, mru: int) -> None:
        self._framer = BitFramer(check)
        self._deframer = BitDeframer(check, max_frame(mru))
        self.feed, self.flush = self._deframer.feed, self._framer.flush

    def encode(self, frames: Sequence[bytes], _plain: bool = False) -> bytes:
        return self._framer.encode(*frames)

    def reframe(self, _send_accm: int, _receive_accm: int) -> None:
        return


def max_frame(mru: int) -> int:
    return max(mru, _LEAST) + _HEADER
