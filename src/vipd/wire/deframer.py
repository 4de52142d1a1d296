"""How every receiver finds frames on a line: octets in, frames and faults out, whatever the cuts.

And how every sender puts them there. Knows no line and no protocol: what marks a frame's
ends is the business of `bit_hdlc`, `async_hdlc` and `ethernet_line`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, TypeVar

from vipd.errors import WireError
from vipd.wire.fcs import FCS16, FrameCheck

F_co = TypeVar("F_co", covariant=True)

MAX_FRAME: Final = 1504
"Address, control, protocol and the 1500 octets that every PPP end must take (RFC 1661 6.1)."


class Fault(StrEnum):
    """Why what stood between two delimiters is no frame; also the name of its counter."""

    ABORT = "abort"
    "The sender gave the frame up: seven ones or more (RFC 1662 5.3), or escape and flag (RFC 1662 4.3)."
    IDLE = "idle"
    "The line fell idle within the frame: fifteen ones or more."
    TOO_SHORT = "too_short"
    "Fewer octets than a frame can have."
    TOO_LONG = "too_long"
    "More octets than the receiver takes."
    MISALIGNED = "misaligned"
    "No whole number of octets."
    BAD_FCS = "bad_fcs"
    "Its frame check sequence is another."
    NO_SFD = "no_sfd"
    "Ethernet: a signal without the delimiter that starts a frame."
    RUNT = "runt"
    "Ethernet: a whole frame, but of fewer than 64 octets (RFC 2819, undersize)."
    FRAGMENT = "fragment"
    "Ethernet: fewer than 64 octets, and no frame: what a collision leaves (RFC 2819)."
    GIANT = "giant"
    "Ethernet: more than 1518 octets, or 1522 with a VLAN tag, 1526 with two."


class FrameError(WireError):
    """A fault and the frame it struck.

    `offset` is where the frame begins, from the first bit (lines of bits) or octet (lines of
    octets) ever fed; `length` is how many whole octets of it there were, its FCS included.
    """

    def __init__(self, fault: Fault, offset: int, length: int) -> None:
        self.fault, self.offset, self.length = fault, offset, length
        super().__init__(f"{fault} at {offset}: {length} octets")


class Deframer(Protocol[F_co]):
    """Holds the incomplete rest, in bounded memory; never raises on any bytes."""

    def feed(self, data: bytes) -> Iterator[F_co | FrameError]:
        """What these octets complete. All of them are taken, also if nobody asks for the results."""


class Framer(Protocol):
    """Puts frames on a line."""

    def encode(self, frame: bytes) -> bytes:
        """What to send for a frame, FCS and delimiters added."""

    def flush(self) -> bytes:
        """What must follow on a line that takes whole octets, if nothing else is to be sent now."""


@dataclass(frozen=True, slots=True)
class FrameRules:
    """What a receiver takes for a frame, once it has found the ends of one."""

    check: FrameCheck = FCS16
    max_frame: int = MAX_FRAME
    "Octets without the FCS."

    @property
    def shortest(self) -> int:
        """Octets with the FCS. RFC 1662 4.3 wants address and control, of whatever is in them."""
        return self.check.size + 2 if self.check.size else 1

    @property
    def longest(self) -> int:
        return self.max_frame + self.check.size

    def accept(self, octets: bytes, offset: int) -> bytes | FrameError:
        """The frame without its FCS."""
        if len(octets) > self.longest:
            return self.too_long(offset)
        if len(octets) < self.shortest:
            return FrameError(Fault.TOO_SHORT, offset, len(octets))
        if not self.check.is_right(octets):
            return FrameError(Fault.BAD_FCS, offset, len(octets))
        return octets[: len(octets) - self.check.size]

    def too_long(self, offset: int) -> FrameError:
        """The rest of such a frame is not even counted: it may never end."""
        return FrameError(Fault.TOO_LONG, offset, self.longest + 1)
