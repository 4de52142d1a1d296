"""The learning switch (IEEE 802.1Q clause 8): by whom a port was last heard decides who gets a frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from vipd.errors import WireError
from vipd.segment.segment import Delivery
from vipd.segment.table import AGEING, CAPACITY, Learning, Station, StationTable
from vipd.segment.vlan import Content, Vlans, content, emitted
from vipd.wire.reader import Reader

_GROUP: Final = 1
"The address bit that is sent first: the address is of many."
_RESERVED: Final = bytes.fromhex("0180c20000")
"Before a last octet 00 to 0f: for the next bridge only (802.1Q table 8-1)."
_SHORTEST: Final = 14


class Verdict(StrEnum):
    """What became of a frame; also the name of its counter."""

    UNICAST = "unicast"
    "The destination was heard on one other port: it leaves there alone."
    FLOODED_UNKNOWN = "flooded_unknown"
    "The destination was not heard of: it leaves at every other port."
    FLOODED_GROUP = "flooded_group"
    "Broadcast or multicast: it leaves at every other port."
    SAME_PORT = "same_port"
    "The destination is where the frame came from, and has it already."
    RESERVED = "reserved"
    "To the bridge itself (01:80:c2:00:00:00 to :0f): no bridge passes it on."
    BAD_SOURCE = "bad_source"
    "Nobody can be the sender: a group address, or zero."
    TOO_SHORT = "too_short"
    "The frame ends before its EtherType."
    OTHER_VLAN = "other_vlan"
    "Of no VLAN that the port is a member of."


@dataclass(frozen=True, slots=True)
class Decision:
    verdict: Verdict
    ports: tuple[int, ...] = ()
    "Where it leaves."
    learning: Learning = Learning.OFF
    content: Content | None = None
    "None where the switch knows no VLANs, or the frame has no place in any."


class Switch:
    """Without `vlans`, tags are passed on like any other octets; with them each port needs an entry."""

    def __init__(
        self,
        ports: Iterable[int],
        vlans: Mapping[int, Vlans] | None = None,
        ageing: float = AGEING,
        capacity: int = CAPACITY,
    ) -> None:
        self.ports = tuple(ports)
        self.table = StationTable(ageing, capacity)
        self.counters: Counter[Verdict] = Counter()
        self._vlans = vlans
        if vlans is not None and vlans.keys() != set(self.ports):
            raise ValueError(f"ports {sorted(self.ports)}, but VLANs for {sorted(vlans)}")

    def receive(self, port: int, frame: bytes, now: float) -> list[Delivery]:
        decision = self.decide(port, frame, now)
        self.counters[decision.verdict] += 1
        part, vlans = decision.content, self._vlans
        if part is None or vlans is None:
            return [(other, frame) for other in decision.ports]
        return [(other, emitted(part, vlans[other])) for other in decision.ports]

    def decide(self, port: int, frame: bytes, now: float) -> Decision:
        """What `receive` would do; learns the sender as it does."""
        if len(frame) < _SHORTEST:
            return Decision(Verdict.TOO_SHORT)
        reader = Reader(frame)
        destination, source = reader.take(6), reader.take(6)
        if source[0] & _GROUP or not any(source):
            return Decision(Verdict.BAD_SOURCE)
        part, others = None, tuple(other for other in self.ports if other != port)
        if self._vlans is not None:
            try:
                part = content(frame, self._vlans[port])
            except WireError:
                return Decision(Verdict.TOO_SHORT)
            if part is None:
                return Decision(Verdict.OTHER_VLAN)
            others = tuple(other for other in others if part.vlan in self._vlans[other].members)
        vlan = part.vlan if part else 0
        learning = self.table.learn(Station(source, vlan), port, now)
        verdict, leaving = self._way(Station(destination, vlan), port, others, now)
        return Decision(verdict, leaving, learning, part)

    def _way(
        self, destination: Station, port: int, others: tuple[int, ...], now: float
    ) -> tuple[Verdict, tuple[int, ...]]:
        if destination.mac[:5] == _RESERVED and destination.mac[5] < 16:
            return Verdict.RESERVED, ()
        if destination.mac[0] & _GROUP:
            return Verdict.FLOODED_GROUP, others
        known = self.table.port_of(destination, now)
        if known is None:
            return Verdict.FLOODED_UNKNOWN, others
        if known == port:
            return Verdict.SAME_PORT, ()
        return Verdict.UNICAST, (known,)
