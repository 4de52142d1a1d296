"""The data plane's hashes written again from their definitions, so that a test can tell where a flow must go."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from tests.support.tables import FLOW_KEY, HASH_KEY, packed

_MASK: Final = 2**64 - 1


def _rotated(value: int, by: int) -> int:
    return (value << by | value >> 64 - by) & _MASK


class _State:
    """Of SipHash (Aumasson and Bernstein, 2012, section 2)."""

    def __init__(self, key: tuple[int, int]) -> None:
        low, high = key
        self.v = [
            low ^ 0x736F6D6570736575,
            high ^ 0x646F72616E646F6D,
            low ^ 0x6C7967656E657261,
            high ^ 0x7465646279746573,
        ]

    def rounds(self, count: int) -> None:
        v0, v1, v2, v3 = self.v
        for _ in range(count):
            v0, v2 = (v0 + v1) & _MASK, (v2 + v3) & _MASK
            v1, v3 = _rotated(v1, 13) ^ v0, _rotated(v3, 16) ^ v2
            v0 = _rotated(v0, 32)
            v2, v0 = (v2 + v1) & _MASK, (v0 + v3) & _MASK
            v1, v3 = _rotated(v1, 17) ^ v2, _rotated(v3, 21) ^ v0
            v2 = _rotated(v2, 32)
        self.v = [v0, v1, v2, v3]


def siphash(data: bytes, key: tuple[int, int], compress: int = 1, finish: int = 3) -> int:
    """SipHash-c-d; 1-3 unless told otherwise."""
    state = _State(key)
    tail = data[len(data) & ~7 :]
    last = tail + bytes(7 - len(tail)) + bytes([len(data) & 0xFF])
    for (word,) in struct.iter_unpack("<Q", data[: len(data) & ~7] + last):
        state.v[3] ^= word
        state.rounds(compress)
        state.v[0] ^= word
    state.v[2] ^= 0xFF
    state.rounds(finish)
    v0, v1, v2, v3 = state.v
    return v0 ^ v1 ^ v2 ^ v3


def client_slot(client: str, port: int, slots: int) -> int:
    """Of a region; port 0 where only the address counts."""
    data = ip_address(client).packed + struct.pack(">H", port)
    return (siphash(data, (HASH_KEY[0], HASH_KEY[1])) >> 32) * slots >> 32


def flow_hash(
    source: str,
    destination: str,
    source_port: int,
    destination_port: int,
    protocol: int,
    key: Sequence[int] = FLOW_KEY,
) -> int:
    """Multilinear-HM (Lemire and Kaser, 2014) over ten words of 32 bits."""
    ports = struct.pack(">HH", source_port, destination_port)
    words = struct.unpack("<10I", packed(source) + packed(destination) + ports + bytes([protocol, 0, 0, 0]))
    total = key[0]
    for n in range(0, 10, 2):
        total += ((key[n + 1] + words[n]) & _MASK) * ((key[n + 2] + words[n + 1]) & _MASK)
    return (total & _MASK) >> 32


def buckets_of(value: int, buckets: int) -> tuple[int, int]:
    """The two that a flow of this hash may live in."""
    return value * buckets >> 32, (value * 0x9E3779B1 & 0xFFFFFFFF) * buckets >> 32
