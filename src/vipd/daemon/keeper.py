"""What is to be in force and what is, brought together: at start, at each reload, and ever again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from vipd.api.schema import Reloaded
from vipd.config import Loaded
from vipd.control import Desired
from vipd.daemon.drains import drained_servers, pruned
from vipd.daemon.report import Sample
from vipd.daemon.site import Goal, Site, goal_of
from vipd.daemon.survey import Survey, homeless, lost, require
from vipd.drivers import vips
from vipd.drivers.claims import Conflict, conflicts
from vipd.drivers.ledger import Drain
from vipd.drivers.vips import Placement
from vipd.errors import ConfigError, DirectorError, EnvironmentProblem, Problem
from vipd.model.director import Address, Director

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Keeper:
    """Everything that blocks runs on one thread, so nothing of the kernel is changed by two at once."""

    def __init__(self, loaded: Loaded, secret: bytes, desire: Desired, open_site: Callable[[], Site]) -> None:
        self.loaded = loaded
        self.problems: dict[str, str] = {}
        "By what we were about; tried again with every beat."
        self.samples: tuple[Sample | None, Sample | None] = (None, None)
        "The last two, the older first."
        self.moved = asyncio.Event()
        "A VIP of ours is in another place than before, or its interface is another."
        self.conflicts: tuple[Conflict, ...] = ()
        "Of VIPs that somebody else took while we did not have them."
        self._secret, self._desire, self._open_site = secret, desire, open_site
        self._thread = ThreadPoolExecutor(1, "kernel")
        self._changing = asyncio.Lock()
        self.site: Site
        self.found: Survey
        self.goal: Goal

    async def kernel(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *args, **kwargs))

    async def begin(self) -> None:
        """Everything in force, then the VIPs: who follows an announcement is served."""
        self.site = await self.kernel(self._open_site)
        director = self.loaded.director
        self.found = await self.kernel(self.site.survey, director)
        self.goal = await self._goal(self.loaded, self.found)
        await self.kernel(self.site.settle, director, self.found)
        await self.kernel(self.site.plane.set_timeouts, director.timeouts)
        await self.kernel(self.site.apply, self.goal)
        wrong = await self.kernel(self.site.attach, director, self.found.links)
        if present := [text for name, text in wrong.items() if name in self.found.links]:
            raise EnvironmentProblem("\n".join(present))
        self._note("attach", wrong)
        await self._take_places(self.found.placements)
        self.samples = (self.samples[1], await self.kernel(self.site.sample, time.monotonic()))

    async def end(self) -> None:
        if hasattr(self, "site"):
            await self.kernel(self.site.close)
        self._thread.shutdown()

    async def change(self, loaded: Loaded) -> Reloaded:
        """To another configuration; refused as a whole where anything in it does not fit."""
        async with self._changing:
            _require_same(self.loaded, loaded)
            found = await self.kernel(self.site.survey, loaded.director)
            require(loaded, found, _interfaces_of(self.loaded.director))
            if found.placements is not self.found.placements:
                known = {placement.address for placement in self.found.placements}
                new = [place for place in found.places(ours=True) if place.address not in known]
                require_free(await conflicts(new, found.mine))
            goal = await self._goal(loaded, found)
            if _settings(loaded, found) != _settings(self.loaded, self.found):
                await self.kernel(self.site.settle, loaded.director, found)
            changes = await self.kernel(self.site.apply, goal, self.goal.policies)
            await self.kernel(self.site.plane.set_timeouts, loaded.director.timeouts)
            self.loaded, self.found, self.goal = loaded, found, goal
            self._note("attach", await self.kernel(self.site.attach, loaded.director, found.links))
            drains = self.site.ledger.contents.drains
            self.site.ledger.drop("drains", pruned(loaded.director, drains))
            claimed = await self._take_places(found.placements)
            return Reloaded(changes=changes, vips=claimed + await self.kernel(self.site.release, found.placements))

    async def drain(self, drains: tuple[Drain, ...], drained: bool) -> None:
        """Written down once it is in force."""
        async with self._changing:
            before = drained_servers(self.site.ledger.contents.drains)
            asked = drained_servers(drains)
            goal = await self._goal(self.loaded, self.found, before | asked if drained else before - asked)
            await self.kernel(self.site.apply, goal, self.goal.policies)
            self.goal = goal
            (self.site.ledger.add if drained else self.site.ledger.drop)("drains", drains)

    async def beat(self) -> None:
        """Compare what is with what should be, and mend it. What fails is told and tried again."""
        async with self._changing:
            director = self.loaded.director
            try:
                found = await self.kernel(self.site.survey, director)
                self._note("place", {f"VIP {vip}": f"VIP {vip}: {text}; it waits for it"
                                     for vip, text in homeless(director, found.links.keys()).items()})  # fmt: skip
                self._note("way", lost(director, found))
                if found.standing() != self.found.standing():
                    self.moved.set()
                self.found = found
                await self.kernel(self.site.settle, director, found)
                self.goal = await self._goal(self.loaded, found)
                if repaired := await self.kernel(self.site.apply, self.goal):
                    log.info("services put right: %d", repaired)
                self._note("attach", await self.kernel(self.site.attach, director, found.links))
                await self._take_back()
                await self.kernel(self.site.release, found.placements)
                await self.kernel(self.site.plane.collect)
                self.samples = (self.samples[1], await self.kernel(self.site.sample, time.monotonic()))
            except DirectorError as error:
                self._note("reconcile", {"": str(error)})
            else:
                self._note("reconcile", {})

    async def look(self) -> None:
        """Our programs on our interfaces, and nothing else: this must be quick."""
        if self._changing.locked() or not await self.kernel(self.site.disturbed, self.loaded.director):
            return
        async with self._changing:
            links = await self.kernel(self.site.network.links)
            self._note("attach", await self.kernel(self.site.attach, self.loaded.director, links))
            self.moved.set()

    async def _goal(
        self, loaded: Loaded, found: Survey, drained: frozenset[tuple[str, Address, int | None]] | None = None
    ) -> Goal:
        if drained is None:
            drained = drained_servers(self.site.ledger.contents.drains)
        return await self.kernel(goal_of, self._desire, loaded.director, found, self._secret, drained)

    async def _take_back(self) -> None:
        """VIPs of ours that are missing: their interface came back, or somebody took them away."""
        missing = [placement for placement in self.found.placements if placement.ours and not placement.present]
        places = [placement.place for placement in missing if placement.place is not None]
        self.conflicts = await conflicts(places, self.found.mine)
        taken = {conflict.address for conflict in self.conflicts}
        self._note("claim", {str(conflict.address): str(conflict) for conflict in self.conflicts})
        await self._take_places(placement for placement in missing if placement.address not in taken)

    async def _take_places(self, placements: Iterable[Placement]) -> int:
        due = [placement for placement in placements if placement.ours and not placement.present]
        if due:
            await self.kernel(vips.claim, self.site.ledger, due)
            self.moved.set()
        return len(due)

    def _note(self, about: str, wrong: dict[str, str]) -> None:
        """Each problem is logged once as it comes and once as it goes."""
        now = {f"{about} {what}": text for what, text in wrong.items()}
        before = {key: text for key, text in self.problems.items() if key.split(" ")[0] == about}
        for key in now.keys() - before.keys():
            log.warning("%s", now[key])
        for key in before.keys() - now.keys():
            log.info("no longer: %s", before[key])
        self.problems = {key: text for key, text in self.problems.items() if key not in before} | now


def _interfaces_of(director: Director) -> frozenset[str]:
    """All that it names."""
    return frozenset(director.interfaces) | {vip.interface for vip in director.vips.values() if vip.interface}


def _settings(loaded: Loaded, found: Survey) -> tuple[object, ...]:
    """What settings and neighbours follow from."""
    return loaded.director.interfaces, found.hops, found.unrouted_sources


def require_free(taken: Iterable[Conflict]) -> None:
    """Two owners of an address help nobody."""
    if told := [f"VIP {conflict}; take it off that machine, or keep it from answering" for conflict in taken]:
        raise EnvironmentProblem("\n".join(told))


def _require_same(before: Loaded, after: Loaded) -> None:
    """What is fixed as long as the tables live."""
    fixed = ("connections", "secret_file")
    different = [name for name in fixed if getattr(before.director, name) != getattr(after.director, name)]
    told = "cannot change while connections are known; leave it as it was, or run 'vipd down' and 'vipd run'"
    if different:
        raise ConfigError(after.placed([Problem(name, told) for name in different]))
