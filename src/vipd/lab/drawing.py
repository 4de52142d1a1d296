"""A packet's way there and back as a few lines of text. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from vipd.lab.frames import Packet, Paths, Sighting
from vipd.model.director import with_port

_ARROW = " ──▶ "


def drawing(paths: Paths) -> str:
    """One line for each stretch on which the packet stays as it is."""
    rows = [*_rows("there", paths.there), *_rows("back", paths.back)]
    width = max((len(way) for _, way, _ in rows), default=0)
    return "\n".join(f"{label:<5}  {way:<{width}}  {what}".rstrip() for label, way, what in rows)


def _rows(label: str, hops: Sequence[Sighting]) -> Iterator[tuple[str, str, str]]:
    for number, (_, stretch) in enumerate(groupby(_numbered(hops), key=lambda pair: pair[0])):
        seen = [hop for _, hop in stretch]
        way = _ARROW.join([seen[0].sender, *(hop.receiver for hop in seen)])
        yield ("" if number else label), way, described(seen[0].packet)


def _numbered(hops: Sequence[Sighting]) -> Iterator[tuple[int, Sighting]]:
    """Each hop with the number of its stretch; a new one where the packet or who decides changes."""
    number = 0
    for before, hop in zip([None, *hops], hops, strict=False):
        # The director's own hop stands alone even where it changes no address: that is direct routing.
        if before is not None and (hop.packet != before.packet or hop.sender == "director"):
            number += 1
        yield number, hop


def described(packet: Packet) -> str:
    inner = (
        f"{with_port(packet.addresses.source, packet.source_port)} → "
        f"{with_port(packet.addresses.destination, packet.destination_port)}"
    )
    if packet.outer is None:
        return inner
    return f"{packet.outer.source} → {packet.outer.destination} [ {inner} ]"
