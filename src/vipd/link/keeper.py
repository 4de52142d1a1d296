"""Keeps a link: opens its line, lets a session run, and opens it again. Implements the API's `LinkControl`."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, Protocol, TypeVar

from vipd.api.link import FamilyStatus, LinkStatus
from vipd.drivers.lines import Line
from vipd.errors import DataplaneError, EnvironmentProblem, LineError
from vipd.link.backoff import Backoff
from vipd.link.codec import Codec
from vipd.link.session import Interface, Session, Surroundings
from vipd.link.tally import Tally
from vipd.model.line import Place
from vipd.model.link import Down, Encapsulation, Framing, Hangup, LinkMachine, Up

log = logging.getLogger(__name__)
T = TypeVar("T")

GOODBYE: Final = 4.0
"Seconds that the peer gets to answer that it has heard of the end: time to ask it twice."


class Addresses(Protocol):
    """The interface's addresses; what a `PointToPoint` does."""

    async def up(self, agreed: Up) -> None: ...

    async def down(self, version: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Names:
    """What a status tells and nothing depends on."""

    peer: str
    interface: str
    place: Place
    framing: Framing
    encapsulation: Encapsulation


@dataclass(frozen=True, slots=True)
class Parts:
    line: Line
    codec: Callable[[], Codec]
    machine: LinkMachine
    interface: Interface
    addresses: Addresses
    seen: Callable[[bytes, bool], None]
    lot: Callable[[], float]


class Keeper:
    def __init__(self, names: Names, parts: Parts) -> None:
        self._names, self._parts = names, parts
        self._tally = Tally()
        self._around = Surroundings(parts.machine, parts.interface, self._tally, self._change, parts.seen)
        self._backoff = Backoff(parts.line.longest)
        self._families: dict[int, Up] = {}
        self._problems: dict[int, str] = {}
        self._up_since: float | None = None
        self._was_up = False
        self._opened = 0
        self._state, self._last_end = "waiting", ""
        self._alike = 0
        "Ends in a row that were the same, without anything that passed between."
        self._stopping = asyncio.Event()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def stop(self) -> None:
        """`run` ends, after a word to the peer."""
        self._stopping.set()

    async def run(self) -> None:
        """Until told to stop. `LineError`: the line does not come back; `EnvironmentProblem`: that would be no use."""
        while not self._stopping.is_set():
            self._state = "waiting"
            try:
                ended = await self._once()
            except LineError as error:
                ended = Hangup(str(error))
            if self._stopping.is_set():
                return
            self._alike = self._alike + 1 if ended.reason == self._last_end else 1
            self._last_end = ended.reason
            if ended.fatal and self._parts.line.calls and not self._was_up:
                raise EnvironmentProblem(f"{self._parts.line.where}: {ended.reason}")
            if not self._parts.line.lasting:
                raise LineError(f"{self._parts.line.where}: {ended.reason}")
            pause = self._backoff.failed(self._parts.lot())
            times = f", {self._alike} times alike" if self._alike > 1 else ""
            log.log(self._level(), "%s: %s; again in %.1f s%s", self._names.peer, ended.reason, pause, times)
            self._state = "retrying"
            await self._unless_stopped(asyncio.sleep(pause))

    async def _once(self) -> Hangup:
        channel = await self._unless_stopped(self._parts.line.open())
        if channel is None:
            return Hangup("stopped")
        self._opened += 1
        self._state = "open"
        log.log(self._level(), "%s: %s is open", self._names.peer, self._parts.line.where)
        session = Session(channel, self._parts.codec(), self._around)
        running = asyncio.create_task(session.run())
        try:
            await self._unless_stopped(self._served(running))
            if running.done():
                return running.result()
            log.info("%s: ending, the peer is told", self._names.peer)
            session.stop()
            await asyncio.wait([running], timeout=GOODBYE)
            ended = running.result() if running.done() else Hangup("the peer did not answer our goodbye")
            if self.stopping:
                return ended
            return Hangup(f"no packet could pass within {self._parts.line.patience:g} s, and others may be waiting")
        finally:
            running.cancel()
            await channel.finish()

    async def _served(self, running: asyncio.Task[Hangup]) -> None:
        """Until it is over, or a peer has for too long kept others out in vain."""
        await asyncio.wait([running], timeout=self._parts.line.patience or None)
        if self._families:
            await asyncio.wait([running])

    async def _unless_stopped(self, work: Awaitable[T]) -> T | None:
        """None where told to stop before it was done."""
        doing = asyncio.ensure_future(work)
        told = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((doing, told), return_when=asyncio.FIRST_COMPLETED)
            return doing.result() if doing.done() else None
        finally:
            for each in (doing, told):
                each.cancel()

    def _level(self) -> int:
        """What goes on and on is told ever more rarely: the 1st, 2nd, 4th, 8th, … time."""
        return logging.DEBUG if self._alike & (self._alike - 1) else logging.INFO

    async def _change(self, change: Up | Down) -> None:
        """What the kernel refuses is told, and the link goes on: the peer cannot mend it."""
        version = change.local.version if isinstance(change, Up) else change.version
        self._problems.pop(version, None)
        addresses = self._parts.addresses
        try:
            if isinstance(change, Up):
                self._note_up(change)
                await addresses.up(change)
            else:
                self._note_down(change)
                await addresses.down(version)
        except DataplaneError as error:
            self._problems[version] = str(error)
            log.warning("%s: %s", self._names.peer, error)

    def _note_up(self, change: Up) -> None:
        self._backoff.succeeded()
        self._was_up = True
        self._alike = 0
        self._families[change.local.version] = change
        if self._up_since is None:
            self._up_since = asyncio.get_running_loop().time()
        log.info("%s: up, %s to %s, MTU %d", self._names.peer, change.local, change.remote or "anybody", change.mtu)

    def _note_down(self, change: Down) -> None:
        self._families.pop(change.version, None)
        if not self._families:
            self._up_since = None
        log.info("%s: IPv%d down: %s", self._names.peer, change.version, change.reason)

    def status(self) -> LinkStatus:
        tally, machine, line = self._tally, self._parts.machine, self._parts.line
        now = asyncio.get_running_loop().time()
        return LinkStatus(
            name=self._names.peer,
            pid=os.getpid(),
            version=version("vipd"),
            interface=self._names.interface,
            line=str(self._names.place),
            where=line.where,
            line_state=self._state,
            framing=self._names.framing,
            encapsulation=self._names.encapsulation,
            phase=machine.phase,
            uptime=None if self._up_since is None else now - self._up_since,
            families=[
                FamilyStatus(local=each.local, remote=each.remote, mtu=each.mtu)
                for _, each in sorted(self._families.items())
            ],
            agreed=dict(machine.agreed),
            frames_in=tally.frames_in,
            frames_out=tally.frames_out,
            packets_in=tally.packets_in,
            packets_out=tally.packets_out,
            octets_in=tally.octets_in,
            octets_out=tally.octets_out,
            faults=dict(tally.faults),
            dropped=dict(tally.dropped),
            counters=dict(machine.counters),
            opened=self._opened,
            peers_refused=line.refused,
            last_end=self._last_end or None,
            problems=list(self._problems.values()),
        )
