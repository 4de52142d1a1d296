"""An open line: octets in, octets out. Neither waits; whoever uses it asks the loop when more is possible."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import struct
import termios
from collections.abc import Callable
from typing import Final

from vipd.errors import LineError

_PIECE: Final = 1 << 16
"Octets read at once; a terminal gives 4,095 at most."
_LAST_WORDS: Final = 0.5
"Seconds that what was written last gets to leave a serial line."
_LOOK: Final = 0.01
_NUMBER: Final = struct.Struct("i")


class Channel:
    """Two descriptors, which may be one; not blocking, and `close` ends the use of them, whatever that is."""

    def __init__(self, reader: int, writer: int, close: Callable[[], None]) -> None:
        self.reader, self.writer, self._close = reader, writer, close
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)

    def read(self) -> bytes:
        """Some of what is there, or nothing; `LineError` at its end."""
        try:
            data = os.read(self.reader, _PIECE)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise _lost(error) from None
        if not data:
            raise LineError("the other end closed the line")
        return data

    def write(self, data: bytes | memoryview) -> int:
        """How many octets the line took; `LineError` where it takes none any more."""
        try:
            return os.write(self.writer, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise _lost(error) from None

    async def finish(self) -> None:
        """Close it, once what was written has left; not for long where the other end does not take it."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _LAST_WORDS
        try:
            while _waiting(self.writer) and loop.time() < deadline:
                await asyncio.sleep(_LOOK)
        finally:
            self._close()


def _lost(error: OSError) -> LineError:
    # What the kernel calls an input/output error is how a terminal tells that its other end has gone.
    return LineError("the line is hung up" if error.errno == errno.EIO else f"the line broke: {error.strerror}")


def _waiting(descriptor: int) -> int:
    """Octets in the kernel that a terminal has not sent yet; 0 for what is none: there the kernel goes on by itself."""
    if not os.isatty(descriptor):
        return 0
    try:
        found: int = _NUMBER.unpack(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(_NUMBER.size)))[0]
    except OSError:
        return 0
    return found
