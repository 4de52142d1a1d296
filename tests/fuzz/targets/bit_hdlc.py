"""A line of bits: read as a textbook reads it, however it is cut, in bounded memory; and what is sent arrives."""

from __future__ import annotations

from typing import Final

from tests.fuzz.supply import Supply
from tests.support.plain_framing import Results, deframe_bits, told
from tests.support.vectors import load
from vipd.wire import bits
from vipd.wire.bit_hdlc import BitDeframer, BitFramer
from vipd.wire.bits import BitOrder
from vipd.wire.deframer import FrameRules
from vipd.wire.fcs import FCS16, FCS32, NO_FCS

_CHECKS: Final = (FCS16, NO_FCS, FCS32)
_VECTORS: Final = load("bit_hdlc")
SEEDS: Final = [
    bytes(5) + bits.pack(bits.from_text(vector["bits"])) for vector in _VECTORS["frames"] + _VECTORS["hostile"]
]


def check(data: bytes) -> None:
    supply = Supply(data)
    rules = FrameRules(supply.one_of(_CHECKS), 4 + supply.number(250))
    order = supply.one_of(list(BitOrder))
    pieces = supply.pieces()
    line = b"".join(pieces)

    whole, cut = (BitDeframer(rules.check, rules.max_frame, order) for _ in range(2))
    found = list(whole.feed(line))
    again: Results = []
    for piece in pieces:
        again += cut.feed(piece)
        assert len(cut.pending or b"") <= 8 * rules.longest + 8 * len(piece) + 16, "more is kept than a frame"
    assert told(again) == told(found)
    assert cut.pending == whole.pending
    if len(line) < 48:
        assert told(found) == told(deframe_bits(bits.unpack(line, order), rules, order))

    # What is found can be sent again; and whatever was fed may have been a frame itself.
    frames = [one for one in found if isinstance(one, bytes)]
    if 2 <= len(line) <= rules.max_frame:
        frames.append(line)
    framer = BitFramer(rules.check, order)
    sent = b"".join(framer.encode(frame) for frame in frames) + framer.flush()
    assert list(BitDeframer(rules.check, rules.max_frame, order).feed(sent)) == frames
