"""The daemon at work: one task for each concern."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Final

from vipd.api.schema import Drained, InterfaceStatus, Reloaded, Status, Usage, VipStatus
from vipd.api.server import application
from vipd.api.serving import Server, listen
from vipd.config import Reloading
from vipd.daemon import report
from vipd.daemon.drains import drained_servers, matching_servers
from vipd.daemon.keeper import Keeper
from vipd.dataplane.port import Matching
from vipd.drivers.claims import Guard, announce
from vipd.drivers.ledger import Drain
from vipd.drivers.machine import notify
from vipd.drivers.watch import Watcher
from vipd.errors import DirectorError
from vipd.model.director import with_port
from vipd.model.instance import Instance
from vipd.model.state import Connection

log = logging.getLogger(__name__)

_BEAT: Final = 5.0
"Seconds between two comparisons of what is with what should be, where nothing calls for one."
_LOOK: Final = 0.4
"Seconds between two looks at our interfaces: nobody tells when a program is taken off."
_SETTLE: Final = 0.05
"Seconds in which one change often brings the next."
_SHARE: Final = 20
"Comparing takes at most a 20th of the time."
_SHORTEST: Final = 0.05
"Seconds between two samples that a rate can be told from."
_BATCH: Final = 1000


class Daemon:
    """Implements the API's `Control`."""

    def __init__(self, instance: Instance, path: Path, keeper: Keeper) -> None:
        self._instance, self._path, self._keeper = instance, path, keeper
        self._reloading = Reloading(keeper.loaded)
        self._guard = Guard(lambda: keeper.found.mine, time.monotonic)
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Until told to stop; forwarding goes on."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        server = Server(application(self))
        listener = listen(self._instance.socket)
        with Watcher() as watcher:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(server.serve(sockets=[listener]))
                endless = [
                    tasks.create_task(self._keep(watcher)),
                    tasks.create_task(self._look()),
                    tasks.create_task(self._guard_vips()),
                ]
                loop.add_signal_handler(signal.SIGHUP, lambda: tasks.create_task(self._reload_or_say_why_not()))
                notify("READY=1")
                log.info("ready: %s", ", ".join(self._keeper.found.links.keys() & set(self._interfaces())))
                await self._stopping.wait()
                notify("STOPPING=1")
                loop.remove_signal_handler(signal.SIGHUP)
                server.should_exit = True
                for task in endless:
                    task.cancel()
        with suppress(FileNotFoundError):
            self._instance.socket.unlink()

    def _interfaces(self) -> tuple[str, ...]:
        return self._keeper.loaded.director.interfaces

    async def _keep(self, watcher: Watcher) -> None:
        pause = _BEAT
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await watcher.changed()
            await asyncio.sleep(_SETTLE)
            began = time.monotonic()
            await self._keeper.beat()
            took = time.monotonic() - began
            pause = max(_BEAT, _SHARE * took)
            # A storm of changes elsewhere on the machine must not keep us busy all the time.
            await asyncio.sleep(took)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            try:
                await self._keeper.look()
            except DirectorError as error:
                log.warning("%s", error)

    async def _guard_vips(self) -> None:
        """Announce what is new and listen for others; from the beginning wherever a place changes."""
        while True:
            self._keeper.moved.clear()
            found = self._keeper.found
            up = {link.name for link in found.links.values() if link.up}
            places = [place for place in found.places(ours=False) if place.interface in up]
            ours = [place for place in found.places(ours=True) if place.interface in up]
            tasks = [asyncio.create_task(announce(ours)), asyncio.create_task(self._guard.run(places))]
            moved = asyncio.create_task(self._keeper.moved.wait())
            try:
                await moved
            finally:
                for task in (*tasks, moved):
                    task.cancel()
                _tell(await asyncio.gather(*tasks, return_exceptions=True))

    async def status(self) -> Status:
        keeper = self._keeper
        site, director = keeper.site, keeper.loaded.director
        now = await keeper.kernel(site.sample, time.monotonic())
        totals = await keeper.kernel(site.plane.totals)
        before = next((each for each in reversed(keeper.samples) if each and now.at - each.at > _SHORTEST), None)
        conflicts = [*keeper.conflicts, *self._guard.conflicts()]
        return Status(
            instance=self._instance.name,
            pid=os.getpid(),
            version=version("vipd"),
            config=str(self._path),
            services=report.services(
                director, now, before, drained_servers(site.ledger.contents.drains), keeper.found.paths
            ),
            vips=[
                VipStatus(
                    address=placement.address,
                    interface=placement.interface,
                    ours=placement.ours,
                    conflicts=[each.mac for each in conflicts if each.address == placement.address],
                )
                for placement in keeper.found.placements
            ],
            interfaces=[
                InterfaceStatus(name=name, mode=site.attached[name].mode if name in site.attached else "missing")
                for name in director.interfaces
            ],
            connections=Usage(used=report.used(now), limit=director.connections),
            outcomes=dict(totals.outcomes),
            events=dict(totals.events),
            problems=list(keeper.problems.values()),
        )

    async def connections(self, matching: Matching, limit: int) -> AsyncIterator[Sequence[Connection]]:
        found = self._keeper.site.plane.connections(matching)
        wanted = islice(found, limit or None)
        # The table may be large: others get their turn between two batches.
        while batch := await self._keeper.kernel(lambda: list(islice(wanted, _BATCH))):
            yield batch

    async def reload(self) -> Reloaded:
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            done = await self._keeper.change(await asyncio.to_thread(self._reloading.load, self._path))
        finally:
            notify("READY=1")
        log.info("reloaded %s: services put or removed: %d, VIPs: %d", self._path, done.changes, done.vips)
        return done

    async def _reload_or_say_why_not(self) -> None:
        try:
            await self.reload()
        except DirectorError as error:
            log.warning("%s is refused, the old configuration stays in force:\n%s", self._path, error)

    async def drain(self, service: str, server: str, drained: bool) -> Drained:
        found, servers = matching_servers(self._keeper.loaded.director, service, server)
        drains = tuple(Drain(service=found.name, address=each.address, port=each.port) for each in servers)
        await self._keeper.drain(drains, drained)
        log.info("%s: %s %s", found.name, server, "drained" if drained else "undrained")
        status = await self.status()
        shown = next(each for each in status.services if each.name == found.name).servers
        wanted = {(each.address, each.port) for each in servers}
        left = [each for each in shown if (each.address, each.port) in wanted and not each.removed]
        return Drained(
            service=found.name,
            servers=[with_port(each.address, each.port) for each in servers],
            connections=sum(each.active + each.inactive for each in left),
        )

    async def stop(self) -> None:
        self._stopping.set()


def _tell(ended: Sequence[BaseException | None]) -> None:
    """An interface that went away took the sockets on it along; anything else is a mistake of ours."""
    for text in {str(each) for each in ended if isinstance(each, DirectorError)}:
        log.warning("%s", text)
    for each in ended:
        if isinstance(each, BaseException) and not isinstance(each, DirectorError | asyncio.CancelledError):
            raise each
