"""The machine under one director: data plane, netlink, settings. Blocks; for one thread at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from vipd.control import Desired, plan, policies
from vipd.daemon.report import Sample
from vipd.daemon.survey import Survey, survey
from vipd.dataplane.links import ETHERNET, POINT_TO_POINT, Attachment
from vipd.dataplane.port import NO_MAC, Port
from vipd.dataplane.xdp import XdpDataplane
from vipd.drivers import neighbours, offloads, sysctls, vips
from vipd.drivers.ledger import Ledger
from vipd.drivers.network import Link, Memory, Network
from vipd.drivers.vips import Placement
from vipd.errors import DirectorError
from vipd.model.director import Address, Director, Endpoint, OnServerRemoved
from vipd.model.state import HeldService

log = logging.getLogger(__name__)

_RESOLVE: Final = 1.0
"Seconds that new neighbours get before the first packet is sent their way."
_RESOLVE_STEP: Final = 0.02


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be in force."""

    director: Director
    wanted: Mapping[Endpoint, HeldService]
    policies: Mapping[Endpoint, OnServerRemoved]


def goal_of(
    desire: Desired,
    director: Director,
    found: Survey,
    secret: bytes,
    drained: frozenset[tuple[str, Address, int | None]],
) -> Goal:
    return Goal(director, desire(director, found.reach, secret, drained), policies(director))


class Site:
    """`memory` and `found`: what the network told already, and what followed from it."""

    def __init__(
        self, plane: XdpDataplane, ledger: Ledger, memory: Memory | None = None, found: Survey | None = None
    ) -> None:
        self.plane = plane
        self.ledger = ledger
        self.network = Network(memory)
        self._found = found
        self._settled: tuple[object, object] = (None, None)
        "Placements and what the ledger said, when no VIP of ours was elsewhere."
        self.attached: Mapping[str, Attachment] = {}
        self._seen: Mapping[str, tuple[int, bytes, int]] = {}
        "Of each interface when we last attached: index, MAC, program."

    def close(self) -> None:
        """All stays in force."""
        self.network.close()

    def survey(self, director: Director) -> Survey:
        lingering = self.plane.usage.vips(director.vips.keys())
        self._found = survey(self.network, self.ledger.contents.addresses, director, lingering, self._found)
        return self._found

    def settle(self, director: Director, found: Survey) -> None:
        """Settings of the interfaces, and neighbours: new ones get a moment to answer."""
        names = [name for name in director.interfaces if name in found.links]
        sysctls.apply(self.ledger, sysctls.wanted(names, found.unrouted_sources))
        unresolved = neighbours.keep_resolved(self.network, self.ledger, found.hops)
        deadline = time.monotonic() + _RESOLVE
        while unresolved and time.monotonic() < deadline:
            time.sleep(_RESOLVE_STEP)
            present = self.network.neighbours()
            unresolved = frozenset(hop for hop in unresolved if hop not in present or not present[hop].resolved)
        for address, _ in unresolved:
            log.warning("%s does not answer for its MAC address yet", address)

    def apply(self, goal: Goal, former: Mapping[Endpoint, OnServerRemoved] | None = None) -> int:
        """Make the data plane so; `former` policies know services that are to go. How many changes it took."""
        changes = plan(goal.wanted, self.plane.held(), {**(former or {}), **goal.policies})
        if changes:
            self.plane.apply(changes)
        return len(changes)

    def attach(self, director: Director, links: Mapping[str, Link]) -> dict[str, str]:
        """Look at what comes in on the director's interfaces; what is wrong with each that cannot be."""
        wrong: dict[str, str] = {}
        self._set_ports(director, links)
        attached: dict[str, Attachment] = {}
        for name in director.interfaces:
            if name not in links:
                wrong[name] = f"interface {name} is not there; it is attached to as soon as it is back"
                continue
            try:
                attached[name] = self._attach(links[name])
            except DirectorError as error:
                wrong[name] = str(error)
        kept = {attachment.ifindex for attachment in attached.values()}
        for name, attachment in self.attached.items():
            if name not in director.interfaces and attachment.ifindex not in kept:
                log.info("%s: detaching", name)
                self.plane.interfaces.detach(attachment.ifindex)
        self.attached = attached
        self._set_ports(director, links)
        self._seen = self._look(director)
        return wrong

    def _attach(self, link: Link) -> Attachment:
        before = self.attached.get(link.name)
        program = POINT_TO_POINT if link.point_to_point else ETHERNET
        running = link.xdp == self.plane.pins.programs[program].id
        now = self.plane.interfaces.attach(link.ifindex, link.name, program)
        if before is None or before.ifindex != now.ifindex or not running:
            again = "again, " if before is not None else ""
            log.info("%s: attached %s%s%s", link.name, again, now.mode, f" ({now.reason})" if now.reason else "")
        if now.mode == "generic":
            offloads.apply(self.ledger, link.name)
        return now

    def _set_ports(self, director: Director, links: Mapping[str, Link]) -> None:
        """XDP can send out of interfaces whose driver runs it; one without only another without can use.

        Never out of those that have no Ethernet; what comes in there can be sent out of all others.
        """
        segments = {name for name in director.interfaces if name in links and links[name].ethernet}
        modes = {attachment.mode for name, attachment in self.attached.items() if name in segments}
        native = {name for name, attachment in self.attached.items() if attachment.mode == "native"}
        able = segments if modes == {"generic"} else segments & native
        self.plane.set_ports(
            [
                Port(name, links[name].ifindex, links[name].mac if name in segments else NO_MAC, redirect=name in able)
                for name in director.interfaces
                if name in links
            ]
        )

    def _look(self, director: Director) -> dict[str, tuple[int, bytes, int]]:
        found = {name: self.network.link(name) for name in director.interfaces}
        return {name: (link.ifindex, link.mac, link.xdp) for name, link in found.items() if link is not None}

    def disturbed(self, director: Director) -> bool:
        """Whether an interface came, went, or is not as we left it; quick enough to ask twice a second."""
        return self._look(director) != self._seen

    def release(self, placements: tuple[Placement, ...]) -> int:
        """Every VIP of ours that is in none of these places."""
        before = self.ledger.contents.addresses
        if self._settled[0] is placements and self._settled[1] is before:
            return 0
        vips.release(self.network, self.ledger, placements)
        self._settled = (placements, self.ledger.contents.addresses)
        return len(before) - len(self.ledger.contents.addresses)

    def sample(self, now: float) -> Sample:
        return Sample(now, self.plane.counters())
