"""How every receiver finds frames on a line: octets in, frames and faults out, whatever the cuts."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Protocol, TypeVar

from vipd.errors import WireError

F_co = TypeVar("F_co", covariant=True)


class Fault(StrEnum):
    """Why what stood between two delimiters is no frame; also the name of its counter."""

    ABORT = "abort"
    "The sender gave the frame up: seven ones or more (ISO 13239 4.5.2), or escape and flag (RFC 1662 4.3)."
    TOO_SHORT = "too_short"
    "Fewer octets than a frame can have."
    TOO_LONG = "too_long"
    "More octets than the receiver takes."
    MISALIGNED = "misaligned"
    "No whole number of octets."
    BAD_FCS = "bad_fcs"
    "Its frame check sequence is another."


class FrameError(WireError):
    """A fault, where it was found: `offset` counts from the first bit (bit lines) or octet ever fed."""

    def __init__(self, fault: Fault, offset: int, length: int) -> None:
        self.fault, self.offset, self.length = fault, offset, length
        super().__init__(f"{fault} at {offset}: {length} octets")


class Deframer(Protocol[F_co]):
    """Holds the incomplete rest, in bounded memory; never raises on any bytes."""

    def feed(self, data: bytes) -> Iterator[F_co | FrameError]: ...
