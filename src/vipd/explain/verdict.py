"""What the BPF program did with a packet that the specification was asked about. Values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from vipd.explain.scene import Scene
from vipd.explain.walk import Walk

SHORTEST: Final = 14
"Bytes of a frame that the kernel runs an XDP program on (net/bpf/test_run.c): an Ethernet header."


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: str
    action: str
    "Of XDP: drop, pass, tx, redirect."
    frame: bytes
    "As it left the program."
    wrong: tuple[str, ...]
    "What is not as the specification says, in a line each; nothing where they agree."


@dataclass(frozen=True, slots=True)
class Answers:
    scene: Scene
    walks: list[Walk]
    verdicts: list[Verdict | None] = field(default_factory=list)
    "Of the BPF program, one for each walk where it was asked; None where the frame is too short for it."
