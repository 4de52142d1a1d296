"""Two link machines on one line, in virtual time: what one sends arrives at the other, or what the line makes of it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import inf
from random import Random
from typing import TypeAlias

from vipd.model.link import Deliver, Down, Effect, Hangup, LinkMachine, Send, Up

DELAY = 0.01
"Seconds that a frame takes."
PAUSE = 3.0, 9.0
"Seconds, at least and at most, before an end that hung up is started anew."

Fate: TypeAlias = Callable[[bytes], Sequence[tuple[float, bytes]]]
"What becomes of a frame: what arrives, and after how long."


def perfect(frame: bytes) -> Sequence[tuple[float, bytes]]:
    return [(DELAY, frame)]


def dead(frame: bytes) -> Sequence[tuple[float, bytes]]:
    del frame
    return []


@dataclass(frozen=True)
class Noise:
    """How likely a frame is lost, doubled, late (so perhaps behind its successors), or arrives with a bit changed."""

    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    changed: float = 0.0

    def fate(self, seed: int) -> Fate:
        random = Random(seed)

        def draw(frame: bytes) -> Sequence[tuple[float, bytes]]:
            if random.random() < self.lost:
                return []
            copies = 2 if random.random() < self.doubled else 1
            return [(self._delay(random), self._content(random, frame)) for _ in range(copies)]

        return draw

    def _delay(self, random: Random) -> float:
        return random.uniform(DELAY, 1.0) if random.random() < self.late else DELAY

    def _content(self, random: Random, frame: bytes) -> bytes:
        if not frame or random.random() >= self.changed:
            return frame
        changed = bytearray(frame)
        changed[random.randrange(len(frame))] ^= 1 << random.randrange(8)
        return bytes(changed)


@dataclass
class End:
    machine: LinkMachine
    name: str = ""
    effects: list[tuple[float, Effect]] = field(default_factory=list)
    "All that it ever did, and when."
    up: dict[int, Up] = field(default_factory=dict)
    "By IP's version."
    packets: list[bytes] = field(default_factory=list)
    "Delivered."
    hangup: Hangup | None = None

    def sent(self) -> list[bytes]:
        return [effect.frame for _, effect in self.effects if isinstance(effect, Send)]


class Line:
    def __init__(
        self,
        one: LinkMachine,
        other: LinkMachine,
        fates: tuple[Fate, Fate] = (perfect, perfect),
        *,
        again: int | None = None,
    ) -> None:
        """`again`: an end that hung up is started anew; the seed of the lots that tell after how long.

        Without lots, two ends could for ever start just when the other gives up.
        """
        self.now = 0.0
        self._lots = None if again is None else Random(again)
        self.one, self.other = self.ends = End(one, "one"), End(other, "other")
        self.fates = list(fates)
        "For what `one` sends, and what `other` sends."
        self._under_way: list[tuple[float, int, int, bytes | None]] = []
        "When, a tie-breaker, at which end, what; None for its new start."
        self._order = count()

    def start(self) -> None:
        for place, end in enumerate(self.ends):
            self.carry_out(place, end.machine.start(self.now))

    def carry_out(self, place: int, effects: Sequence[Effect]) -> None:
        """What `ends[place]` does; also a test may make it do something."""
        end = self.ends[place]
        for effect in effects:
            end.effects.append((self.now, effect))
            match effect:
                case Send():
                    for delay, frame in self.fates[place](effect.frame):
                        self._later(delay, 1 - place, frame)
                case Deliver():
                    end.packets.append(effect.packet)
                case Up():
                    assert effect.local.version not in end.up, "up twice"
                    end.up[effect.local.version] = effect
                case Down():
                    del end.up[effect.version]
                case Hangup():
                    assert end.hangup is None, "hung up twice"
                    assert not end.up, "hung up with a family up"
                    end.hangup = effect
                    if self._lots:
                        self._later(self._lots.uniform(*PAUSE), place, None)
                case _:
                    pass

    def _later(self, delay: float, place: int, frame: bytes | None) -> None:
        heapq.heappush(self._under_way, (self.now + delay, next(self._order), place, frame))

    def cut(self) -> None:
        """From now on nothing arrives, not even what is under way."""
        self.fates[:] = [dead, dead]
        self._under_way.clear()

    def stop(self, place: int) -> None:
        """Unless that end is down already."""
        if self.ends[place].hangup is None:
            self.carry_out(place, self.ends[place].machine.stop(self.now))

    def replug(self) -> None:
        """The line breaks and comes back, at both ends at once."""
        for place, end in enumerate(self.ends):
            self.carry_out(place, end.machine.lost(self.now))
            end.hangup = None
            self.carry_out(place, end.machine.start(self.now))

    def step(self, until: float = inf) -> bool:
        """The next frame or deadline; False if there is none before `until`."""
        arrival = self._under_way[0][0] if self._under_way else inf
        deadline, place = min((end.machine.deadline, place) for place, end in enumerate(self.ends))
        if min(arrival, deadline) > until or min(arrival, deadline) == inf:
            return False
        if arrival <= deadline:
            self.now, _, place, frame = heapq.heappop(self._under_way)
            end = self.ends[place]
            if frame is None:
                end.hangup = None
            self.carry_out(
                place, end.machine.start(self.now) if frame is None else end.machine.receive(frame, self.now)
            )
            return True
        assert deadline >= self.now, "a deadline that has passed was not acted upon"
        self.now = deadline
        self.carry_out(place, self.ends[place].machine.tick(self.now))
        assert self.ends[place].machine.deadline > self.now, "a tick that leaves its deadline where it is"
        return True

    def run(self, until: float) -> None:
        while self.step(until):
            pass
        self.now = until

    def run_till(self, done: Callable[[], bool], until: float) -> bool:
        """Whether it came true."""
        while not done():
            if not self.step(until):
                return False
        return True

    def pass_packet(self, place: int, packet: bytes) -> bool:
        """An IP packet into `ends[place]`; whether it went on the line."""
        frame = self.ends[place].machine.frame(packet)
        if frame is None:
            return False
        self.carry_out(place, [Send(frame)])
        return True
