"""A line of octets: read as a textbook reads it, however it is cut, in bounded memory; and what is sent arrives."""

from __future__ import annotations

from typing import Final

from tests.fuzz.supply import Supply
from tests.support.plain_framing import Results, deframe_octets, told
from tests.support.vectors import load, octets
from vipd.wire.async_hdlc import ALL_CONTROLS, AsyncDeframer, AsyncFramer
from vipd.wire.deframer import FrameRules
from vipd.wire.fcs import FCS16, FCS32, NO_FCS

_CHECKS: Final = (FCS16, NO_FCS, FCS32)
_ACCMS: Final = (ALL_CONTROLS, 0, 0x000A0000)
_VECTORS: Final = load("async_hdlc")
SEEDS: Final = [bytes(5) + octets(vector["wire"])[:500] for vector in _VECTORS["frames"] + _VECTORS["hostile"]]


def check(data: bytes) -> None:
    supply = Supply(data)
    rules, accm = FrameRules(supply.one_of(_CHECKS), 4 + supply.number(250)), supply.one_of(_ACCMS)
    pieces = supply.pieces()
    line = b"".join(pieces)

    whole, cut = (AsyncDeframer(rules.check, rules.max_frame, accm) for _ in range(2))
    found = list(whole.feed(line))
    again: Results = []
    for piece in pieces:
        again += cut.feed(piece)
        assert len(cut.pending or b"") <= rules.longest, "more is kept than a frame"
    assert told(again) == told(found)
    if len(line) < 400:
        assert told(found) == told(deframe_octets(line, rules, accm))
    assert cut.pending == whole.pending

    # What is found can be sent again; and whatever was fed may have been a frame itself.
    frames = [one for one in found if isinstance(one, bytes)]
    if 2 <= len(line) <= rules.max_frame:
        frames.append(line)
    framer = AsyncFramer(rules.check, accm, others=b"\x91\x93")
    sent = b"".join(framer.encode(frame) for frame in frames) + framer.flush()
    assert list(AsyncDeframer(rules.check, rules.max_frame, accm).feed(sent)) == frames
