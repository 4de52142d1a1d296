"""Is the peer still there: Echo-Request and Echo-Reply (RFC 1661 5.8), and whether the line is looped (6.4)."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from vipd.ppp.drops import Drop, Drops
from vipd.ppp.settings import Echo as EchoSettings
from vipd.wire.ppp import HEADER_SIZE, Code, Echo, Packet

_LOOPED: Final = "the line is looped back to us"
_SILENT: Final = "the peer answers no Echo-Request any more"


class KeepAlive:
    """Lives while LCP is opened."""

    def __init__(
        self, settings: EchoSettings, magic: int, largest: int, next_identifier: Callable[[], int], drops: Drops
    ) -> None:
        self.deadline = inf
        self.reason = ""
        "Why the link should end; empty while the peer answers."
        self._settings = settings
        self._magic = magic
        "Ours; 0 while we have none."
        self._largest = largest
        self._next_identifier = next_identifier
        self._drops = drops
        self._unanswered: list[int] = []
        "Identifiers of requests without reply, since the last reply."
        self._looped = False

    def start(self, now: float) -> None:
        self.deadline = now + self._settings.interval if self._settings.interval else inf

    def stop(self) -> None:
        """The peer knows no Echo-Request."""
        self.deadline = inf

    def tick(self, now: float) -> list[Packet]:
        if now < self.deadline:
            return []
        if len(self._unanswered) >= self._settings.failures:
            self.stop()
            self.reason = _LOOPED if self._looped else _SILENT
            return []
        self._unanswered.append(self._next_identifier())
        self.deadline = now + self._settings.interval
        return [Packet(Code.ECHO_REQUEST, self._unanswered[-1], Echo(self._magic).encode())]

    def receive(self, packet: Packet) -> list[Packet]:
        """WireError for what is no echo."""
        echo = Echo.decode(packet.data)
        if self._magic and echo.magic == self._magic:
            self._looped = True
            self._drops[Drop.OWN_MAGIC] += 1
            return []
        if packet.code == Code.ECHO_REQUEST:
            answer = Echo(self._magic, echo.data).encode()
            return [Packet(Code.ECHO_REPLY, packet.identifier, answer[: self._largest - HEADER_SIZE])]
        if packet.code == Code.ECHO_REPLY:
            if packet.identifier in self._unanswered:
                self._unanswered = []
                self._looped = False
            else:
                self._drops[Drop.STALE_REPLY] += 1
        return []
