"""The connection table: where an entry finds room, and how a connection ends. It evicts nobody."""

from __future__ import annotations

from typing import Final, Protocol

from vipd.spec.configuration import Configuration
from vipd.spec.state import BUCKET, Draft, Entry, Flow, Load, ReplyEntry
from vipd.spec.tcp import ACTIVE

_SECOND: Final = 0x9E3779B1


class Owner(Protocol):
    """Who changes the table: a packet, or the sweeper."""

    @property
    def configuration(self) -> Configuration: ...

    @property
    def draft(self) -> Draft: ...


def buckets(hashed: int, count: int) -> tuple[int, int]:
    """The two buckets that a flow of this hash may live in, the first before the second."""
    return hashed * count >> 32, (hashed * _SECOND & 0xFFFFFFFF) * count >> 32


def reserve(owner: Owner, hashed: int) -> int | None:
    """Take a place in the first of the flow's two buckets that has one; None where both are full."""
    for bucket in buckets(hashed, owner.configuration.buckets):
        taken = owner.draft.taken.get(bucket) or 0
        if taken < BUCKET:
            owner.draft.taken.put(bucket, taken + 1)
            return bucket
    return None


def release(owner: Owner, bucket: int) -> None:
    owner.draft.taken.put(bucket, (owner.draft.taken.get(bucket) or 0) - 1)


def is_over(expires: int, tick: int) -> bool:
    """A lookup does not wait for the sweeper (ARCHITECTURE.md, the connection table)."""
    return expires < tick


def end(owner: Owner, flow: Flow, entry: Entry) -> None:
    """Forget a connection: both its entries, and its share of the server's load."""
    draft = owner.draft
    load = draft.loads.get(entry.server) or Load()
    active = entry.state in ACTIVE
    draft.loads.put(entry.server, Load(load.active - active, load.inactive - (not active)))
    if entry.reply is not None:
        reply = draft.connections.get(entry.reply)
        if isinstance(reply, ReplyEntry):
            draft.connections.put(entry.reply, None)
            release(owner, reply.bucket)
    draft.connections.put(flow, None)
    release(owner, entry.bucket)
