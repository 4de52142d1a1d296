"""Numbers that a kernel draws by lot, set to 0, so that what is recorded today is recorded tomorrow.

Only those of headers that the kernel made: an identifier that the packet came with stays.
"""

from __future__ import annotations

from typing import Final

from tests.golden.edits import ETHERNET, FRAGMENT, IPV4, UDP, Layout, header_put, put

GUE: Final = 6080


def undrawn(raw: bytes, stimulus: bytes) -> bytes:
    """The frame that came out with new numbers as 0: IPv4's identifier, IPv6's of a fragment, GUE's source port."""
    if raw[12:14] == IPV4:
        came_with = stimulus[18:20] if stimulus[12:14] == IPV4 else b""
        made = raw if raw[18:20] == came_with else header_put(raw, ETHERNET + 4, bytes(2))
    elif raw[20] == FRAGMENT and raw[58:62] not in stimulus:
        made = put(raw, 58, bytes(4))
    else:
        made = raw
    return _without_port(made)


def _without_port(raw: bytes) -> bytes:
    at = Layout.of(raw)
    if at.protocol != UDP or at.later or raw[at.transport + 2 : at.transport + 4] != GUE.to_bytes(2, "big"):
        return raw
    return put(raw, at.transport, bytes(2))
