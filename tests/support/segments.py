"""Hubs and switches of either kind, ours in memory and the kernel's bridge, and frames to send through them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.bridges import KernelBridge, kernel_bridge
from vipd.segment.segment import Hub, Segment
from vipd.segment.switch import Switch
from vipd.segment.vlan import Vlans

A, B, C = (bytes.fromhex(f"02000000000{n}") for n in "abc")
BROADCAST = b"\xff" * 6
MULTICAST = bytes.fromhex("01005e000001")
PAUSE, SPANNING_TREE = 1, 0
CAPACITY = 1024


def frame(destination: bytes, source: bytes, rest: str = "88b5" + "00" * 46) -> bytes:
    return destination + source + bytes.fromhex(rest)


def tagged(destination: bytes, source: bytes, vlan: int, priority: int = 0) -> bytes:
    return frame(destination, source, f"8100{priority << 12 | vlan:04x}88b5" + "00" * 46)


def bridge_group(last: int) -> bytes:
    return bytes.fromhex("0180c20000") + bytes([last])


@dataclass
class Bench:
    """One kind of segments, and its clock."""

    kind: str
    stack: ExitStack
    now: float = 1000.0

    def hub(self, ports: int) -> Segment:
        if self.kind == "memory":
            return Hub(range(ports))
        # Nothing is learned; and it is let pass what a bridge would keep for itself, all that the kernel lets one say.
        return self._kernel(ports, 0, None, 0xFFFF & ~(1 << PAUSE))

    def switch(self, ports: int = 4, ageing: float = 300.0, vlans: Mapping[int, Vlans] | None = None) -> Segment:
        if self.kind == "memory":
            return Switch(range(ports), vlans, ageing, CAPACITY)
        return self._kernel(ports, ageing, vlans)

    def _kernel(self, ports: int, ageing: float, vlans: Mapping[int, Vlans] | None, passed: int = 0) -> Segment:
        return self.stack.enter_context(kernel_bridge(ports, ageing, vlans, passed))

    def out(self, segment: Segment, port: int, sent: bytes) -> dict[int, bytes]:
        deliveries = segment.receive(port, sent, self.now)
        assert len(dict(deliveries)) == len(deliveries), "two copies at one port"
        return dict(deliveries)

    def grow_old(self, segment: Segment, mac: bytes, seconds: float) -> None:
        """Time in which a station that is silent is forgotten."""
        if isinstance(segment, KernelBridge):
            segment.wait_until_forgotten(mac)
        self.now += seconds


MACS = st.sampled_from([1, 2, 3, 4])
STEPS = st.tuples(
    st.integers(0, 3),
    st.one_of(MACS, st.sampled_from([BROADCAST, MULTICAST, bridge_group(2), bytes(6)])),
    st.one_of(MACS, st.sampled_from([MULTICAST, bytes(6)])),
    st.sampled_from([None, 0, 10, 20, 30, 4095]),
    st.integers(0, 15),
)
_salts = itertools.count()


Step: TypeAlias = tuple[int, "int | bytes", "int | bytes", "int | None", int]


def steps_as_frames(steps: list[Step]) -> list[tuple[int, bytes]]:
    """With stations that no earlier example had."""
    salt = bytes([2]) + next(_salts).to_bytes(4, "big")

    def mac(name: int | bytes) -> bytes:
        return name if isinstance(name, bytes) else salt + bytes([name])

    return [
        (port, frame(mac(to), mac(by)) if vlan is None else tagged(mac(to), mac(by), vlan, priority))
        for port, to, by, vlan, priority in steps
    ]


def compare_both(vlans: Mapping[int, Vlans] | None, examples: int) -> None:
    """Whatever is sent, one frame after the other, leaves at the same ports in the same form."""
    with kernel_bridge(4, 300.0, vlans) as kernel:
        ours = Switch(range(4), vlans)

        @settings(deadline=None, max_examples=examples)
        @given(st.lists(STEPS, max_size=30))
        def compare(steps: list[Step]) -> None:
            for port, sent in steps_as_frames(steps):
                assert sorted(ours.receive(port, sent, 0.0)) == sorted(kernel.receive(port, sent, 0.0)), sent.hex()

        compare()
