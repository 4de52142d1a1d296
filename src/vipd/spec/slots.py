"""From weights to slots: what rr and wrr walk, lc and wlc look through, sh and mh index. As one would explain it.

The control plane makes these tables before any packet comes, and much faster (control/wrr.py,
control/maglev.py). A test compares the two, slot by slot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import gcd
from typing import Final, NamedTuple

from vipd.model.director import Address, Scheduler
from vipd.spec.configuration import mapped
from vipd.spec.hashes import siphash

EXACT: Final = 4096
"Turns up to which a cycle of wrr is exact."
EACH: Final = 128
"A longer one is rounded to as many turns, or to so many a server if that is more."
_ORDER, _OFFSET, _SKIP = 0, 1, 2
"What Maglev hashes a server for."


class Candidate(NamedTuple):
    """A real server of a service, as far as its place in the tables follows from it."""

    address: Address
    port: int
    "0: the one that the packet came for."
    weight: int


def in_order(candidates: Sequence[Candidate]) -> list[Candidate]:
    """By address, so that directors have the same tables in whatever order the servers were written."""
    return sorted(candidates, key=lambda each: (each.address.version, int(each.address), each.port))


def region(scheduler: Scheduler, candidates: Sequence[Candidate], slots: int, secret: bytes) -> list[int]:
    """What the scheduler goes by: places among `candidates`. Weight 0 is quiesced: it has none."""
    match scheduler:
        case Scheduler.RR | Scheduler.LC | Scheduler.WLC:
            return [place for place, each in enumerate(candidates) if each.weight]
        case Scheduler.WRR:
            return turns([each.weight for each in candidates])
        case Scheduler.SH | Scheduler.MH:
            return maglev(candidates, slots, secret)


def turns(weights: Sequence[int]) -> list[int]:
    """One cycle of wrr: everybody has as many turns as the weight says, as far apart as can be.

    Of a server's t turns, the k-th (from 0) comes (2k + 1) / 2t of the cycle after its beginning; of
    those that come together, the first server's. The shares are those of ip_vs_wrr.c, the order is not.
    """
    divisor = gcd(*weights)
    share = {place: weight // divisor for place, weight in enumerate(weights) if weight}
    longest = max(EXACT, EACH * len(share))
    if sum(share.values()) > longest:
        share = _rounded(share, longest)
    moments = [(Fraction(2 * k + 1, 2 * t), place) for place, t in share.items() for k in range(t)]
    return [place for _, place in sorted(moments)]


def _rounded(share: dict[int, int], total: int) -> dict[int, int]:
    """In proportion, one turn at least; what rounding down leaves goes to the largest remainders."""
    whole = sum(share.values())
    found = {place: max(t * total // whole, 1) for place, t in share.items()}
    missing = max(total - sum(found.values()), 0)
    by_remainder = sorted(share, key=lambda place: found[place] * whole - share[place] * total)
    return {place: t + (place in by_remainder[:missing]) for place, t in found.items()}


def maglev(candidates: Sequence[Candidate], slots: int, secret: bytes) -> list[int]:
    """Maglev's table (Eisenbud et al., NSDI 2016, section 3.4), with weights and a key.

    The servers take turns until no slot is free: whose turn it is takes the first slot of its own
    permutation that is. The heaviest has a turn in each round; of another's turns, so many are due by the
    end of a round as its weight asks for, rounded. Who comes first in a round, where a permutation begins
    and how far it steps, tells a hash with a secret key of address and port.
    """
    taking = sorted(
        (place for place, each in enumerate(candidates) if each.weight),
        key=lambda place: _hash(candidates[place], _ORDER, secret),
    )
    if not taking:
        return []
    heaviest = max(each.weight for each in candidates)
    ways = {place: _permutation(candidates[place], slots, secret) for place in taking}
    had, number = dict.fromkeys(taking, 0), 0
    table: dict[int, int] = {}
    while len(table) < slots:
        number += 1
        due = [place for place in taking if 2 * number * candidates[place].weight >= (2 * had[place] + 1) * heaviest]
        for place in due[: slots - len(table)]:
            table[next(slot for slot in ways[place] if slot not in table)] = place
            had[place] += 1
    return [table[slot] for slot in range(slots)]


def _permutation(candidate: Candidate, slots: int, secret: bytes) -> Iterator[int]:
    """Every slot once: the table's size is a prime."""
    offset = _hash(candidate, _OFFSET, secret) % slots
    skip = _hash(candidate, _SKIP, secret) % (slots - 1) + 1
    return ((offset + step * skip) % slots for step in range(slots))


def _hash(candidate: Candidate, purpose: int, secret: bytes) -> int:
    """SipHash-2-4: these are few, and nobody waits."""
    key = int.from_bytes(secret[:8], "little"), int.from_bytes(secret[8:], "little")
    message = mapped(candidate.address) + candidate.port.to_bytes(2, "big") + bytes((purpose,))
    return siphash(key, message, compress=2, finish=4)
