"""One life of a line: from the moment it is open until it is lost or hung up. The driver of a `LinkMachine`.

One task, one wait: for octets, for packets, for room on the line, or for the machine's deadline.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from vipd.drivers.channel import Channel
from vipd.errors import LineError
from vipd.link.codec import Codec
from vipd.link.queue import Queue
from vipd.link.tally import ANSWER, LINE_LOST, REFUSED, Tally
from vipd.model.link import Deliver, Down, Effect, Hangup, LinkMachine, Reframe, Send, Up
from vipd.wire.deframer import FrameError

_PACKETS: Final = 128
"Read from the interface in one turn."
_PIECES: Final = 16
"Read from the line in one turn."
_LEAST: Final = 4096
_MOST: Final = 1 << 16
"Octets written at once: as many as the line has shown to take, for what is urgent has to wait behind them."

_URGENT: Final = 64
"Frames of the protocol that may wait: a peer that asks and does not read shall not fill our memory."

NOTHING: Final = memoryview(b"")


class Interface(Protocol):
    """Where packets come from and go to; a `Tun`."""

    descriptor: int

    def read(self) -> bytes: ...

    def write(self, packet: bytes) -> bool: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a link's sessions share."""

    machine: LinkMachine
    interface: Interface
    tally: Tally
    changed: Callable[[Up | Down], Awaitable[None]]
    "Carries out what concerns the interface's addresses."
    seen: Callable[[bytes, bool], None]
    "Told of each frame, and whether we sent it; for captures."


class Session:
    def __init__(self, channel: Channel, codec: Codec, around: Surroundings) -> None:
        self._channel, self._codec, self._around = channel, codec, around
        self._machine, self._tally = around.machine, around.tally
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._urgent: deque[bytes] = deque()
        "Frames of the protocol itself, encoded: they go before any packet."
        self._queue = Queue(around.tally.dropped)
        self._unwritten = NOTHING
        self._at_once = _LEAST
        self._full = False
        "The line takes no more; the loop tells when it does."
        self._alarm: asyncio.TimerHandle | None = None
        "Wakes at the machine's deadline; set anew only where that has changed."
        self._stop_asked = False
        self._over: Hangup | None = None

    def stop(self) -> None:
        """Say goodbye to the peer; `run` ends once it has answered or does not."""
        self._stop_asked = True
        self._wake.set()

    async def run(self) -> Hangup:
        """How it ended. Raises nothing that a peer or a line could bring about."""
        loop, channel, interface = self._loop, self._channel, self._around.interface
        try:
            loop.add_reader(channel.reader, self._wake.set)
            loop.add_reader(interface.descriptor, self._wake.set)
            await self._carry_out(self._machine.start(loop.time()))
            while self._over is None:
                self._flush()
                await self._turn()
            self._flush()
        except LineError as error:
            if self._over is None:
                self._over = Hangup(str(error))
                await self._carry_out(self._machine.lost(loop.time()))
        finally:
            loop.remove_reader(channel.reader)
            loop.remove_reader(interface.descriptor)
            loop.remove_writer(channel.writer)
            self._set_alarm(math.inf)
            self._queue.clear(LINE_LOST)
        assert self._over is not None
        return self._over

    async def _turn(self) -> None:
        self._set_alarm(self._machine.deadline)
        await self._wake.wait()
        self._wake.clear()
        now = self._loop.time()
        if now >= self._machine.deadline:
            await self._carry_out(self._machine.tick(now))
        if self._stop_asked:
            self._stop_asked = False
            await self._carry_out(self._machine.stop(now))
        await self._hear(now)
        self._collect(now)

    def _set_alarm(self, due: float) -> None:
        if self._alarm is not None:
            if self._alarm.when() == due:
                return
            self._alarm.cancel()
        self._alarm = None if due == math.inf else self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._wake.set()

    async def _hear(self, now: float) -> None:
        """What the line brought. A frame may change how those behind it are read."""
        tally, machine = self._tally, self._machine
        for _ in range(_PIECES):
            data = self._channel.read()
            if not data:
                return
            tally.octets_in += len(data)
            for found in self._codec.feed(data):
                if isinstance(found, FrameError):
                    tally.faults[found.fault] += 1
                    continue
                tally.frames_in += 1
                self._around.seen(found, False)
                await self._carry_out(machine.receive(found, now))
                if self._over is not None:
                    return

    def _collect(self, now: float) -> None:
        interface, queue = self._around.interface, self._queue
        for _ in range(_PACKETS):
            packet = interface.read()
            if not packet:
                return
            queue.put(packet, now)

    async def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Deliver(packet):
                    self._tally.packets_in += 1
                    if not self._around.interface.write(packet):
                        self._tally.dropped[REFUSED] += 1
                case Send(frame, plain) if len(self._urgent) < _URGENT:
                    self._urgent.append(self._encoded([frame], plain))
                case Send():
                    self._tally.dropped[ANSWER] += 1
                case Reframe(send_accm, receive_accm):
                    self._codec.reframe(send_accm, receive_accm)
                case Up() | Down():
                    await self._around.changed(effect)
                case Hangup():
                    self._over = effect

    def _encoded(self, frames: list[bytes], plain: bool = False) -> bytes:
        self._tally.frames_out += len(frames)
        for frame in frames:
            self._around.seen(frame, True)
        return self._codec.encode(frames, plain)

    def _flush(self) -> None:
        """Write until nothing is left or the line takes no more, and then ask to be woken."""
        now, much = self._loop.time(), False
        while True:
            if not self._unwritten:
                self._unwritten = memoryview(self._batch(now))
                much = len(self._unwritten) >= self._at_once
            if not self._unwritten:
                if self._full:
                    self._full = False
                    self._loop.remove_writer(self._channel.writer)
                return
            took = self._channel.write(self._unwritten)
            self._tally.octets_out += took
            self._unwritten = self._unwritten[took:]
            if self._unwritten:
                self._at_once = max(self._at_once // 2, _LEAST)
                if not self._full:
                    self._full = True
                    self._loop.add_writer(self._channel.writer, self._wake.set)
                return
            if much:
                self._at_once = min(self._at_once * 2, _MOST)

    def _batch(self, now: float) -> bytes:
        """The next octets to write."""
        parts = list(self._urgent)
        self._urgent.clear()
        size, frame_of, take = sum(map(len, parts)), self._machine.frame, self._queue.take
        frames = []
        while size < self._at_once and (packet := take(now)) is not None:
            frame = frame_of(packet)
            if frame is not None:
                frames.append(frame)
                size += len(frame)
        if frames:
            self._tally.packets_out += len(frames)
            parts.append(self._encoded(frames))
        if parts:
            parts.append(self._codec.flush())
        return b"".join(parts)
