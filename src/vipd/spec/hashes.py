"""The two hashes, both keyed: SipHash chooses servers, a multilinear one places connections."""

from __future__ import annotations

from struct import Struct
from typing import Final

from vipd.model.director import Address
from vipd.spec.configuration import Keys, mapped
from vipd.spec.state import Flow

_64: Final = (1 << 64) - 1
_START: Final = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
"SipHash's own (Aumasson and Bernstein, 2012, section 2.1)."
_WORDS: Final = Struct("<10I")


def client_hash(keys: Keys, client: Address, port: int) -> int:
    """SipHash-1-3 of a client's address and port, the port 0 where it is not to count: 64 bits."""
    return siphash(keys.client, client.packed + port.to_bytes(2, "big"))


def siphash(key: tuple[int, int], message: bytes, compress: int = 1, finish: int = 3) -> int:
    """SipHash (Aumasson and Bernstein, 2012, section 2), by default with one and three rounds."""
    k0, k1 = key
    v0, v1, v2, v3 = _START[0] ^ k0, _START[1] ^ k1, _START[2] ^ k0, _START[3] ^ k1
    whole = len(message) & ~7
    last = int.from_bytes(message[whole:], "little") | (len(message) & 0xFF) << 56
    words = [int.from_bytes(message[at : at + 8], "little") for at in range(0, whole, 8)]
    for word in (*words, last):
        v3 ^= word
        for _ in range(compress):
            v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        v0 ^= word
    v2 ^= 0xFF
    for _ in range(finish):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


def _round(v0: int, v1: int, v2: int, v3: int) -> tuple[int, int, int, int]:
    v0 = v0 + v1 & _64
    v1 = (v1 << 13 | v1 >> 51) & _64 ^ v0
    v0 = (v0 << 32 | v0 >> 32) & _64
    v2 = v2 + v3 & _64
    v3 = (v3 << 16 | v3 >> 48) & _64 ^ v2
    v0 = v0 + v3 & _64
    v3 = (v3 << 21 | v3 >> 43) & _64 ^ v0
    v2 = v2 + v1 & _64
    v1 = (v1 << 17 | v1 >> 47) & _64 ^ v2
    v2 = (v2 << 32 | v2 >> 32) & _64
    return v0, v1, v2, v3


def share(hashed: int, count: int) -> int:
    """0 to `count` - 1, by the high 32 bits of a hash."""
    return (hashed >> 32) * count >> 32


def flow_hash(keys: Keys, flow: Flow) -> int:
    """Multilinear-HM (Lemire and Kaser, Strongly universal string hashing is fast, 2014): 32 bits.

    Over ten words: both addresses, the ports, the protocol, as they lie in memory on a
    little-endian machine.
    """
    ports = flow.source_port << 16 | flow.destination_port
    tail = ports.to_bytes(4, "big") + bytes((flow.protocol, 0, 0, 0))
    w = _WORDS.unpack(mapped(flow.source) + mapped(flow.destination) + tail)
    k = keys.flow
    total = k[0]
    for n in (0, 2, 4, 6, 8):
        total += (k[n + 1] + w[n] & _64) * (k[n + 2] + w[n + 1] & _64)
    return (total & _64) >> 32
