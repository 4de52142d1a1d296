"""Several directors behind a router, which spreads flows over them; how, is the router's business (ECMP). Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vipd.simulation.hashing import Words, share

BUCKETS: Final = 4096
"Of a resilient group: among ten directors their shares differ by 0.3 % then."
MOST: Final = 250
"Directors that there may ever be in one simulation."


class Ecmp(StrEnum):
    """What the router makes of a flow's hash."""

    RESILIENT = "resilient"
    "A table of buckets: only those of a director that goes are given to others."
    THRESHOLD = "threshold"
    "Equal regions of the hash (RFC 2992): every change of the number moves their borders."
    MODULO = "modulo"
    "The remainder of a division: every change of the number moves nearly all flows."


@dataclass(frozen=True, slots=True)
class Fleet:
    """Directors by number. A number is never used again: who comes back has forgotten everything."""

    ecmp: Ecmp
    members: tuple[int, ...]
    buckets: tuple[int, ...]
    "Whose each bucket is, of a resilient group."
    next_number: int

    @classmethod
    def of(cls, count: int, ecmp: Ecmp) -> Fleet:
        members = tuple(range(1, count + 1))
        return cls(ecmp, members, tuple(members[n * count // BUCKETS] for n in range(BUCKETS)), count + 1)

    def lost(self, number: int) -> Fleet:
        """Its buckets go to the others in turn, those with the fewest first."""
        members = tuple(member for member in self.members if member != number)
        held = {member: self.buckets.count(member) for member in members}
        buckets = list(self.buckets)
        for place, owner in enumerate(buckets):
            if owner == number:
                heir = min(members, key=lambda member: held[member])
                held[heir] += 1
                buckets[place] = heir
        return replace(self, members=members, buckets=tuple(buckets))

    def added(self) -> Fleet:
        """A director that knows no connection; it takes an equal share of buckets, from those with the most."""
        new, members = self.next_number, (*self.members, self.next_number)
        held = {member: self.buckets.count(member) for member in self.members}
        buckets = list(self.buckets)
        for _ in range(BUCKETS // len(members)):
            giver = max(self.members, key=lambda member: held[member])
            held[giver] -= 1
            buckets[buckets.index(giver)] = new
        return replace(self, members=members, buckets=tuple(buckets), next_number=new + 1)

    def route(self, hashed: Words) -> NDArray[np.uint8]:
        """The director that gets each flow, by the router's hash of it."""
        match self.ecmp:
            case Ecmp.RESILIENT:
                found = np.array(self.buckets, np.uint8)[hashed & np.uint32(BUCKETS - 1)]
            case Ecmp.THRESHOLD:
                found = np.array(self.members, np.uint8)[share(hashed, len(self.members))]
            case Ecmp.MODULO:
                found = np.array(self.members, np.uint8)[hashed % np.uint32(len(self.members))]
        return np.asarray(found, np.uint8)
