"""Which cells of outcome, method and family there are: what a run must have met, and why the others cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tests.support.oracle.runner import Cell
from vipd.model.outcome import OUTCOMES

NOBODY: Final = "-"
"No server was chosen, or the packet needed none."
_V4, _V6, _BOTH, _NEITHER = (4,), (6,), (4, 6), (0,)
_SERVED: Final = ("nat", "dr", "tun", "local")

_METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    "forward_dr": ("dr",),
    "forward_nat": ("nat",),
    "forward_nat_reply": ("nat",),
    "forward_tun": ("tun",),
    "forward_icmp_error": ("nat", "dr", "tun"),
    "route_nat": ("nat",),
    "route_nat_reply": ("nat",),
    "route_tun": ("tun",),
    "route_icmp_error": ("nat", "tun"),
    "pass_local_server": ("local",),
    "pass_not_ours": (NOBODY,),
    "pass_not_ip": (NOBODY,),
    "pass_other_mac": (NOBODY,),
    "pass_vlan": (NOBODY,),
    "pass_no_service": (NOBODY,),
    "pass_icmp": (NOBODY, "local"),
    "pass_protocol": (NOBODY,),
    "pass_extension_header": (NOBODY,),
    "pass_early_fragment": (NOBODY,),
    "pass_options": (NOBODY,),
    "pass_too_big": ("nat",),
    "pass_ttl": ("nat",),
    "reply_reset_no_server": (NOBODY,),
    "reply_reset_server_removed": _SERVED,
    "reply_reset_no_connection": (NOBODY,),
    "reply_unreachable_no_server": (NOBODY,),
    "reply_unreachable_server_removed": _SERVED,
    "reply_unreachable_no_connection": (NOBODY,),
    "reply_too_big": ("nat", "dr", "tun"),
    "reply_time_exceeded": ("nat", "tun"),
    "drop_malformed": (NOBODY,),
    "drop_tcp_flags": (NOBODY,),
    "drop_martian": (NOBODY,),
    "drop_no_server": (NOBODY, *_SERVED),
    "drop_collision": (NOBODY,),
    "drop_unknown_reply": (NOBODY,),
    "drop_no_route": ("nat", "dr", "tun"),
    "drop_neighbour_unresolved": ("dr",),
    "drop_no_ethernet": ("dr",),
    "drop_ttl": ("nat", "tun"),
    "drop_too_big": ("nat", "dr", "tun"),
    "drop_no_room_in_frame": (),
}
"Of every outcome, the methods that it can be of."

_FAMILIES: Final[Mapping[str, tuple[int, ...]]] = {
    "pass_not_ip": _NEITHER,
    "pass_vlan": _NEITHER,
    "pass_extension_header": _V6,
    "pass_options": _V4,
}
"Of the others, both."

SELDOM: Final = frozenset(Cell("drop_no_ethernet", "tun", family) for family in (4, 6))
"Not every run meets these: addresses must be alike by chance."

UNREACHABLE: Final[Mapping[str, str]] = {
    "drop_no_room_in_frame": "the kernel's test runs give every frame 256 bytes of headroom (but see test_room)",
    "pass_extension_header IPv4, pass_options IPv6": "IPv6 has extension headers, IPv4 has options",
    "pass_not_ip IPv4, IPv6; pass_vlan IPv4, IPv6": "that is what they say: the frame is of neither",
    "drop_ttl dr, local": "a bridge does not look at the TTL, nor does the director itself",
    "route_dr": "what direct routing cannot send, the kernel cannot either: its destination is the VIP",
    "reply_*_no_connection, drop_collision, drop_martian by method": "told before a server is the packet's",
}
"Cells that one might look for, and why none is there."


def reachable() -> Iterator[Cell]:
    for outcome in OUTCOMES:
        for method in _METHODS[outcome]:
            for family in _FAMILIES.get(outcome, _BOTH):
                yield Cell(outcome, method, family)


def report(met: Mapping[Cell, int]) -> str:
    """The table that is printed: how often each cell was met, by outcome."""
    lines = []
    for outcome in OUTCOMES:
        cells = [
            f"{cell.method}/{cell.family or '-'} {met.get(cell, 0)}" for cell in reachable() if cell.outcome == outcome
        ]
        lines.append(f"{outcome:34}{', '.join(cells) or 'cannot be: ' + UNREACHABLE[outcome]}")
    return "\n".join(lines)
