"""How a link's status looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Group

from vipd.cli.output import Column, fitted, grid, short

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from vipd.api.link import LinkStatus

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_SHOWN_ELSEWHERE: Final = {"ipv4", "ipv6"}


def all_links(found: Sequence[LinkStatus], silent: Sequence[str], screen: Console) -> RenderableType:
    """`silent`: what is said of links that run and do not answer."""
    problems = [f"! {each}" for each in silent]
    if not found:
        return Group(*problems) if problems else "no link runs"
    columns = (
        Column("LINK"),
        Column("PHASE"),
        Column("UP", right=True),
        Column("ADDRESSES"),
        Column("LINE", rank=3),
        *(Column(heading, right=True, rank=1) for heading in ("FRAMES IN", "FRAMES OUT")),
        *(Column(heading, right=True, rank=2) for heading in ("FAULTS", "DROPPED")),
    )
    table, _ = fitted(columns, map(_row, found), screen)
    return Group(table, *problems)


def _row(link: LinkStatus) -> tuple[str, ...]:
    return (
        link.name,
        _phase(link),
        _duration(link.uptime),
        ", ".join(_ends(link)) or "–",
        link.where,
        short(link.frames_in),
        short(link.frames_out),
        short(sum(link.faults.values())),
        short(sum(link.dropped.values())),
    )


def _phase(link: LinkStatus) -> str:
    """Where there is no line, that tells more than the protocol's own word."""
    return link.phase.value if link.line_state == "open" else link.line_state


def _ends(link: LinkStatus) -> Iterator[str]:
    for each in link.families:
        yield f"{each.local} ▸ {each.remote or 'anybody'}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h" if seconds < _DAY else f"{seconds / _DAY:.1f} d"


def one_link(link: LinkStatus) -> RenderableType:
    heading = f"link {link.name}, process {link.pid}; interface {link.interface}; {_phase(link)}"
    if link.uptime is not None:
        heading += f", up for {_duration(link.uptime)}"
    table = grid()
    table.show_header = False
    table.add_column(no_wrap=True)
    table.add_column()
    for name, value in _lines(link):
        table.add_row(name, value)
    return Group(heading, "", table, *(f"! {problem}" for problem in link.problems))


def _lines(link: LinkStatus) -> Iterator[tuple[str, str]]:
    at = f" ({link.where})" if link.where != link.line else ""
    opened = f", opened {link.opened} {'time' if link.opened == 1 else 'times'}" if link.opened else ""
    refused = f", others refused: {link.peers_refused}" if link.peers_refused else ""
    yield "line", f"{link.line}{at}, {link.line_state}{opened}{refused}"
    yield "protocol", f"{link.encapsulation} in {link.framing} frames"
    for each in link.families:
        yield f"IPv{each.local.version}", f"{each.local} ▸ {each.remote or 'anybody'}, MTU {each.mtu}"
    heading = "agreed"
    for name, value in link.agreed.items():
        if name not in _SHOWN_ELSEWHERE:
            yield heading, f"{name} {value}"
            heading = ""
    yield "received", f"{link.frames_in} frames, {link.packets_in} packets, {short(link.octets_in)} octets of line"
    yield "sent", f"{link.frames_out} frames, {link.packets_out} packets, {short(link.octets_out)} octets of line"
    yield "faults", _counts(link.faults)
    yield "dropped", _counts(link.dropped)
    yield "events", _counts(link.counters)
    if link.last_end:
        yield "last end", link.last_end


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count) or "none"
