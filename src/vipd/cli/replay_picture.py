"""A replay as a picture: each server's packets and connections over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from vipd import plot
from vipd.explain.replay import Replay
from vipd.explain.walk import server_text

_MOST: Final = len(plot.COLOURS)
"Servers with a line of their own: those with the most packets."


def draw(made: Replay, path: Path) -> None:
    """OSError where it cannot be written."""
    course = made.course
    step = course.step / 1e9
    busy = sorted(course.packets, key=lambda server: -sum(course.packets[server]))
    drawn = sorted(busy[:_MOST])
    figure = plot.figure(f"{made.frames:,} frames of {made.seconds:.3g} s", 9, 6)
    above, below = figure.subplots(2, 1, sharex=True)
    times = [place * step for place in range(course.length + 1)]
    for colour, server in zip(plot.COLOURS, drawn, strict=False):
        packets, known = course.packets[server], course.open.get(server, [])
        rates = [number / step for number in packets] + [0.0] * (course.length - len(packets))
        still = known + known[-1:] * (course.length - len(known)) if known else [0] * course.length
        name = _name(made, server)
        above.stairs(rates, times, baseline=None, color=colour, label=name)
        below.stairs(still, times, baseline=None, color=colour, label=name)
    _panel(above, "packets a second, of each server")
    _panel(below, "known connections, the most in each step")
    below.set_xlabel("seconds of the capture", fontsize=8)
    if drawn:
        more = f"the {_MOST} busiest of {len(busy)}" if len(busy) > _MOST else None
        figure.legend(
            *above.get_legend_handles_labels(), loc="outside right upper", fontsize=8, frameon=False, title=more
        )
    plot.save(figure, path)


def _name(made: Replay, number: int) -> str:
    configuration = made.scene.configuration
    server = configuration.servers[number]
    service = configuration.services[server.service]
    return f"{made.scene.names.service(service.endpoint)} {server_text(server)}"


def _panel(panel: Any, title: str) -> None:
    panel.set_title(title, loc="left", fontsize=9)
    panel.set_ylim(bottom=0)
    panel.tick_params(labelsize=8)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
