"""What a link has carried and lost since its program began."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

ANSWER: Final = "answer_full"
LINE_LOST: Final = "line_lost"
REFUSED: Final = "interface_refused"

DROPS: Final = {
    "queue_late": "a packet that waited more than a quarter of a second for the line; newer ones went instead",
    "queue_full": "a packet that waited when a mebibyte of newer ones had come",
    ANSWER: "a frame of the protocol itself that the line did not take, with many before it",
    LINE_LOST: "a packet that waited when the line broke",
    REFUSED: "a packet from the peer that this machine's kernel did not take",
}


@dataclass(slots=True)
class Tally:
    frames_in: int = 0
    "Whole and right."
    frames_out: int = 0
    packets_in: int = 0
    packets_out: int = 0
    octets_in: int = 0
    "On the line, with all framing."
    octets_out: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    "What came and was no frame, by its `Fault`."
    dropped: Counter[str] = field(default_factory=Counter)
    "By the names of `DROPS`; what the protocol does not carry it counts itself."
