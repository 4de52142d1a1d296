"""Receivers as a textbook describes them, one bit or octet after the other: slow, and right at a glance."""

from __future__ import annotations

from vipd.wire.bits import BitOrder, pack
from vipd.wire.deframer import Fault, FrameError, FrameRules

Results = list[bytes | FrameError]
FLAG = (0, 1, 1, 1, 1, 1, 1, 0)


def told(results: Results) -> list[object]:
    """Results as values that can be compared: two errors are alike if all that they tell is."""
    return [result if isinstance(result, bytes) else (result.fault, result.offset, result.length) for result in results]


def deframe_bits(bits: bytes, rules: FrameRules, order: BitOrder = BitOrder.LSB_FIRST) -> Results:
    results: Results = []
    line = [1] * 16
    start: int | None = None
    for bit in bits:
        line.append(bit)
        ones = ones_at_the_end(line[:-1] if bit == 0 else line)
        fault = None
        if bit == 0 and 7 <= ones < 15:
            fault, end = Fault.ABORT, len(line) - 1 - ones
        elif ones == 15 and bit == 1:
            fault, end = Fault.IDLE, len(line) - 15
        if fault and start is not None:
            data = unstuffed(line[start:end])
            if len(data) > 8 * rules.longest:
                results.append(rules.too_long(start - 16))
            elif data:
                results.append(FrameError(fault, start - 16, len(data) // 8))
            start = None
        if tuple(line[-8:]) == FLAG:
            if start is not None:
                results += judge(unstuffed(line[start : len(line) - 8]), start - 16, rules, order)
            start = len(line)
    if start is not None and len(unstuffed(line[start:])) > 8 * rules.longest + 14:
        results.append(rules.too_long(start - 16))
    return results


def ones_at_the_end(line: list[int]) -> int:
    count = 0
    while count < len(line) and line[-1 - count]:
        count += 1
    return count


def unstuffed(line: list[int]) -> list[int]:
    data, ones = [], 0
    for bit in line:
        if bit or ones != 5:
            data.append(bit)
        ones = ones + 1 if bit else 0
    return data


def judge(data: list[int], start: int, rules: FrameRules, order: BitOrder) -> Results:
    whole = len(data) // 8
    if not data:
        return []
    if len(data) > 8 * rules.longest:
        return [rules.too_long(start)]
    if whole < rules.shortest:
        return [FrameError(Fault.TOO_SHORT, start, whole)]
    if len(data) % 8:
        return [FrameError(Fault.MISALIGNED, start, whole)]
    octets = pack(bytes(data), order)
    if not rules.check.is_right(octets):
        return [FrameError(Fault.BAD_FCS, start, whole)]
    return [octets[: whole - rules.check.size]]


def deframe_octets(octets: bytes, rules: FrameRules, accm: int) -> Results:
    results: Results = []
    start: int | None = None
    frame: list[int] = []
    escaped = False
    for offset, octet in enumerate(octets):
        if octet == 0x7E:
            if start is not None and escaped:
                results.append(FrameError(Fault.ABORT, start, len(frame)))
            elif start is not None and frame:
                results.append(rules.accept(bytes(frame), start))
            start, frame, escaped = offset + 1, [], False
        elif start is None or (octet < 32 and accm >> octet & 1):
            pass
        elif escaped:
            frame.append(octet ^ 0x20)
            escaped = False
        elif octet == 0x7D:
            escaped = True
        else:
            frame.append(octet)
        if start is not None and len(frame) > rules.longest:
            results.append(rules.too_long(start))
            start = None
    return results
