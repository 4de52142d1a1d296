"""SipHash (Aumasson, Bernstein 2012) of many messages of one length at once. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

_START: Final = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)


def siphash(key: bytes, messages: NDArray[np.uint8], compress: int = 2, finish: int = 4) -> Words:
    """One 64-bit hash for each row of `messages`: SipHash-2-4, or with other numbers of rounds."""
    if len(key) != 16:
        raise ValueError(f"a key of 16 bytes expected, not {len(key)}")
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    v0, v1, v2, v3 = (
        np.full(len(messages), start ^ half, np.uint64) for start, half in zip(_START, (k0, k1, k0, k1), strict=True)
    )
    for word in _words(messages):
        v3 ^= word
        _rounds(v0, v1, v2, v3, compress)
        v0 ^= word
    v2 ^= np.uint64(0xFF)
    _rounds(v0, v1, v2, v3, finish)
    return v0 ^ v1 ^ v2 ^ v3


def _words(messages: NDArray[np.uint8]) -> list[Words]:
    """Little-endian words; the last holds the rest and, on top, the length."""
    count, length = messages.shape
    padded = np.zeros((count, length // 8 * 8 + 8), np.uint8)
    padded[:, :length] = messages
    padded[:, -1] = length & 0xFF
    return list(padded.view("<u8").astype(np.uint64, copy=False).T.copy())


def _turn(word: Words, bits: int) -> None:
    high = word << np.uint64(bits)
    word >>= np.uint64(64 - bits)
    word |= high


def _rounds(v0: Words, v1: Words, v2: Words, v3: Words, count: int) -> None:
    for _ in range(count):
        v0 += v1
        _turn(v1, 13)
        v1 ^= v0
        _turn(v0, 32)
        v2 += v3
        _turn(v3, 16)
        v3 ^= v2
        v0 += v3
        _turn(v3, 21)
        v3 ^= v0
        v2 += v1
        _turn(v1, 17)
        v1 ^= v2
        _turn(v2, 32)
