"""What a segment is; and the two that read no address: the point-to-point link and the hub."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeAlias

Delivery: TypeAlias = tuple[int, bytes]
"A port, and the frame that leaves there."


class Segment(Protocol):
    """Ports in, ports out. A frame is what a host hands its device: from the destination on, without FCS."""

    @property
    def ports(self) -> tuple[int, ...]: ...

    def receive(self, port: int, frame: bytes, now: float) -> list[Delivery]: ...


class PointToPoint:
    """A line with two ends: whatever one sends the other gets. Nothing is read, so anything may be a frame."""

    ports = (0, 1)

    def receive(self, port: int, frame: bytes, now: float) -> list[Delivery]:  # noqa: ARG002, a line needs no clock
        return [(1 - port, frame)]


class Hub:
    """Repeats every frame to every other port; so all hear all, and two may not send at once."""

    def __init__(self, ports: Iterable[int]) -> None:
        self.ports = tuple(ports)

    def receive(self, port: int, frame: bytes, now: float) -> list[Delivery]:  # noqa: ARG002, as above
        return [(other, frame) for other in self.ports if other != port]
