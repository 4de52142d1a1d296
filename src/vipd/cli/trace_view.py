"""Traced packets as lines, as JSON and as a capture file; and the sum of it all."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from vipd.errors import EnvironmentProblem
from vipd.model.director import with_port
from vipd.model.outcome import OUTCOMES, remedy
from vipd.model.trace import Flow, TraceCounts, Traced, reason, stage
from vipd.wire.pcap import Captured, LinkType
from vipd.wire.pcapng_out import Writer

_SAID: Final = {"mss_clamped": "MSS clamped"}
"Events that the reason does not tell already, and that tell something."


class Interfaces(dict[int, str]):
    """Their names by number; of a number that is new, all are asked for again."""

    def __init__(self, ask: Callable[[], Mapping[int, str]]) -> None:
        super().__init__(ask())
        self._ask = ask

    def __missing__(self, number: int) -> str:
        self.update(self._ask())
        # The director may live in another network namespace than this process.
        return self.setdefault(number, f"if{number}")


class Wall:
    """When a packet passed, by the wall's clock: the kernel stamps it with one that nobody sets."""

    def __init__(self) -> None:
        self._offset = 0
        self.look()

    def look(self) -> None:
        """The wall's clock may have been set meanwhile."""
        self._offset = time.time_ns() - time.monotonic_ns()

    def ns(self, packet: Traced) -> int:
        return packet.at + self._offset


def line(packet: Traced, at_ns: int, interfaces: Mapping[int, str]) -> str:
    clock = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).astimezone().strftime("%H:%M:%S")
    what = [str(packet.flow) if packet.flow else "no IP"]
    if packet.fragment:
        what.append(f"{packet.fragment} fragment")
    elif packet.segment:
        what.append(packet.segment)
    return (
        f"{clock}.{at_ns % 1_000_000_000 // 1000:06} {interfaces[packet.ingress]}  "
        f"{' '.join(what)}  {decision(packet, interfaces)}"
    )


def decision(packet: Traced, interfaces: Mapping[int, str]) -> str:
    """The outcome, where it goes, and why."""
    parts = [packet.outcome]
    if packet.server is not None and not packet.reply and not packet.outcome.startswith("drop_tcp"):
        parts.append(f"to {with_port(packet.server, packet.server_port)}")
    if packet.egress:
        parts.append(f"by {interfaces[packet.egress]}")
    more = [_SAID[name] for name in packet.events if name in _SAID]
    return f"{' '.join(parts)}: {'; '.join([reason(packet), *more])}"


def as_json(packet: Traced, at_ns: int, interfaces: Mapping[int, str]) -> str:
    told = {
        "type": "packet",
        "time": datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        + f".{at_ns % 1_000_000_000:09}Z",
        "cpu": packet.cpu,
        "ingress": interfaces[packet.ingress],
        "flow": _flow(packet.flow),
        "segment": packet.segment,
        "fragment": packet.fragment,
        "length": packet.length or None,
        "outcome": packet.outcome,
        "stage": stage(packet),
        "reason": reason(packet),
        "events": packet.events,
        "service": _text(packet.service),
        "scheduler": packet.scheduler,
        "server": _text(packet.server),
        "server_port": packet.server_port,
        "method": packet.method,
        "local": packet.local,
        "known": packet.known,
        "reply": packet.reply,
        "state": packet.state,
        "about": _flow(packet.about),
        "egress": interfaces[packet.egress] if packet.egress else None,
        "source_mac": packet.source_mac,
        "destination_mac": packet.destination_mac,
        "sent_length": packet.sent_length if packet.egress else None,
        "frame": packet.frame.hex() or None,
    }
    return json.dumps(told, separators=(",", ":"))


def _flow(flow: Flow | None) -> dict[str, Any] | None:
    if flow is None:
        return None
    return {
        "protocol": flow.transport,
        "source": str(flow.source),
        "source_port": flow.source_port,
        "destination": str(flow.destination),
        "destination_port": flow.destination_port,
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)


class Capture:
    """A pcapng file, or stdout: each frame as it came, with what became of it as its comment."""

    def __init__(self, path: Path | None) -> None:
        """None: stdout."""
        self._path, self._writer = path, Writer("vipd trace")
        self._file: BinaryIO = sys.stdout.buffer
        if path is not None:
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
                self._file = os.fdopen(os.open(path, flags, 0o600), "wb")
            except OSError as error:
                raise EnvironmentProblem(f"{path}: the capture cannot be written: {error.strerror}") from None
        self.write(self._writer.header())
        self.flush()

    def add(self, packet: Traced, at_ns: int, interfaces: Mapping[int, str]) -> None:
        kind = LinkType.RAW_IP if packet.bare else LinkType.ETHERNET
        frame = Captured(packet.frame, packet.frame_length, kind, at_ns)
        self.write(self._writer.packet(interfaces[packet.ingress], frame, f"vipd: {decision(packet, interfaces)}"))

    def write(self, octets: bytes) -> None:
        self._try(lambda: self._file.write(octets))

    def flush(self) -> None:
        self._try(self._file.flush)

    def close(self) -> None:
        if self._path is not None:
            self._try(self._file.close)

    def _try(self, step: Any) -> None:
        try:
            step()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise EnvironmentProblem(f"{self._path or 'stdout'}: the capture ends here: {error.strerror}") from None


def summary(seconds: float, counts: TraceCounts, told: Mapping[str, int]) -> list[str]:
    """How many of how many, what became of them, and what to do about that."""
    total = sum(told.values())
    left_out = [
        f"{number:,} {what}"
        for number, what in (
            (counts.sampled_out, "left out by --sample"),
            (counts.limited, "over --rate"),
            (counts.lost, "lost because nobody read them in time"),
            (counts.told - total, "not shown"),
        )
        if number > 0
    ]
    lines = [
        f"{total:,} {'packet' if total == 1 else 'packets'} told in {seconds:.1f} s; {counts.matched:,} fitted, of "
        f"{counts.passed:,} that passed the director" + (f"; {', '.join(left_out)}" if left_out else "")
    ]
    width = max(map(len, told), default=0)
    for name, count in Counter(told).most_common():
        lines.append(f"  {name:{width}}  {count:,}  {OUTCOMES[name]}")
        if remedy(name):
            lines.append(f"  {'':{width}}  {remedy(name)}")
    return lines
