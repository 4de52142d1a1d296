"""Maglev's lookup table (Eisenbud et al., NSDI 2016, section 3.4), weighted and keyed. Pure.

The servers take turns; in his turn a server takes the first slot of his own permutation that
is still free. The heaviest has a turn in every round, others in proportion to their weight.
Whose turn comes first within a round, and every permutation, follow from a keyed hash of the
server's address and port alone: the order of a list never matters, and nobody who lacks the
key can aim at a server.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vipd.control.siphash import siphash
from vipd.model.director import Address

Integers = NDArray[np.int64]
Index = NDArray[np.uint32]

IDENTITY: Final = 18
"Bytes that name a server."

_V4_PREFIX: Final = 0xFFFF
_BATCH: Final = 32_768
"Slots that are filled together: what a processor has near at hand."
_ORDER: Final = 0
_OFFSET: Final = 1
_SKIP: Final = 2

_STEP: Final = 0.35
"How much of what is free is shared out between two looks ahead."
_AHEAD: Final = 1.25
_DOUBT: Final = 0.7
"Free slots looked for: so many times a row's turns, since others take some meanwhile, and their root."
_TAIL: Final = 0.5
"With less than this times the table's size to sort, the last free slots are sorted per server."


def identities(servers: Sequence[tuple[Address, int]]) -> bytes:
    """18 bytes for each server: the address, IPv4 as ::ffff:a.b.c.d, and the port."""
    return b"".join(
        [
            (_V4_PREFIX << 32 | int(address) if address.version == 4 else int(address)).to_bytes(16, "big")
            + port.to_bytes(2, "big")
            for address, port in servers
        ]
    )


def keyed(identity: NDArray[np.uint8], secret: bytes) -> NDArray[np.uint64]:
    """Three hashes for each server: whose turn comes first, where he begins, how far he steps."""
    purposes = np.array([_ORDER, _OFFSET, _SKIP], np.uint8)
    messages = np.empty((len(identity), 3, IDENTITY + 1), np.uint8)
    messages[:, :, :IDENTITY] = identity[:, None, :]
    messages[:, :, IDENTITY] = purposes
    return siphash(secret, messages.reshape(-1, IDENTITY + 1)).reshape(-1, 3)


@dataclass(frozen=True, slots=True)
class Request:
    """Servers, as `identities` has them, and their weights, for one table."""

    identity: bytes
    weights: tuple[int, ...]


def table(servers: Sequence[tuple[Address, int]], weights: Sequence[int], slots: int, secret: bytes) -> Index:
    """For each slot the index of its server; `slots` is a prime. Weight 0 gets none."""
    return tables([Request(identities(servers), tuple(weights))], slots, secret)[0]


def tables(requests: Sequence[Request], slots: int, secret: bytes) -> list[Index]:
    """Many tables of one size: much faster than one by one if they are small."""
    result = []
    batch = max(1, _BATCH // slots)
    for start in range(0, len(requests), batch):
        result += _tables(requests[start : start + batch], slots, secret)
    return result


def _tables(requests: Sequence[Request], slots: int, secret: bytes) -> list[Index]:
    sizes = [len(request.weights) for request in requests]
    weight = np.array([weight for request in requests for weight in request.weights], np.int64)
    number = np.repeat(np.arange(len(requests)), sizes)
    index = np.arange(len(weight)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    identity = np.frombuffer(b"".join([request.identity for request in requests]), np.uint8)
    hashes = keyed(identity.reshape(-1, IDENTITY), secret)
    taking = np.flatnonzero(weight)
    rows = taking[np.lexsort((hashes[taking, _ORDER], number[taking]))]
    offset = (hashes[rows, _OFFSET] % np.uint64(slots)).astype(np.int64)
    skip = (hashes[rows, _SKIP] % np.uint64(slots - 1)).astype(np.int64) + 1
    filled = fill(number[rows], offset, skip, weight[rows], slots, len(requests))
    with_servers = set(number[rows].tolist())
    indices = index[rows].astype(np.uint32)
    return [
        indices[filled[one * slots : (one + 1) * slots]] if one in with_servers else np.empty(0, np.uint32)
        for one in range(len(requests))
    ]


def fill(number: Integers, offset: Integers, skip: Integers, weight: Integers, slots: int, count: int) -> Integers:
    """The row that each slot of each table goes to; rows stand by table and take turns in their order."""
    return _Filling(number, offset, skip, weight, slots, count).run()


class _Filling:
    """Share out some slots, turn by turn; look ahead for everybody; repeat.

    Most of a permutation's slots are taken when the table is nearly full, so the looking
    ahead, which skips them, is done for all rows at once, by array.
    """

    def __init__(
        self, number: Integers, offset: Integers, skip: Integers, weight: Integers, slots: int, count: int
    ) -> None:
        self.number, self.offset, self.skip, self.weight, self.slots = number, offset, skip, weight, slots
        heaviest = np.zeros(count, np.int64)
        np.maximum.at(heaviest, number, weight)
        self.heaviest = heaviest[number]
        self.rows = np.bincount(number, minlength=count)
        self.rate = np.bincount(number, weights=weight / self.heaviest, minlength=count)
        self.round = np.zeros(count, np.int64)
        self.had = np.zeros(len(number), np.int64)
        self.left = np.where(self.rows > 0, slots, 0)
        self.free = bytearray(b"\1") * (slots * count)
        self.seen = np.zeros(len(number), np.int64)
        "How many places of each permutation have been looked at."
        self.ahead: list[list[int]] = [[] for _ in number]
        "Slots of each permutation that were free when looked at, in its order."
        self.cursor = [iter(each) for each in self.ahead]
        self.owner = array("q", bytes(8 * slots * count))

    def run(self) -> Integers:
        while self.left.any():
            ending = np.minimum(self.rows, self.left) * self.left <= _TAIL * self.slots
            most = np.where(ending, self.left, np.ceil(_STEP * self.left).astype(np.int64))
            turns = self._turns(most)
            last = ending[self.number[turns]]
            self._look_ahead(turns[~last])
            self._look_to_the_end(np.unique(turns[last]), ending)
            self._share_out(turns)
        return np.frombuffer(self.owner, np.int64)

    def _turns(self, most: Integers) -> Integers:
        """The rows whose turn it is, by table and in order, so many of each table.

        The k-th turn (from 0) of weight w comes in round ceil((2k + 1) W / 2w) - 1.
        """
        number, w, heaviest = self.number, self.weight, self.heaviest
        rounds = np.where(most > 0, np.ceil((most + self.rows) / np.maximum(self.rate, 1e-9)) + 1, 0).astype(np.int64)
        until = (2 * (self.round + rounds)[number] * w + heaviest) // (2 * heaviest)
        more = np.where(most[number] > 0, until - self.had, 0)
        row = np.repeat(np.arange(len(w)), more)
        turn = np.arange(len(row)) - np.repeat(np.cumsum(more) - more - self.had, more)
        when = ((2 * turn + 1) * heaviest[row] + 2 * w[row] - 1) // (2 * w[row])
        order = np.lexsort((row, when, number[row])) if len(most) > 1 else np.argsort(when * len(w) + row)
        row, when = row[order], when[order]
        each = np.bincount(number[row], minlength=len(most))
        start = np.cumsum(each) - each
        taking = np.arange(len(row)) - start[number[row]] < most[number[row]]
        self.had = self.had + np.bincount(row[taking], minlength=len(w))
        busy = most > 0
        self.round[busy] = when[(start + most - 1)[busy]] - 1
        return row[taking]

    def _look_ahead(self, turns: Integers) -> None:
        """About as many further slots for each row as its turns will need."""
        if not len(turns):
            return
        share = self.slots / np.maximum(self.left, 1)[self.number]
        mine = np.bincount(turns, minlength=len(share))
        depth = np.where(mine > 0, (mine * _AHEAD + np.sqrt(mine) * _DOUBT) * share, 0).astype(np.int64)
        np.minimum(depth, self.slots - self.seen, out=depth)
        slots = self._modulo(self._places(depth))
        if len(self.left) > 1:
            slots += np.repeat(self.number * self.slots, depth)
        self.seen += depth
        still = np.frombuffer(self.free, np.bool_)[slots]
        found = slots[still].tolist()
        ends = np.append(0, np.cumsum(still, dtype=np.int64))[np.cumsum(depth)]
        start = 0
        for ahead, end in zip(self.ahead, ends.tolist(), strict=True):
            if end > start:
                ahead.extend(found[start:end])
            start = end

    def _places(self, depth: Integers) -> Integers:
        """The next so many places of each row's permutation, before the modulo: one running sum."""
        looking = np.flatnonzero(depth)
        first, step, size = (self.offset + self.skip * self.seen)[looking], self.skip[looking], depth[looking]
        places = np.repeat(step, size)
        before = np.append(0, (first + step * (size - 1))[:-1])
        places[np.cumsum(size) - size] = first - before
        return np.cumsum(places, out=places)

    def _look_to_the_end(self, rows: Integers, ending: NDArray[np.bool_]) -> None:
        """All that is free, in the order of each of the rows' permutations."""
        if not len(rows):
            return
        free = np.flatnonzero(np.frombuffer(self.free, np.bool_))
        free = free[ending[free // self.slots]]
        each = np.bincount(free // self.slots, minlength=len(ending))
        number = self.number[rows]
        size = each[number]
        row = np.repeat(rows, size)
        nth = np.arange(len(row)) - np.repeat(np.cumsum(size) - size, size)
        slot = free[np.repeat((np.cumsum(each) - each)[number], size) + nth] % self.slots
        place = self._modulo((slot - self.offset[row]) % self.slots * np.repeat(self._inverse(self.skip[rows]), size))
        place += row * self.slots
        place.sort()
        slot = (
            self._modulo(self.offset[row] + self.skip[row] * (place - row * self.slots)) + self.number[row] * self.slots
        )
        slots, start = slot.tolist(), 0
        for one, end in zip(rows.tolist(), np.cumsum(size).tolist(), strict=True):
            self.cursor[one] = iter(slots[start:end])
            start = end

    def _share_out(self, turns: Integers) -> None:
        free, cursor, owner = self.free, self.cursor, self.owner
        for row in turns.tolist():
            for slot in cursor[row]:
                if free[slot]:
                    free[slot] = 0
                    owner[slot] = row
                    break
            else:
                owner[self._beyond(row)] = row
        self.left -= np.bincount(self.number[turns], minlength=len(self.left))

    def _beyond(self, row: int) -> int:
        """The next free slot behind everything looked at, for a row that has used it up."""
        free, slots, step, seen = self.free, self.slots, int(self.skip[row]), int(self.seen[row])
        base = int(self.number[row]) * slots
        slot = (int(self.offset[row]) + step * seen) % slots
        while not free[base + slot]:
            slot += step
            seen += 1
            if slot >= slots:
                slot -= slots
        free[base + slot] = 0
        self.seen[row] = seen + 1
        self.ahead[row].clear()
        self.cursor[row] = iter(self.ahead[row])
        return base + slot

    def _modulo(self, values: Integers) -> Integers:
        """`values % slots`; numpy divides by a scalar much faster than it takes a remainder."""
        whole = values.view(np.uint64) // np.uint64(self.slots)
        whole *= np.uint64(self.slots)
        values -= whole.view(np.int64)
        return values

    def _inverse(self, values: Integers) -> Integers:
        """Of each value modulo the prime, by Fermat's little theorem."""
        result, power, exponent = np.ones_like(values), values, self.slots - 2
        while exponent:
            if exponent & 1:
                result = result * power % self.slots
            power = power * power % self.slots
            exponent >>= 1
        return result
