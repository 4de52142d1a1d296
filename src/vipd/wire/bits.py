"""Bits in three forms: as people write them, one octet for each, eight in an octet.

A string of bits is `bytes` of zeros and ones, in the order in which they pass on the line:
so it can be cut, joined and searched like any other bytes.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, Literal

import numpy as np

from vipd.errors import WireError

_FROM_TEXT: Final = bytes.maketrans(b"01", b"\0\1")
_TO_TEXT: Final = bytes.maketrans(b"\0\1", b"01")
_PREFIX: Final = re.compile(r"(?<![01])0[bB](?=[01])")
_BETWEEN: Final = re.compile(r"[\s_|.,:-]+")
_WRONG: Final = re.compile(r"[^01\s_|.,:-]")
_REVERSED: Final = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))


class BitOrder(StrEnum):
    """Which bit of an octet is the first on the line."""

    LSB_FIRST = "lsb"
    "As HDLC and Ethernet send."
    MSB_FIRST = "msb"
    "As people write octets."


def from_text(text: str) -> bytes:
    """Bits as people write them; spaces, line ends and `_|.,:-` between them mean nothing, nor does 0b before some."""
    text = _without_prefixes(text)
    wrong = _WRONG.search(text)
    if wrong is not None:
        raise WireError(f"{wrong[0]!r} at offset {wrong.start()} is no bit; 0 and 1 are, with spaces where you like")
    return _BETWEEN.sub("", text).encode().translate(_FROM_TEXT)


def is_text(text: str) -> bool:
    """Whether `from_text` reads it."""
    return _WRONG.search(_without_prefixes(text)) is None


def _without_prefixes(text: str) -> str:
    """With as many spaces instead, so that offsets stay what they are."""
    return _PREFIX.sub("  ", text)


def to_text(bits: bytes) -> str:
    return bits.translate(_TO_TEXT).decode()


def unpack(octets: bytes, order: BitOrder = BitOrder.LSB_FIRST) -> bytes:
    """The bits of whole octets."""
    return np.unpackbits(np.frombuffer(octets, np.uint8), bitorder=_numpys(order)).tobytes()


def pack(bits: bytes, order: BitOrder = BitOrder.LSB_FIRST) -> bytes:
    """Octets; the last is filled with zeros."""
    return np.packbits(np.frombuffer(bits, np.uint8), bitorder=_numpys(order)).tobytes()


def _numpys(order: BitOrder) -> Literal["little", "big"]:
    return "little" if order is BitOrder.LSB_FIRST else "big"


def reverse(octets: bytes) -> bytes:
    """Each octet with its bits in the opposite order."""
    return octets.translate(_REVERSED)
