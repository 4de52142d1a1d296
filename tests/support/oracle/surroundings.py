"""A frame with something to read, and to damage, right before and behind it: bytes that are nobody's; or no room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Final

import numpy as np

from tests.support.oracle.plane import Plane
from vipd.dataplane.libbpf import check, lib
from vipd.dataplane.links import ETHERNET, POINT_TO_POINT
from vipd.dataplane.program import Object, Run

HARNESS: Final = Path(__file__).parents[3] / "build" / "bpf" / "harness.bpf.o"
AROUND: Final = 128
"Bytes before and behind a frame that are filled."
_HEADER: Final = 14
_LOOPBACK: Final = 1
_BPF_XDP: Final = 37
_LAYOUT: Final = Struct(f"=5QII{AROUND}s{AROUND}s")
"struct surroundings of bpf/harness.bpf.c."
_CRAMPING: Final = Struct("=3I2048s")
"struct cramping of the same."
_PROGRAMS: Final = (ETHERNET, POINT_TO_POINT)


@dataclass(frozen=True, slots=True)
class Surrounded:
    """The frame as it left, and what lay around the frame as it came."""

    run: Run
    grown: int
    "Bytes that the frame begins before where it began."
    lengthened: int
    "Bytes that it ends behind where it ended; negative where it was cut."
    before: bytes
    behind: bytes

    def damage(self, fill: bytes, program: str) -> Iterator[str]:
        """What was written outside of the frame, wherever that is now."""
        # What begins without Ethernet has a header for the kernel in front: bpf/point_to_point.h.
        own = max(self.grown, 0) + (_HEADER if program == POINT_TO_POINT else 0)
        before, behind = self.before[: AROUND - own], self.behind[max(self.lengthened, 0) :]
        if before != (fill * AROUND)[: len(before)]:
            yield f"before the frame: {before.hex()}"
        if behind != (fill * AROUND)[-len(behind) :]:
            yield f"behind the frame: {behind.hex()}"


class Surroundings:
    """Within `surroundings`."""

    def __init__(self, harness: Object, plane: Plane) -> None:
        self._programs = harness.programs
        self._memory = harness.maps["surroundings"].memory(np.dtype(f"V{_LAYOUT.size}")).view("u1")
        self._cramping = harness.maps["cramping"].memory(np.dtype(f"V{_CRAMPING.size}")).view("u1")
        for number, name in enumerate(_PROGRAMS):
            fd = plane.programs[name].fd
            harness.maps["directors"].update(number.to_bytes(4, "little"), fd.to_bytes(4, "little"))

    def run(self, frame: bytes, ifindex: int, program: str, fill: bytes) -> Surrounded:
        """As Plane.run, but what the director returned is lost; `fill`: eight bytes."""
        self._fill(program, fill)
        run = self._programs["surrounded"].run(frame, repeat=2, ifindex=ifindex)
        _, begin, end, begin_now, end_now, _, filled, before, behind = _LAYOUT.unpack(self._memory.tobytes())
        assert filled, f"{len(frame)} bytes: there was no room around the frame"
        return Surrounded(run, begin - begin_now, end_now - end, before, behind)

    def returned(self, frame: bytes, ifindex: int, program: str, fill: bytes) -> Run:
        """The same again, without a look at what lies around: what the director returned is known."""
        self._fill(program, fill)
        return self._programs["surrounded"].run(frame, ifindex=ifindex)

    def _fill(self, program: str, fill: bytes) -> None:
        number = int.from_bytes(fill, "little")
        wanted = _LAYOUT.pack(number, 0, 0, 0, 0, _PROGRAMS.index(program), 0, b"", b"")
        self._memory[:] = np.frombuffer(wanted, "u1")

    def cramped(self, frame: bytes, ifindex: int, program: str, room: int) -> Run:
        """As Plane.run, with so many bytes before the frame that the director may take, as some drivers have it."""
        wanted = _CRAMPING.pack(_PROGRAMS.index(program), room, 0, b"")
        self._cramping[:] = np.frombuffer(wanted, "u1")
        run = self._programs["cramped"].run(frame, ifindex=ifindex)
        _, _, found, _ = _CRAMPING.unpack(self._cramping.tobytes())
        assert found >= room, f"{len(frame)} bytes: there were {found} bytes before the frame, not {room}"
        return run


@contextmanager
def surroundings(plane: Plane) -> Iterator[Surroundings]:
    """Of this plane's programs, in the namespace of its wires."""
    with Object(HARNESS) as harness:
        harness.load()
        try:
            # A run of more than one round tells the kernel's dispatcher of the program and takes it back, which waits
            # for every processor, tens of milliseconds each; what is attached anywhere, the dispatcher knows already.
            link = check(lib().bpf_link_create(harness.programs["surrounded"].fd, _LOOPBACK, _BPF_XDP, None), "attach")
            try:
                yield Surroundings(harness, plane)
            finally:
                os.close(link)
        finally:
            harness.discard()
