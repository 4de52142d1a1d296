"""Which station was last heard on which port: bounded, and forgetful of those that are silent."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

AGEING: Final = 300.0
"Seconds (IEEE 802.1Q table 8-6); no silent station is known for longer."
CAPACITY: Final = 8192
"Stations; what many a switch holds."


class Learning(StrEnum):
    """What the table made of a source address."""

    NEW = "new"
    KNOWN = "known"
    MOVED = "moved"
    "It was known on another port."
    FULL = "full"
    "There is no room: frames to it are flooded. Nobody is forgotten for it, or a flood would push all out."
    OFF = "off"
    "Nothing is learned here."


@dataclass(frozen=True, slots=True)
class Station:
    mac: bytes
    vlan: int
    "0 where the switch knows no VLANs."


@dataclass(slots=True)
class _Entry:
    port: int
    heard: float


class StationTable:
    """Ageing time 0 learns nothing. A clock that steps back stands still here, so nothing lives on because of it."""

    def __init__(self, ageing: float = AGEING, capacity: int = CAPACITY) -> None:
        self.ageing, self.capacity = ageing, capacity
        self._entries: OrderedDict[Station, _Entry] = OrderedDict()
        "The longest silent first."
        self._age = 0.0
        "Our own clock, which never goes back."
        self._now: float | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def stations(self, now: float) -> Iterator[tuple[Station, int, float]]:
        """Station, port and seconds of silence, the longest silent first."""
        self._advance(now)
        for station, entry in self._entries.items():
            yield station, entry.port, self._age - entry.heard

    def learn(self, station: Station, port: int, now: float) -> Learning:
        if self.ageing <= 0:
            return Learning.OFF
        self._advance(now)
        entry = self._entries.get(station)
        if entry is None:
            if len(self._entries) >= self.capacity:
                return Learning.FULL
            self._entries[station] = _Entry(port, self._age)
            return Learning.NEW
        learning = Learning.KNOWN if entry.port == port else Learning.MOVED
        entry.port, entry.heard = port, self._age
        self._entries.move_to_end(station)
        return learning

    def port_of(self, station: Station, now: float) -> int | None:
        self._advance(now)
        entry = self._entries.get(station)
        return entry.port if entry else None

    def _advance(self, now: float) -> None:
        self._age += max(0.0, now - (now if self._now is None else self._now))
        self._now = now
        while self._entries:
            station, entry = next(iter(self._entries.items()))
            if self._age - entry.heard < self.ageing:
                return
            del self._entries[station]
