"""Frames on lines: what taking them apart and putting them together costs, beside loops that do it one by one."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Final

from bench.effort import Effort, undisturbed
from bench.report import Row, Samples, at_least, at_most, beside, plain
from vipd.wire.async_hdlc import ALL_CONTROLS, AsyncDeframer, AsyncFramer
from vipd.wire.bit_hdlc import BitDeframer, BitFramer, frame_bits
from vipd.wire.ethernet_line import EthernetDeframer, EthernetFramer
from vipd.wire.fcs import FCS16, FCS32

LARGE, SMALL, READ = 1500, 60, 200
FRAMES: Final = 64
PLAIN_FRAMES: Final = 4
"The loops are so slow that so many frames take them longer than all others take us."
LOOP: Final = "a plain loop"

Work = Callable[[], object]


def deframe_bits_plainly(line: bytes) -> list[bytes]:
    """Bit by bit, with no more done for each than must be."""
    frames = []
    frame, in_frame, octet, filled, ones = bytearray(), False, 0, 0, 0
    for eight in line:
        for place in range(8):
            if eight >> place & 1:
                ones += 1
                octet |= 1 << filled
                filled += 1
            elif ones == 5:
                ones = 0
                continue
            elif ones == 6:
                if in_frame and filled == 7 and FCS16.is_right(bytes(frame)):
                    frames.append(bytes(frame[:-2]))
                frame, in_frame, octet, filled, ones = bytearray(), True, 0, 0, 0
                continue
            else:
                ones = 0
                filled += 1
            if filled == 8:
                frame.append(octet)
                octet = filled = 0
    return frames


def frame_bits_plainly(frame: bytes) -> list[int]:
    """Bit by bit, as `bit_hdlc.frame_bits`."""
    line, ones = [], 0
    for octet in frame + FCS16.of(frame):
        for place in range(8):
            bit = octet >> place & 1
            line.append(bit)
            ones = ones + 1 if bit else 0
            if ones == 5:
                line.append(0)
                ones = 0
    return [*line, 0, 1, 1, 1, 1, 1, 1, 0]


def deframe_octets_plainly(line: bytes) -> list[bytes]:
    """Octet by octet, with no more done for each than must be."""
    frames = []
    frame, escaped = bytearray(), False
    for octet in line:
        if octet == 0x7E:
            if frame and not escaped and FCS16.is_right(bytes(frame)):
                frames.append(bytes(frame[:-2]))
            frame, escaped = bytearray(), False
        elif escaped:
            frame.append(octet ^ 0x20)
            escaped = False
        elif octet == 0x7D:
            escaped = True
        else:
            frame.append(octet)
    return frames


def _race(works: dict[str, tuple[Work, int]], rounds: int) -> dict[str, Samples]:
    """Nanoseconds a bit, of each; all in turn, so that a slow moment hits all alike."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    with undisturbed():
        for turn in range(rounds + 1):
            for name, (work, bit_count) in works.items():
                start = perf_counter()
                work()
                if turn:  # the first warms up
                    taken[name].append((perf_counter() - start) * 1e9 / bit_count)
    return {name: Samples(tuple(values)) for name, values in taken.items()}


def _rate(cost: Samples, unit: float) -> Samples:
    """Bits a second, in units of so many."""
    return Samples(tuple(1e9 / value / unit for value in cost.values))


def _fed(deframer: Callable[[], BitDeframer | AsyncDeframer], line: bytes, frames: list[bytes], step: int = 0) -> Work:
    """Takes the line apart, in pieces of `step` octets if there is one."""

    def work() -> None:
        receiver, found = deframer(), 0
        for start in range(0, len(line), step or len(line)):
            found += sum(type(one) is bytes for one in receiver.feed(line[start : start + step] if step else line))
        if found != len(frames):
            raise AssertionError(f"{found} frames of {len(frames)} were found")

    return work


def _all(function: Callable[[bytes], object], frames: Iterable[bytes]) -> Work:
    def work() -> None:
        for frame in frames:
            function(frame)

    return work


def _bits(rounds: int) -> Iterator[Row]:
    large = [os.urandom(LARGE) for _ in range(FRAMES)]
    small = [os.urandom(SMALL) for _ in range(FRAMES)]
    lines = {}
    for name, frames in (("large", large), ("small", small), ("plain", large[:PLAIN_FRAMES])):
        framer = BitFramer()
        lines[name] = b"".join(map(framer.encode, frames)) + framer.flush()
    if deframe_bits_plainly(lines["plain"]) != large[:PLAIN_FRAMES]:
        raise AssertionError("the plain loop found other frames")
    if bytes(frame_bits_plainly(large[0])) != frame_bits(large[0]):
        raise AssertionError("the plain loop stuffed other bits")
    size = {name: 8 * len(line) for name, line in lines.items()}
    cost = _race(
        {
            "loop": (lambda: deframe_bits_plainly(lines["plain"]), size["plain"]),
            "large": (_fed(BitDeframer, lines["large"], large), size["large"]),
            "small": (_fed(BitDeframer, lines["small"], small), size["small"]),
            "reads": (_fed(BitDeframer, lines["large"], large, READ), size["large"]),
            "stuffing loop": (_all(frame_bits_plainly, large[:PLAIN_FRAMES]), size["plain"]),
            "stuffing": (_all(BitFramer().encode, large), size["large"]),
        },
        rounds,
    )
    yield at_most(f"framing: bits, {LARGE}-octet frames", cost["large"], cost["loop"], 1 / 50, LOOP, "ns/bit")
    yield at_least(f"framing: bits, {LARGE}-octet frames", _rate(cost["large"], 1e6), 100, "Mbit/s")
    yield plain(f"framing: bits, in reads of {READ} octets", _rate(cost["reads"], 1e6), "Mbit/s")
    yield plain(f"framing: bits, {SMALL}-octet frames", _rate(cost["small"], 1e6), "Mbit/s")
    yield beside("framing: stuffing bits", cost["stuffing"], cost["stuffing loop"], LOOP, "ns/bit")


def _octets(rounds: int) -> Iterator[Row]:
    contents = {
        "without escapes": [bytes(range(128, 256)) * 11 + bytes(range(128, 220))] * FRAMES,
        "random": [os.urandom(LARGE) for _ in range(FRAMES)],
        "all escaped": [b"\x7e" * LARGE] * FRAMES,
    }
    lines = {name: b"".join(map(AsyncFramer(accm=0).encode, frames)) for name, frames in contents.items()}
    works: dict[str, tuple[Work, int]] = {
        name: (_fed(lambda: AsyncDeframer(accm=0), lines[name], frames), 8 * len(lines[name]))
        for name, frames in contents.items()
    }
    few = contents["random"][:PLAIN_FRAMES]
    some = b"".join(map(AsyncFramer(accm=0).encode, few))
    if deframe_octets_plainly(some) != few:
        raise AssertionError("the plain loop found other frames")
    works["loop"] = (lambda: deframe_octets_plainly(some), 8 * len(some))
    size = works["random"][1]
    works["reads"] = (_fed(lambda: AsyncDeframer(accm=0), lines["random"], contents["random"], READ), size)
    for name, accm in (("none", 0), ("all", ALL_CONTROLS)):
        works[name] = (_all(AsyncFramer(accm=accm).encode, contents["random"]), 8 * LARGE * FRAMES)
    cost = _race(works, rounds)
    for name in contents:
        yield at_least(f"framing: octets, {name}", _rate(cost[name], 1e9), 1, "Gbit/s")
    yield beside("framing: octets, random", cost["random"], cost["loop"], LOOP, "ns/bit")
    yield plain(f"framing: octets, in reads of {READ}", _rate(cost["reads"], 1e6), "Mbit/s")
    yield plain("framing: escaping, no control characters", _rate(cost["none"], 1e9), "Gbit/s")
    yield plain("framing: escaping, all control characters", _rate(cost["all"], 1e9), "Gbit/s")


def _checks_and_bursts(rounds: int) -> Iterator[Row]:
    frames = [os.urandom(LARGE) for _ in range(FRAMES)]
    bursts = [EthernetFramer().encode(frame) for frame in frames]
    shifted = [(int.from_bytes(burst, "little") << 3).to_bytes(len(burst) + 1, "little") for burst in bursts]
    size, line = 8 * LARGE * FRAMES, 8 * sum(map(len, bursts))

    def receive(burst: bytes, receiver: EthernetDeframer) -> None:
        receiver.feed(burst)
        if len([one for one in receiver.end() if type(one) is bytes]) != 1:
            raise AssertionError("a burst was no frame")

    aligned, any_bit = EthernetDeframer(), EthernetDeframer(aligned=False)
    cost = _race(
        {
            "zlib": (_all(zlib.crc32, frames), size),
            "fcs16": (_all(FCS16.crc, frames), size),
            "fcs32": (_all(FCS32.crc, frames), size),
            "aligned": (_all(lambda burst: receive(burst, aligned), bursts), line),
            "any bit": (_all(lambda burst: receive(burst, any_bit), shifted), line),
        },
        rounds,
    )
    yield plain("framing: CRC-32 by zlib", _rate(cost["zlib"], 1e9), "Gbit/s")
    yield plain("framing: FCS-32", _rate(cost["fcs32"], 1e9), "Gbit/s")
    yield plain("framing: FCS-16", _rate(cost["fcs16"], 1e9), "Gbit/s")
    yield plain("framing: Ethernet bursts of octets", _rate(cost["aligned"], 1e9), "Gbit/s")
    yield plain("framing: Ethernet bursts at any bit", _rate(cost["any bit"], 1e9), "Gbit/s")


def rows(effort: Effort, told: Callable[[str], None]) -> Iterator[Row]:
    told("frames on lines")
    yield from _bits(effort.rounds)
    yield from _octets(effort.rounds)
    yield from _checks_and_bursts(effort.rounds)
