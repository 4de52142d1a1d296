"""The director's two hashes for millions of flows at once; `spec/hashes.py` says the same of one. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vipd.control.siphash import siphash
from vipd.model.keys import hash_keys

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint32]
Ports = NDArray[np.uint16]

CHUNK: Final = 1 << 16
"Rows that are hashed together: what a processor has near at hand."
_SECOND: Final = np.uint64(0x9E3779B1)
_MAPPED: Final = np.array([0, 0, 0xFFFF0000], np.uint64)
"What an IPv4 address begins with as ::ffff:a.b.c.d (RFC 4291 2.5.5.2), in words."
_KEY: Final = Struct("<2Q")


@dataclass(frozen=True, slots=True)
class Keys:
    client: bytes
    "SipHash's, 16 bytes: which server."
    flow: tuple[int, ...]
    "The multilinear hash's 11 words: which place in the table."

    @classmethod
    def of(cls, secret: bytes) -> Keys:
        client, flow = hash_keys(secret)
        return cls(_KEY.pack(*client), tuple(flow))


def chunks(count: int, size: int = CHUNK) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def client_hashes(key: bytes, clients: Bytes, ports: Ports | None) -> Words:
    """The high half of SipHash-1-3 of each row's address and port, the port 0 where it is not to count."""
    count, width = clients.shape
    message = np.zeros((count, width + 2), np.uint8)
    message[:, :width] = clients
    if ports is not None:
        message[:, width:] = ports.astype(">u2").view(np.uint8).reshape(-1, 2)
    hashed: Words = (siphash(key, message, 1, 3) >> np.uint64(32)).astype(np.uint32)
    return hashed


def share(hashed: Words, count: int) -> NDArray[np.int64]:
    """0 to `count` - 1, by hashes of 32 bits."""
    return (hashed.astype(np.uint64) * np.uint64(count) >> np.uint64(32)).astype(np.int64)


def flow_hashes(
    keys: Sequence[int], sources: Bytes, source_ports: Any, destinations: Bytes, destination_ports: Any, protocol: int
) -> Words:
    """Multilinear-HM of each flow. A side is a row for each flow, or one row for all; so are ports."""
    key = [np.uint64(word) for word in keys]
    total = _pairs(key[1:5], sources) + _pairs(key[5:9], destinations) + key[0]
    ports = np.asarray(source_ports, np.uint32) << np.uint32(16) | np.asarray(destination_ports, np.uint32)
    swapped = ports.byteswap().astype(np.uint64)
    total = total + (key[9] + swapped) * (key[10] + np.uint64(protocol))
    return np.asarray(total >> np.uint64(32)).astype(np.uint32)


def _pairs(key: Sequence[np.uint64], addresses: Bytes) -> NDArray[np.uint64]:
    """An address's part of the sum, as its 16 bytes lie in memory on a little-endian machine."""
    word = np.ascontiguousarray(addresses).view("<u4").astype(np.uint64)
    if word.shape[1] == 1:
        word = np.concatenate([np.broadcast_to(_MAPPED, (len(word), 3)), word], axis=1)
    total: NDArray[np.uint64] = (key[0] + word[:, 0]) * (key[1] + word[:, 1])
    total += (key[2] + word[:, 2]) * (key[3] + word[:, 3])
    return total


def buckets(hashed: Words, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The two buckets that a flow of each hash may live in, the first before the second."""
    second = (hashed.astype(np.uint64) * _SECOND & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    return share(hashed, count), share(second, count)
