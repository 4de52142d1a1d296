"""Identifiers that a kernel draws by lot, set to 0, so that what is recorded today is recorded tomorrow.

Only those of headers that the kernel made: an identifier that the packet came with stays.
"""

from __future__ import annotations

from typing import Final

from vipd.wire.checksum import internet_checksum

_ETHERNET: Final = 14
_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"
_FRAGMENT: Final = 44


def undrawn(raw: bytes, stimulus: bytes) -> bytes:
    """The frame that came out with the identifier of its IPv4 header, or IPv6 fragment header, as 0 if it is new."""
    kind = raw[12:14]
    if kind == _IPV4 and raw[18:20] != (stimulus[18:20] if stimulus[12:14] == _IPV4 else b""):
        end = _ETHERNET + (raw[14] & 0xF) * 4
        header = raw[14:18] + bytes(2) + raw[20:24] + bytes(2) + raw[26:end]
        check = internet_checksum(header).to_bytes(2, "big")
        return raw[:14] + header[:10] + check + header[12:] + raw[end:]
    if kind == _IPV6 and raw[20] == _FRAGMENT and raw[58:62] not in stimulus:
        return raw[:58] + bytes(4) + raw[62:]
    return raw
