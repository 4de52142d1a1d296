"""The keys of both hashes, made of a director's secret. Pure."""

from __future__ import annotations

from hashlib import shake_256
from struct import Struct
from typing import Final

SECRET_BYTES: Final = 16
CLIENT_WORDS: Final = 2
"Of SipHash's key, which chooses servers."
FLOW_WORDS: Final = 11
"Of the multilinear hash's, which places connections."
_STREAM: Final = Struct(f"<{CLIENT_WORDS + FLOW_WORDS}Q")


def hash_keys(secret: bytes) -> tuple[list[int], list[int]]:
    """Of the client hash and of the flow hash, the same for all who share the secret."""
    stream = list(_STREAM.unpack(shake_256(secret).digest(_STREAM.size)))
    return stream[:CLIENT_WORDS], stream[CLIENT_WORDS:]
