"""Frame check sequences: by them a receiver knows that a frame arrived as it was sent.

The sender divides the frame, read as one long number of single bits, by a fixed polynomial
and appends the complement of the remainder. Over a frame with its right FCS the same
division always leaves the same remainder, whatever the frame holds (RFC 1662 appendix C).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fastcrc import crc16, crc32


@dataclass(frozen=True, slots=True)
class FrameCheck:
    name: str
    size: int
    "In octets."
    crc: Callable[[bytes], int]
    good: int
    "What `crc` gives over every whole frame with its FCS: the RFCs' final register, complemented."

    def of(self, octets: bytes) -> bytes:
        """The FCS as it is sent: least significant octet first."""
        return self.crc(octets).to_bytes(self.size, "little")

    def is_right(self, octets: bytes) -> bool:
        """Whether the octets end with the FCS of those before it."""
        return self.crc(octets) == self.good


# fastcrc uses the processor's carry-less multiplication: zlib's crc32 takes 1.3 times as
# long over 64 octets, 2.7 times over 1500.
NO_FCS: Final = FrameCheck("none", 0, lambda _octets: 0, 0)
FCS16: Final = FrameCheck("fcs16", 2, crc16.ibm_sdlc, 0xF0B8 ^ 0xFFFF)
"RFC 1662 C.2."
FCS32: Final = FrameCheck("fcs32", 4, crc32.iso_hdlc, 0xDEBB20E3 ^ 0xFFFFFFFF)
"RFC 1662 C.3; also Ethernet's (IEEE 802.3 3.2.9)."
