"""A link protocol as simple as can be, and an interface in memory, for tests of what drives them."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Mapping
from typing import Final

from vipd.errors import DataplaneError
from vipd.model.link import Deliver, Down, Effect, Hangup, Phase, Send, Up

PACKET: Final = b"p"
CONTROL: Final = b"c"
BYE: Final = b"bye"


class Plain:
    """A frame is a letter and what it carries. Knows what it was told, and when."""

    def __init__(self, begins: list[Effect] | None = None, silent: bool = False) -> None:
        self.begins, self.silent = begins or [], silent
        self.phase, self.deadline = Phase.DEAD, math.inf
        self.agreed: Mapping[str, str] = {}
        self.counters: Mapping[str, int] = {}
        self.history: list[tuple[float, str]] = []
        self.carries: Callable[[bytes], bool] = lambda _packet: True
        self.answers: dict[bytes, list[Effect]] = {}
        "To control frames; others are remembered only."

    def start(self, now: float) -> list[Effect]:
        self.history.append((now, "start"))
        self.phase = Phase.NETWORK
        return list(self.begins)

    def receive(self, frame: bytes, now: float) -> list[Effect]:
        kind, rest = frame[:1], frame[1:]
        if kind == PACKET:
            return [Deliver(rest)]
        self.history.append((now, rest.decode()))
        if rest == BYE:
            self.phase = Phase.DEAD
            return [Hangup("the peer said goodbye")]
        return self.answers.get(rest, [])

    def tick(self, now: float) -> list[Effect]:
        self.history.append((now, "tick"))
        self.deadline = math.inf
        return []

    def lost(self, now: float) -> list[Effect]:
        self.history.append((now, "lost"))
        self.phase = Phase.DEAD
        return [Down(4, "the line is lost")]

    def stop(self, now: float) -> list[Effect]:
        self.history.append((now, "stop"))
        self.phase = Phase.TERMINATE
        return [] if self.silent else [Send(CONTROL + BYE), Hangup("stopped")]

    def frame(self, packet: bytes) -> bytes | None:
        return PACKET + packet if self.carries(packet) else None


class MemoryInterface:
    """`far` is the other side of it: the kernel's."""

    def __init__(self) -> None:
        self.far, self._near = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._near.setblocking(False)
        self.far.setblocking(False)
        self.descriptor = self._near.fileno()
        self.down = False

    def read(self) -> bytes:
        try:
            return self._near.recv(65_535)
        except BlockingIOError:
            return b""

    def write(self, packet: bytes) -> bool:
        if self.down:
            return False
        self._near.send(packet)
        return True

    def received(self) -> list[bytes]:
        """By the kernel, since the last call."""
        found = []
        while True:
            try:
                found.append(self.far.recv(65_535))
            except BlockingIOError:
                return found

    def close(self) -> None:
        self.far.close()
        self._near.close()


class MemoryAddresses:
    def __init__(self) -> None:
        self.history: list[Up | int] = []
        self.refusal = ""

    async def up(self, agreed: Up) -> None:
        if self.refusal:
            raise DataplaneError(self.refusal)
        self.history.append(agreed)

    async def down(self, version: int) -> None:
        self.history.append(version)
