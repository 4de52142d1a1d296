"""A switch with any frames, at any time: nothing goes back, nothing leaves twice, the table has its limit."""

from __future__ import annotations

from typing import Final

from tests.fuzz.supply import Supply
from vipd.segment.switch import Switch
from vipd.segment.vlan import access, trunk

_PORTS: Final = 4
_CAPACITY: Final = 3
_VLANS: Final = {0: access(1), 1: access(2), 2: trunk([1, 2]), 3: trunk([2], native=1)}
_FRAME: Final = bytes.fromhex("02000000000b02000000000a88b500")
_TAGGED: Final = bytes.fromhex("02000000000a02000000000b8100200188b5")
SEEDS: Final = [bytes((vlans, 0, 1, 15)) + _FRAME + bytes((1, 0, 18)) + _TAGGED for vlans in (0, 1)]


def check(data: bytes) -> None:
    supply = Supply(data)
    switch = Switch(range(_PORTS), _VLANS if supply.number(1) else None, ageing=10.0, capacity=_CAPACITY)
    rest, now = supply.rest(), 0.0
    while len(rest) > 2:
        port, step, size = rest[0] % _PORTS, rest[1], rest[2]
        frame, rest = rest[3 : 3 + size], rest[3 + size :]
        now += step - 100 if step > 200 else step / 16
        deliveries = switch.receive(port, frame, now)
        leaving = [other for other, _ in deliveries]
        assert port not in leaving
        assert len(set(leaving)) == len(leaving)
        assert all(len(frame) - 4 <= len(left) <= len(frame) + 4 for _, left in deliveries)
        assert len(switch.table) <= _CAPACITY
