"""What fragments carry: put together, out of their tunnels, vipd's are the datagrams that IPVS sends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

import pytest

from tests.golden import data
from tests.golden.edits import ETHERNET, FRAGMENT
from tests.golden.expected import expected

GOLDENS: Final = [
    recorded
    for recorded in data.load().cases
    for name in (
        "in-order",
        "twice",
        "in-connection",
        "syn-in-pieces",
        "not-to-be-fragmented",
        "reply-in-pieces",
        "large",
    )
    if fnmatchcase(recorded.case.name, f"*/fragments/{name}")
    # What does not fit into a tunnel is answered.
    and recorded.case.name not in ("tun6/fragments/large", "cross4/fragments/large", "cross6/fragments/large")
]


@pytest.mark.parametrize("recorded", GOLDENS, ids=lambda recorded: recorded.case.name)
def test_the_datagrams_are_those_that_ipvs_sends(recorded: data.Recorded) -> None:
    theirs = [frame for seen in recorded.seen for frame in seen.frames]
    ours = [frame for seen in expected(recorded)[0] for frame in seen.frames]
    assert datagrams(ours) == datagrams(theirs)
    assert len(ours) > 1


_TUNNELLED: Final = (4, 41)


@dataclass(frozen=True, slots=True)
class Piece:
    """An IP packet, or one of several that are one. What a tunnel's own packet is from and to is left out."""

    ends: bytes
    protocol: int
    number: bytes
    "Tells packets apart; empty for a whole one."
    offset: int
    body: bytes

    @classmethod
    def of(cls, raw: bytes) -> Piece:
        if raw[0] >> 4 == 4:
            flags = int.from_bytes(raw[6:8], "big") & 0x3FFF
            body = raw[(raw[0] & 0xF) * 4 : int.from_bytes(raw[2:4], "big")]
            made = cls(raw[12:20], raw[9], raw[4:6] if flags else b"", flags % 0x2000 * 8, body)
        elif raw[6] == FRAGMENT:
            made = cls(raw[8:40], raw[40], raw[44:48], int.from_bytes(raw[42:44], "big") & 0xFFF8, raw[48:])
        else:
            made = cls(raw[8:40], raw[6], b"", 0, raw[40:])
        return replace(made, ends=b"") if made.protocol in _TUNNELLED else made


def datagrams(frames: Iterable[data.Frame]) -> set[Piece]:
    """Whole ones, out of their tunnels."""
    found = set[Piece]()
    whole = put_together(Piece.of(frame.raw[ETHERNET:]) for frame in frames)
    while whole:
        found |= {each for each in whole if each.protocol not in _TUNNELLED}
        whole = put_together(Piece.of(each.body) for each in whole if each.protocol in _TUNNELLED)
    return found


def put_together(pieces: Iterable[Piece]) -> list[Piece]:
    whole, parts = list[Piece](), dict[tuple[bytes, int, bytes], dict[int, bytes]]()
    for piece in pieces:
        if piece.number:
            parts.setdefault((piece.ends, piece.protocol, piece.number), {})[piece.offset] = piece.body
        else:
            whole.append(piece)
    for (ends, protocol, _), bodies in parts.items():
        body = b""
        for offset in sorted(bodies):
            assert offset == len(body), "a piece is missing"
            body += bodies[offset]
        whole.append(Piece(ends, protocol, b"", 0, body))
    return whole
