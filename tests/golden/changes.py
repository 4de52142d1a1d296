"""From what IPVS was seen to do to what vipd has to do instead: what the entries of differences.py are made of.

A change is given one step of a case with what was seen after it, and returns what has to be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from tests.golden import edits, ways
from tests.golden.data import INNER, OUT, Case, Frame, Seen, Step
from tests.golden.edits import ETHERNET, Layout
from tests.golden.services import Service
from tests.golden.stimuli_changes import ROUNDS
from tests.support.packets import HEADER
from tests.support.wires import ROUTER_MAC
from vipd.control import wrr

_IPIP: Final = {4: 4, 6: 41}
_LINK: Final = 1500
_TCP: Final = 20
OF_UDP: Final = "UDP 300"
OF_SYN: Final = "SYN_RECV 60"
"States of connections that are just made, and when they expire."
_ENCAPSULATED: Final = (4, 41)


@dataclass(frozen=True, slots=True)
class Here:
    case: Case
    index: int
    seen: Sequence[Seen]
    "After each step of the case; up to this one as vipd has to have it, as far as entries before this one tell."

    @property
    def step(self) -> Step:
        return self.case.steps[self.index]

    @property
    def now(self) -> Seen:
        return self.seen[self.index]

    @property
    def before(self) -> Seen:
        return self.seen[self.index - 1] if self.index else Seen()

    @property
    def service(self) -> Service:
        return ways.service_of(self.case)

    def known(self, state: str) -> str:
        """A connection as `Seen` has it."""
        return f"{state} to {self.service.server_port}"


Change: TypeAlias = Callable[[Here], Seen]
Edit: TypeAlias = Callable[[Here, Frame], Frame]
Way: TypeAlias = Callable[[Here], Frame]


def each_frame(edit: Edit) -> Change:
    def change(here: Here) -> Seen:
        return replace(here.now, frames=tuple(edit(here, frame) for frame in here.now.frames))

    return change


def sends(*frames: Way) -> Change:
    """These instead; the connection is as with IPVS."""
    return lambda here: replace(here.now, frames=tuple(way(here) for way in frames))


def remembers(connection: Callable[[Here], str]) -> Change:
    return lambda here: replace(here.now, connection=connection(here))


def both(*changes: Change) -> Change:
    def change(here: Here) -> Seen:
        seen = list(here.seen)
        for each in changes:
            seen[here.index] = each(replace(here, seen=seen))
        return seen[here.index]

    return change


nothing: Final = sends()
unknown: Final = remembers(lambda _: "")
as_before: Final = remembers(lambda here: here.before.connection)
dropped: Final = both(nothing, unknown)


def forwarded(here: Here) -> Frame:
    return ways.forwarded(here.case, here.step)


def forwarded_to_second(here: Here) -> Frame:
    return ways.forwarded(here.case, here.step, 1)


def answered(here: Here) -> Frame:
    return ways.answered(here.case, here.step)


def routed(here: Here) -> Frame:
    return ways.routed(here.step)


def routed_to_router(here: Here) -> Frame:
    return ways.routed(here.step, ROUTER_MAC)


def error_to_server(here: Here) -> Frame:
    return ways.error_to_server(here.case, here.step)


def error_to_client(here: Here) -> Frame:
    return ways.error_to_client(here.case, here.step)


def reset(here: Here) -> Frame:
    return ways.reset(here.step)


def refused(here: Here) -> Frame:
    return ways.refused(here.step)


def too_big(mtu: int) -> Way:
    return lambda here: ways.too_big(here.step, mtu)


def _is_towards_server(here: Here, frame: Frame) -> bool:
    return frame.wire == INNER and isinstance(here.step.does, Frame) and here.step.does.wire == OUT


@each_frame
def ttl_as_it_came(here: Here, frame: Frame) -> Frame:
    if not _is_towards_server(here, frame):
        return frame
    return replace(frame, raw=edits.ttl_put(frame.raw, edits.ttl_of(ways.stimulus(here.step))))


def _is_tunnelled(here: Here, frame: Frame) -> bool:
    return _is_towards_server(here, frame) and Layout.of(frame.raw).protocol in _ENCAPSULATED


def each_tunnelled(edit: Edit) -> Change:
    """Of the frames that have one packet in another."""
    return each_frame(lambda here, frame: edit(here, frame) if _is_tunnelled(here, frame) else frame)


@each_tunnelled
def outer_ttl(_: Here, frame: Frame) -> Frame:
    return replace(frame, raw=edits.ttl_put(frame.raw, 64))


@each_tunnelled
def outer_source(here: Here, frame: Frame) -> Frame:
    layout = Layout.of(frame.raw)
    source = ways.outer_source(ways.hash_of(here.case, ways.stimulus(here.step)), layout.family)
    return replace(frame, raw=edits.header_put(frame.raw, layout.source, source))


@each_tunnelled
def outer_flow_label(here: Here, frame: Frame) -> Frame:
    if Layout.of(frame.raw).family == 4:
        return frame
    word = int.from_bytes(frame.raw[14:18], "big") & ~0xFFFFF
    word |= ways.hash_of(here.case, ways.stimulus(here.step)) >> 12
    return replace(frame, raw=edits.put(frame.raw, 14, word.to_bytes(4, "big")))


@each_tunnelled
def outer_identifier(_: Here, frame: Frame) -> Frame:
    """The inner packet's."""
    layout = Layout.of(frame.raw)
    if layout.family == 6 or layout.protocol != _IPIP[4]:
        return frame
    inner = frame.raw[layout.transport :]
    return replace(frame, raw=edits.header_put(frame.raw, ETHERNET + 4, inner[4:6]))


@each_tunnelled
def outer_congestion(_: Here, frame: Frame) -> Frame:
    """ECN as inside: RFC 6040 4.1."""
    layout = Layout.of(frame.raw)
    inner = frame.raw[layout.transport :]
    kind = inner[1] if inner[0] >> 4 == 4 else (inner[0] & 0xF) << 4 | inner[1] >> 4
    if layout.family == 4:
        return replace(frame, raw=edits.header_put(frame.raw, ETHERNET, bytes([frame.raw[ETHERNET], kind])))
    word = int.from_bytes(frame.raw[14:18], "big") & ~0x0FF00000 | kind << 20
    return replace(frame, raw=edits.put(frame.raw, 14, word.to_bytes(4, "big")))


@each_tunnelled
def outer_not_to_be_fragmented(_: Here, frame: Frame) -> Frame:
    """Where IPv6 is in IPv4."""
    layout = Layout.of(frame.raw)
    if layout.family == 6 or layout.protocol != _IPIP[6]:
        return frame
    return replace(frame, raw=edits.header_put(frame.raw, ETHERNET + 6, b"\x40\x00"))


def without_header_between(size: int) -> Change:
    """GUE's or GRE's header taken out, so that it is a plain tunnel's packet."""

    def edit(_: Here, frame: Frame) -> Frame:
        layout = Layout.of(frame.raw)
        if frame.wire != INNER:
            return frame
        at = layout.transport
        raw = frame.raw[:at] + frame.raw[at + size :]
        inner = raw[at:]
        protocol = bytes([_IPIP[inner[0] >> 4]])
        if layout.family == 6:
            return replace(frame, raw=edits.put(edits.put(raw, 20, protocol), 18, len(inner).to_bytes(2, "big")))
        raw = edits.header_put(raw, 22, bytes([raw[22]]) + protocol)
        return replace(frame, raw=edits.header_put(raw, 16, (len(raw) - ETHERNET).to_bytes(2, "big")))

    return each_frame(edit)


@each_frame
def without_udp_sum(_: Here, frame: Frame) -> Frame:
    return replace(frame, raw=edits.put(frame.raw, Layout.of(frame.raw).transport + 6, bytes(2)))


@each_frame
def padded(here: Here, frame: Frame) -> Frame:
    """With what Ethernet had added."""
    raw = ways.stimulus(here.step)
    return replace(frame, raw=frame.raw + bytes(len(raw) - ways.length_of(raw)))


_MSS: Final = b"\x02\x04\x05\xb4"
"The option that the stimuli have: 1,460."


@each_tunnelled
def clamped(_: Here, frame: Frame) -> Frame:
    """The MSS within what a link of 1,500 bytes leaves."""
    outer, inner = Layout.of(frame.raw), Layout.of(frame.raw).transport
    size = HEADER[frame.raw[inner] >> 4]
    at = frame.raw.index(_MSS) + 2
    new = (_LINK - HEADER[outer.family] - size - _TCP).to_bytes(2, "big")
    raw = edits.sum_put(frame.raw, inner + size + 16, frame.raw[at : at + 2], new)
    return replace(frame, raw=edits.put(raw, at, new))


@each_frame
def own_error(here: Here, frame: Frame) -> Frame:
    """The same ICMP error as vipd writes it."""
    layout = Layout.of(frame.raw)
    if frame.wire != OUT or layout.protocol not in (edits.ICMP, edits.ICMPV6):
        return frame
    head = frame.raw[layout.transport :]
    return ways.error_of(here.step, head[0], head[1], int.from_bytes(head[4:8], "big"))


def too_big_by_one(here: Here) -> Frame:
    """The step is called after its packet's length."""
    return ways.too_big(here.step, int(here.step.label) - 1)


def turn_of(here: Here) -> int:
    """Which of the new connections of `stimuli_changes.choices` the step is about."""
    kind, _, number = here.step.label.partition("-")
    return int(number) + ROUNDS * (kind == "after")


def by_turns(here: Here) -> Frame:
    order = wrr.sequence([server.weight for server in here.service.servers])
    return ways.forwarded(here.case, here.step, int(order[turn_of(here) % len(order)]))


def by_hash(here: Here) -> Frame:
    return ways.forwarded(here.case, here.step, ways.choice_of(here.service, here.step))


def by_hash_while_drained(here: Here) -> Frame:
    return ways.forwarded(here.case, here.step, ways.choice_of(here.service.after("drain"), here.step))


def routing_refused(here: Here) -> Frame:
    """By the kernel, which quotes all of it and points at the routing type, which it does not know."""
    return ways.error_of(here.step, 4, 0, 40 + 2, whole=True)


def port_refused_by_kernel(here: Here) -> Frame:
    return ways.error_of(here.step, 1, 4, whole=True)


def as_far_as_they_fit(here: Here) -> Seen:
    """Fragments into a tunnel of 1,500 bytes."""
    outer = 40 if ":" in here.service.servers[0].address else 20
    raw = ways.stimulus(here.step)
    if len(raw) - ETHERNET + outer <= _LINK:
        return replace(here.now, frames=(forwarded(here),))
    return replace(here.now, frames=() if Layout.of(raw).later else (ways.too_big(here.step, _LINK - outer),))


def one_way_state(here: Here) -> str:
    """Where only the client is heard."""
    return here.known("ESTABLISHED 900" if here.step.label == "ack" else OF_SYN)
