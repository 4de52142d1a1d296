"""The authentication phase (RFC 1661 3.5): what PAP and CHAP have in common. Knows neither."""

from __future__ import annotations

from enum import StrEnum
from math import inf
from typing import Final, Protocol, TypeAlias

from vipd.wire.ppp import Packet

MESSAGE: Final = b"welcome"
REFUSAL: Final = b"wrong name or secret"


class Verdict(StrEnum):
    """How one direction ended."""

    PASSED = "passed"
    REFUSED = "refused"
    "It would be again."
    SILENT = "silent"
    "The other end does not answer."


Output: TypeAlias = Packet | Verdict


class Side(Protocol):
    """One end of one method: who proves, or who asks for proof."""

    reason: str
    "Why it failed, for people."
    peer: str
    "The name that the peer proved or told; empty while it has none."

    @property
    def deadline(self) -> float: ...

    def start(self, now: float) -> list[Output]: ...

    def receive(self, packet: Packet, now: float) -> list[Output]:
        """WireError for what is no packet of the method."""

    def tick(self, now: float) -> list[Output]: ...


class Retry:
    """A packet that is sent again until it is answered, at most so often."""

    def __init__(self, interval: float, tries: int) -> None:
        self.deadline = inf
        self._interval = interval
        self._tries = tries
        self._left = 0
        self._packet: Packet | None = None

    @property
    def waits(self) -> bool:
        return self.deadline < inf

    def begin(self, packet: Packet | None, now: float) -> list[Output]:
        """None: nothing to send, only to wait as long."""
        self._packet = packet
        self._left = self._tries
        return self._again(now)

    def end(self) -> None:
        self.deadline = inf

    def tick(self, now: float) -> list[Output] | None:
        """What to send again; None when it was sent often enough."""
        if now < self.deadline:
            return []
        if self._left:
            return self._again(now)
        self.end()
        return None

    def _again(self, now: float) -> list[Output]:
        self._left -= 1
        self.deadline = now + self._interval
        return [self._packet] if self._packet else []
