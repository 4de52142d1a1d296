"""What drives a protocol machine over a line: what is read, when it ticks, what goes first, what is lost."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.link.machines import CONTROL, PACKET, MemoryInterface, Plain
from tests.support import clock
from vipd.drivers.channel import Channel
from vipd.link.codec import AsyncCodec, BitCodec, Codec
from vipd.link.queue import LATE, LATEST
from vipd.link.session import Session, Surroundings
from vipd.link.tally import ANSWER, LINE_LOST, REFUSED, Tally
from vipd.model.link import Down, Hangup, Reframe, Send, Up
from vipd.wire.async_hdlc import ALL_CONTROLS, AsyncFramer
from vipd.wire.fcs import FCS16, FCS32

Codecs = Callable[[], Codec]
CODECS = [lambda: AsyncCodec(FCS16, 1500), lambda: AsyncCodec(FCS32, 1500), lambda: BitCodec(FCS16, 1500)]


class End:
    """One end of a line, with everything that a session needs."""

    def __init__(self, wire: socket.socket, codec: Codec, machine: Plain | None = None) -> None:
        self.machine = machine or Plain()
        self.interface = MemoryInterface()
        self.tally = Tally()
        self.frames: list[tuple[bytes, bool]] = []
        self.changes: list[Up | Down] = []
        around = Surroundings(self.machine, self.interface, self.tally, self._change, self._see)
        self.session = Session(Channel(wire.fileno(), wire.fileno(), wire.close), codec, around)

    async def _change(self, change: Up | Down) -> None:
        self.changes.append(change)

    def _see(self, frame: bytes, sent: bool) -> None:
        self.frames.append((frame, sent))

    def close(self) -> None:
        self.interface.close()


@pytest.fixture
def wire() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    far.setblocking(False)
    with near, far:
        yield near, far


Test = Callable[[End, socket.socket], Awaitable[None]]


def alone(wire: tuple[socket.socket, socket.socket], test: Test, machine: Plain | None = None) -> Hangup:
    """The test plays the peer, on the bare line."""

    async def play() -> Hangup:
        end = End(wire[0], AsyncCodec(FCS16, 1500), machine)
        try:
            running = asyncio.create_task(end.session.run())
            await settled()
            await test(end, wire[1])
            wire[1].close()
            return await running
        finally:
            end.close()

    return clock.run(play())


async def settled() -> None:
    """Everybody had several turns."""
    for _ in range(20):
        await asyncio.sleep(0)


def framed(*frames: bytes, accm: int = ALL_CONTROLS) -> bytes:
    framer = AsyncFramer(FCS16, accm)
    return b"".join(map(framer.encode, frames))


@pytest.mark.parametrize("codec", CODECS)
def test_packets_cross_the_line_both_ways_whole_and_in_order(codec: Codecs) -> None:
    packets = [bytes([number]) * (number + 1) for number in range(256)]

    async def talk() -> None:
        with ExitStack() as stack:
            near, far = map(stack.enter_context, socket.socketpair())
            ends = [End(near, codec()), End(far, codec())]
            running = [asyncio.create_task(end.session.run()) for end in ends]
            for here, there in (ends, ends[::-1]):
                got: list[bytes] = []
                for start in range(0, len(packets), 64):
                    for packet in packets[start : start + 64]:
                        here.interface.far.send(packet)
                    while len(got) < start + 64:
                        await asyncio.sleep(0)
                        got += there.interface.received()
                assert got == packets
            ends[0].session.stop()
            assert [each.reason for each in await asyncio.gather(*running)] == ["stopped", "the peer said goodbye"]
            for end, other in (ends, ends[::-1]):
                assert (end.tally.packets_in, end.tally.packets_out) == (256, 256)
                assert (end.tally.octets_out, end.tally.frames_out) == (other.tally.octets_in, other.tally.frames_in)
                assert not end.tally.faults
                assert not end.tally.dropped
                end.close()

    clock.run(talk())


def test_the_machine_ticks_when_it_said_and_not_before(wire: tuple[socket.socket, socket.socket]) -> None:
    machine = Plain()
    machine.deadline = 3600.0

    async def wait(_end: End, _far: socket.socket) -> None:
        await asyncio.sleep(7200)

    alone(wire, wait, machine)
    assert machine.history == [(0.0, "start"), (3600.0, "tick"), (7200.0, "lost")]


@pytest.mark.parametrize("moved", [600.0, 5000.0])
def test_a_deadline_that_moves_is_kept_where_it_is_then(
    wire: tuple[socket.socket, socket.socket], moved: float
) -> None:
    machine = Plain()
    machine.deadline = 3600.0

    async def move(_end: End, far: socket.socket) -> None:
        machine.deadline = moved
        far.send(framed(CONTROL + b"heard"))
        await asyncio.sleep(7200)

    alone(wire, move, machine)
    assert machine.history == [(0.0, "start"), (0.0, "heard"), (moved, "tick"), (7200.0, "lost")]


def test_a_line_that_is_full_again_and_again_goes_on_each_time(wire: tuple[socket.socket, socket.socket]) -> None:
    wire[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    packets = [bytes([number]) * 1400 for number in range(32, 80)]

    async def fill(end: End, far: socket.socket) -> None:
        deframer = AsyncCodec(FCS16, 1500)
        for _ in range(3):
            for packet in packets:
                end.interface.far.send(packet)
            await settled()
            found: list[object] = []
            for _ in range(200):
                with suppress(BlockingIOError):
                    found += deframer.feed(far.recv(65_536))
                await asyncio.sleep(0)
            assert found == [PACKET + packet for packet in packets]

    alone(wire, fill)


def test_what_is_no_frame_is_counted_by_its_fault_and_the_rest_goes_on(
    wire: tuple[socket.socket, socket.socket],
) -> None:
    async def send(end: End, far: socket.socket) -> None:
        good = framed(PACKET + b"one")
        bad = bytearray(framed(PACKET + b"two"))
        bad[3] ^= 1
        far.send(b"noise" + good + bytes(bad) + b"\x7e\x7d\x7e" + good)
        await settled()
        assert end.interface.received() == [b"one", b"one"]
        assert end.tally.faults == {"bad_fcs": 1, "abort": 1}

    alone(wire, send)


def test_a_line_that_ends_is_told_to_the_machine_and_its_effects_are_carried_out(
    wire: tuple[socket.socket, socket.socket],
) -> None:
    machine = Plain()
    seen: list[End] = []

    async def nothing(end: End, _far: socket.socket) -> None:
        seen.append(end)

    ended = alone(wire, nothing, machine)
    assert ended == Hangup("the other end closed the line")
    assert machine.history[-1] == (0.0, "lost")
    assert seen[0].changes == [Down(4, "the line is lost")]


def test_frames_before_the_end_of_the_line_still_count(wire: tuple[socket.socket, socket.socket]) -> None:
    async def say_and_go(_end: End, far: socket.socket) -> None:
        far.send(framed(CONTROL + b"bye"))
        far.close()

    assert alone(wire, say_and_go) == Hangup("the peer said goodbye")


def test_told_to_stop_it_says_so_to_the_peer_before_it_ends(wire: tuple[socket.socket, socket.socket]) -> None:
    async def stop(end: End, far: socket.socket) -> None:
        end.session.stop()
        await settled()
        assert far.recv(1000) == framed(CONTROL + b"bye")

    assert alone(wire, stop) == Hangup("stopped")


def test_a_packet_that_the_protocol_does_not_carry_holds_none_up(wire: tuple[socket.socket, socket.socket]) -> None:
    async def send(end: End, far: socket.socket) -> None:
        end.machine.carries = lambda packet: packet != b"no"
        for packet in (b"no", b"yes", b"no"):
            end.interface.far.send(packet)
        await settled()
        assert far.recv(1000) == framed(PACKET + b"yes")
        assert end.tally.packets_out == 1

    alone(wire, send)


def test_a_packet_that_the_kernel_does_not_take_is_counted(wire: tuple[socket.socket, socket.socket]) -> None:
    async def send(end: End, far: socket.socket) -> None:
        end.interface.down = True
        far.send(framed(PACKET + b"packet"))
        await settled()
        assert end.tally.dropped == {REFUSED: 1}

    alone(wire, send)


def test_a_line_slower_than_the_packets_loses_the_oldest_and_carries_the_newest(
    wire: tuple[socket.socket, socket.socket],
) -> None:
    wire[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)

    async def crowd(end: End, far: socket.socket) -> None:
        for number in range(100):
            for part in range(10):
                end.interface.far.send(b"%02d-%d" % (number, part) + bytes(500))
            await settled()
            await asyncio.sleep(LATEST / 10)
        assert end.tally.dropped.keys() <= {LATE}
        sent = b""
        while True:
            await settled()
            try:
                sent += far.recv(1 << 20)
            except BlockingIOError:
                break
        names = [bytes(each)[1:5] for each in AsyncCodec(FCS16, 1500).feed(sent) if isinstance(each, bytes)]
        assert names == sorted(names)
        assert names[-1] == b"99-9"
        assert end.tally.dropped[LATE] == 1000 - len(names) > 500

    alone(wire, crowd)


def test_what_waits_when_the_line_breaks_is_counted(wire: tuple[socket.socket, socket.socket]) -> None:
    wire[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    ends: list[End] = []

    async def crowd(end: End, _far: socket.socket) -> None:
        ends.append(end)
        for _ in range(100):
            end.interface.far.send(bytes(1000))
            await settled()

    alone(wire, crowd)
    tally = ends[0].tally
    assert tally.dropped == {LINE_LOST: 100 - tally.packets_out}
    assert tally.packets_out < 100


def test_the_protocols_own_frames_go_before_any_packet(wire: tuple[socket.socket, socket.socket]) -> None:
    machine = Plain()
    machine.answers[b"echo"] = [Send(CONTROL + b"reply")]

    async def both(end: End, far: socket.socket) -> None:
        for _ in range(3):
            end.interface.far.send(b"packet")
        far.send(framed(CONTROL + b"echo"))
        await settled()
        found = [each for each in AsyncCodec(FCS16, 1500).feed(far.recv(1000)) if isinstance(each, bytes)]
        assert found == [CONTROL + b"reply", *[PACKET + b"packet"] * 3]

    alone(wire, both, machine)


@pytest.mark.parametrize("before", [0, 20], ids=["at first", "after a quiet time"])
def test_an_answer_passes_packets_that_wait_also_where_the_line_is_full(
    wire: tuple[socket.socket, socket.socket], before: int
) -> None:
    wire[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    machine = Plain()
    machine.answers[b"echo"] = [Send(CONTROL + b"reply")]

    async def crowd(end: End, far: socket.socket) -> None:
        for _ in range(before):
            end.interface.far.send(b"one")
            await settled()
            far.recv(100)
        for _ in range(100):
            end.interface.far.send(bytes([1]) * 500)
        await settled()
        far.send(framed(CONTROL + b"echo"))
        sent = b""
        while CONTROL + b"reply" not in sent:
            await settled()
            sent += far.recv(1 << 16)
        assert sent.count(PACKET + b"\x7d\x21") < 30

    alone(wire, crowd, machine)


def test_a_peer_that_asks_and_never_reads_does_not_fill_the_memory(wire: tuple[socket.socket, socket.socket]) -> None:
    wire[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    machine = Plain()
    machine.answers[b"echo"] = [Send(CONTROL + bytes(1000))]

    async def ask(end: End, far: socket.socket) -> None:
        for _ in range(300):
            far.send(framed(CONTROL + b"echo"))
            await settled()
        assert end.tally.dropped[ANSWER] > 200

    alone(wire, ask, machine)


def test_what_was_agreed_holds_for_the_very_next_frame(wire: tuple[socket.socket, socket.socket]) -> None:
    machine = Plain()
    machine.answers[b"agree"] = [Reframe(0, 0)]
    bare = PACKET + bytes(range(32))

    async def send(end: End, far: socket.socket) -> None:
        far.send(framed(CONTROL + b"agree") + framed(bare, accm=0))
        await settled()
        assert end.interface.received() == [bare[1:]]
        end.interface.far.send(bytes(range(32)))
        await settled()
        assert far.recv(1000) == framed(bare, accm=0)

    alone(wire, send, machine)


def test_a_plain_frame_escapes_everything_whatever_was_agreed(wire: tuple[socket.socket, socket.socket]) -> None:
    machine = Plain(begins=[Reframe(0, 0), Send(bytes(4), plain=True), Send(bytes(4))])

    async def listen(_end: End, far: socket.socket) -> None:
        assert far.recv(1000) == framed(bytes(4)) + framed(bytes(4), accm=0)

    alone(wire, listen, machine)


def test_every_frame_is_shown_with_its_direction(wire: tuple[socket.socket, socket.socket]) -> None:
    machine = Plain(begins=[Send(CONTROL + b"hello")])

    async def send(end: End, far: socket.socket) -> None:
        far.send(framed(PACKET + b"packet"))
        await settled()
        assert end.frames == [(CONTROL + b"hello", True), (PACKET + b"packet", False)]

    alone(wire, send, machine)
