"""The hardware of an HDLC device whose driver gives and takes whole frames: flags, stuffing and FCS are added here."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Self

from tests.support.lan import Host
from vipd.link.codec import Codec

_PREFIX: Final = 2
"Octets of length before each frame, most significant first."
_PIECE: Final = 1 << 16


class Hardware:
    """Whoever connects to `port` on the host's loopback address finds a line there, one after the other."""

    def __init__(self, host: Host, driver: Path, codec: Callable[[], Codec]) -> None:
        self._codec = codec
        self._driver = socket.socket(socket.AF_UNIX)
        self._driver.connect(str(driver))
        self._listener = host.inside(lambda: socket.create_server(("127.0.0.1", 0)))
        self.port: int = self._listener.getsockname()[1]
        self._told, self._tell = os.pipe()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._tell, b".")
        self._thread.join()
        for each in (self._told, self._tell):
            os.close(each)
        self._listener.close()
        self._driver.close()

    def _serve(self) -> None:
        """What the driver sends while there is no line is lost, as on any."""
        given = bytearray()
        while True:
            ready = _ready(self._told, self._listener, self._driver)
            if self._told in ready:
                return
            if self._driver in ready:
                given += self._driver.recv(_PIECE)
                list(_frames(given))
            if self._listener in ready:
                line, _ = self._listener.accept()
                with line:
                    self._carry(line, given)

    def _carry(self, line: socket.socket, given: bytearray) -> None:
        codec = self._codec()
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            ready = _ready(self._told, line, self._driver)
            if self._told in ready:
                os.write(self._tell, b".")  # for who carries on
                return
            if self._driver in ready:
                given += self._driver.recv(_PIECE)
                line.sendall(codec.encode(list(_frames(given))) + codec.flush())
            if line in ready:
                data = line.recv(_PIECE)
                if not data:
                    return
                self._driver.sendall(b"".join(map(_prefixed, codec.feed(data))))


def _ready(told: int, *sockets: socket.socket) -> list[int | socket.socket]:
    waiting: list[int | socket.socket] = [told, *sockets]
    return select.select(waiting, [], [])[0]


def _frames(given: bytearray) -> Iterator[bytes]:
    """The whole ones; the rest of the last stays."""
    while len(given) >= _PREFIX and len(given) >= (end := _PREFIX + int.from_bytes(given[:_PREFIX], "big")):
        yield bytes(given[_PREFIX:end])
        del given[:end]


def _prefixed(frame: object) -> bytes:
    assert isinstance(frame, bytes), frame
    return len(frame).to_bytes(_PREFIX, "big") + frame
