"""Who has an address on a segment: asked before we take it, told when we have, watched ever after."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final, Self, TypeAlias

from vipd.drivers.segment import Segment, ethertype_of
from vipd.errors import WireError
from vipd.model.director import Address
from vipd.wire import arp, ndp
from vipd.wire.ethernet import Frame, mac_text, multicast_mac

log = logging.getLogger(__name__)

_PROBES: Final = 3
_PROBE_GAP: Final = 0.2
"RFC 5227 waits up to 7 s in all; a data centre's switch answers in 1 ms, and a restart should not take so long."
_ANNOUNCEMENTS: Final = (0.0, 1.0, 2.0)
_DEFENCE_GAP: Final = 10.0
"RFC 5227 2.4 (c): never give up, but do not fight more often than this."
_LOG_GAP: Final = 60.0
_WATCH_GAP: Final = 30.0
"Between two questions whether anybody else answers for an address of ours."
_WATCH_SPREAD: Final = 0.02


@dataclass(frozen=True, slots=True)
class Place:
    """An address on a segment that we hold it on, or mean to."""

    address: Address
    interface: str
    ifindex: int
    mac: bytes


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another machine answers for an address of ours."""

    address: Address
    interface: str
    mac: str

    def __str__(self) -> str:
        return f"{self.address} on {self.interface} is answered for by {self.mac} too"


Mine: TypeAlias = Callable[[], Collection[bytes]]
"The MAC addresses of this machine."


def _probe(place: Place) -> Frame:
    if isinstance(place.address, IPv4Address):
        return arp.probe(place.address, place.mac)
    return ndp.probe(place.address, place.mac)


def _announcement(place: Place) -> Frame:
    if isinstance(place.address, IPv4Address):
        return arp.announcement(place.address, place.mac)
    return ndp.announcement(place.address, place.mac, router=True)


def _other_owner(frame: Frame, mine: Collection[bytes], probing: bool) -> tuple[Address, bytes] | None:
    """The address that the frame claims for another machine, and that machine's MAC."""
    if frame.source in mine:
        return None
    try:
        if frame.type == ethertype_of(4):
            heard = arp.Arp.decode(frame.payload)
            if arp.wants(heard, heard.target, mine):
                return (heard.target, heard.sender_mac) if probing else None
            return (heard.sender, heard.sender_mac) if arp.claims(heard, heard.sender, mine) else None
        message = ndp.decode(frame.payload)
    except WireError:
        return None
    if isinstance(message, ndp.Advertisement):
        return message.target, message.mac or frame.source
    if probing and message.source == ndp.UNSPECIFIED:
        return message.target, frame.source
    return None


class Segments:
    """The packet sockets of a set of places, one for each interface and family, open for a while."""

    def __init__(self, places: Iterable[Place]) -> None:
        self.places = tuple(places)
        self._stack = ExitStack()
        self._segments: dict[tuple[str, int], Segment] = {}

    def __enter__(self) -> Self:
        try:
            for place in self.places:
                self._segment(place)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _segment(self, place: Place) -> Segment:
        key = place.interface, place.address.version
        if key not in self._segments:
            segment = Segment(place.interface, place.ifindex, ethertype_of(place.address.version))
            self._segments[key] = self._stack.enter_context(segment)
        segment = self._segments[key]
        if not isinstance(place.address, IPv4Address):
            segment.join(multicast_mac(ndp.solicited_node(place.address)))
        return segment

    def send(self, place: Place, frame: Frame) -> None:
        self._segments[place.interface, place.address.version].send(frame)

    def all(self) -> Iterable[Segment]:
        return self._segments.values()


async def conflicts(places: Iterable[Place], mine: Collection[bytes]) -> tuple[Conflict, ...]:
    """Ask on every segment at once who has these addresses; about 0.6 s."""
    found: dict[tuple[Address, str], Conflict] = {}

    async def listen(segment: Segment, wanted: Collection[Address]) -> None:
        while True:
            owner = _other_owner(await segment.received.get(), mine, probing=True)
            if owner and owner[0] in wanted:
                conflict = Conflict(owner[0], segment.interface, mac_text(owner[1]))
                found.setdefault((owner[0], segment.interface), conflict)

    with Segments(places) as segments:
        if not segments.places:
            return ()
        listeners = [
            asyncio.create_task(
                listen(segment, {place.address for place in segments.places if place.interface == segment.interface})
            )
            for segment in segments.all()
        ]
        try:
            for _ in range(_PROBES):
                for place in segments.places:
                    segments.send(place, _probe(place))
                await asyncio.sleep(_PROBE_GAP)
        finally:
            for listener in listeners:
                listener.cancel()
            await asyncio.gather(*listeners, return_exceptions=True)
    return tuple(found.values())


async def announce(places: Iterable[Place]) -> None:
    """Tell every segment, three times over two seconds, that the addresses are here."""
    with Segments(places) as segments:
        for pause in _ANNOUNCEMENTS:
            await asyncio.sleep(pause)
            for place in segments.places:
                segments.send(place, _announcement(place))


class Guard:
    """Watches addresses that we hold. A machine that answers too is logged, shown and answered back."""

    def __init__(self, mine: Mine, clock: Callable[[], float]) -> None:
        self._mine = mine
        self._clock = clock
        self._seen: dict[Conflict, float] = {}
        self._logged: dict[Conflict, float] = {}
        self._defended: dict[Address, float] = {}

    def conflicts(self) -> tuple[Conflict, ...]:
        """Those seen within the last two rounds of questions."""
        since = self._clock() - 2 * _WATCH_GAP
        self._seen = {conflict: at for conflict, at in self._seen.items() if at >= since}
        return tuple(self._seen)

    async def run(self, places: Iterable[Place]) -> None:
        """Until cancelled."""
        with Segments(places) as segments:
            if not segments.places:
                return
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._ask(segments))
                for segment in segments.all():
                    wanted: Mapping[Address, Place] = {
                        place.address: place for place in segments.places if place.interface == segment.interface
                    }
                    tasks.create_task(self._listen(segments, segment, wanted))

    async def _ask(self, segments: Segments) -> None:
        """A real server that answers for the VIP tells only who asks, so ask."""
        while True:
            await asyncio.sleep(_WATCH_GAP)
            for place in segments.places:
                segments.send(place, _probe(place))
                await asyncio.sleep(_WATCH_SPREAD)

    async def _listen(self, segments: Segments, segment: Segment, wanted: Mapping[Address, Place]) -> None:
        while True:
            owner = _other_owner(await segment.received.get(), self._mine(), probing=False)
            if owner and owner[0] in wanted:
                place = wanted[owner[0]]
                self._note(Conflict(place.address, segment.interface, mac_text(owner[1])))
                if self._clock() - self._defended.get(place.address, float("-inf")) >= _DEFENCE_GAP:
                    self._defended[place.address] = self._clock()
                    segments.send(place, _announcement(place))

    def _note(self, conflict: Conflict) -> None:
        now = self._clock()
        self._seen[conflict] = now
        if now - self._logged.get(conflict, float("-inf")) >= _LOG_GAP:
            self._logged[conflict] = now
            log.warning("%s", conflict)
