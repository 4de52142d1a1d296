"""Hosts and segments joined by cables, in memory: who gets a frame, and on which way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from vipd.segment.segment import Segment

LIMIT: Final = 10_000
"Frames on cables because of one frame sent; more are a storm, which no network of ours needs."


@dataclass(frozen=True, slots=True)
class End:
    """Where a cable is plugged in. A name that no segment has is a host's."""

    node: str
    port: int = 0


@dataclass(frozen=True, slots=True)
class Hop:
    """A frame on a cable."""

    sender: End
    receiver: End
    frame: bytes


@dataclass(frozen=True, slots=True)
class Journey:
    hops: tuple[Hop, ...]
    "In the order of their arrival: all that are one cable away before those that are two."
    arrived: tuple[tuple[End, bytes], ...]
    "At hosts."
    storm: bool = False
    "The segments form a loop: Ethernet has no hop count, so frames circle until somebody stops them. We did."


class Network:
    def __init__(self, segments: Mapping[str, Segment], cables: Iterable[tuple[End, End]], limit: int = LIMIT) -> None:
        self._segments, self._limit = segments, limit
        self._others: dict[End, End] = {}
        for one, other in cables:
            for end, far in ((one, other), (other, one)):
                if end in self._others or one == other:
                    raise ValueError(f"two cables in port {end.port} of {end.node}")
                segment = segments.get(end.node)
                if segment is not None and end.port not in segment.ports:
                    raise ValueError(f"{end.node} has no port {end.port}")
                self._others[end] = far

    def send(self, host: str, frame: bytes, now: float, port: int = 0) -> Journey:
        """What a host's frame does until no frame is on any cable, all at the moment `now`."""
        hops: list[Hop] = []
        arrived: list[tuple[End, bytes]] = []
        waiting = deque([(End(host, port), frame)])
        while waiting:
            sender, content = waiting.popleft()
            receiver = self._others.get(sender)
            if receiver is None:
                continue
            if len(hops) == self._limit:
                return Journey(tuple(hops), tuple(arrived), storm=True)
            hops.append(Hop(sender, receiver, content))
            segment = self._segments.get(receiver.node)
            if segment is None:
                arrived.append((receiver, content))
                continue
            deliveries = segment.receive(receiver.port, content, now)
            waiting.extend((End(receiver.node, leaving), left) for leaving, left in deliveries)
        return Journey(tuple(hops), tuple(arrived))
