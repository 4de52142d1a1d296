"""VLANs on a port (IEEE 802.1Q 6.9, 8.6): which frames it takes as whose, and how they leave."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from vipd.errors import WireError
from vipd.wire.reader import Reader

TYPE_TAG: Final = 0x8100
FIRST, LAST = 1, 4094
_ID: Final = 0x0FFF
_ADDRESSES: Final = 12


@dataclass(frozen=True, slots=True)
class Vlans:
    """A port's: it is a member of some, and frames of its native one travel untagged."""

    members: frozenset[int]
    native: int | None = None
    "None: untagged frames are not taken."

    def __post_init__(self) -> None:
        wrong = sorted(vlan for vlan in self.members if not FIRST <= vlan <= LAST)
        if wrong:
            raise ValueError(f"VLAN {wrong[0]}: {FIRST} to {LAST} expected")
        if self.native is not None and self.native not in self.members:
            raise ValueError(f"the native VLAN {self.native} is none of the port's")


def access(vlan: int) -> Vlans:
    """For a host that knows of no VLAN."""
    return Vlans(frozenset({vlan}), vlan)


def trunk(vlans: Iterable[int], native: int | None = None) -> Vlans:
    """For a switch or a host that tells VLANs apart by their tags."""
    return Vlans(frozenset(vlans) | ({native} if native else frozenset()), native)


@dataclass(frozen=True, slots=True)
class Content:
    """A frame apart from its tag."""

    vlan: int
    priority: int
    "The tag's upper four bits, kept from port to port; 0 where there was none."
    addresses: bytes
    rest: bytes
    "From the EtherType or length on."


def content(frame: bytes, port: Vlans) -> Content | None:
    """None where the frame is of no VLAN of the port. A tag of VLAN 0 tells a priority only (802.1Q 6.9.1)."""
    reader = Reader(frame)
    addresses = reader.take(_ADDRESSES)
    rest = reader.rest()
    tag, priority = _tag(rest)
    if tag is not None:
        rest = rest[4:]
    vlan = tag or port.native
    return Content(vlan, priority, addresses, rest) if vlan in port.members and vlan is not None else None


def emitted(part: Content, port: Vlans) -> bytes:
    if part.vlan == port.native:
        return part.addresses + part.rest
    tag = TYPE_TAG << 16 | part.priority << 12 | part.vlan
    return part.addresses + tag.to_bytes(4, "big") + part.rest


def _tag(rest: bytes) -> tuple[int | None, int]:
    reader = Reader(rest)
    if reader.u16() != TYPE_TAG:
        return None, 0
    control = reader.u16()
    if reader.left < 2:
        raise WireError("the frame ends in its tag")
    return control & _ID, control >> 12
