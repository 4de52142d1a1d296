"""A simulation's result as a picture: what changes did, and what each server got."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from vipd import plot
from vipd.cli.simulation.words import counted, time_text
from vipd.cli.simulation.work import Result, Row
from vipd.simulation.comparison import Upset
from vipd.simulation.report import ActReport, EndpointReport, Report

LOOKS: Final = 120
"Of connections over time."
_SERVICES: Final = 3
"That are drawn over time."
_FATES: Final = (("moved", "move to another server"), ("ended", "ended by the director"))


def draw(result: Result, path: Path) -> None:
    """OSError where it cannot be written."""
    rows, report = result.rows, result.configured
    changes = rows[0].verdict.upsets
    directors = f", {len(report.directors)} directors" if len(report.directors) > 1 else ""
    title = f"{counted(report.flows, 'flow')} of {counted(report.clients, 'client')}{directors}"
    services = _services(report)
    bars = [0.8 + 0.3 * len(rows)] * (1 + len(changes))
    heights = [*bars, *[2.6] * len(services)]
    figure = plot.figure(title, 9, 0.6 + sum(heights))
    panels = figure.subplots(len(heights), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for number, change in enumerate(changes):
        panel = panels[number]
        what = f"'{change.change}' at {time_text(change.at)}: of {counted(change.open, 'open connection')}"
        panel.set_title(what, loc="left", fontsize=9)
        _fates(panel, {row.name: row.verdict.upsets[number] for row in rows})
    panels[len(changes)].set_title(
        "share of new connections that each server got, 1 is what its weight asks for", loc="left", fontsize=9
    )
    _shares(panels[len(changes)], rows)
    for panel, endpoints in zip(panels[len(bars) :], services, strict=True):
        panel.set_title(
            f"open connections of each server of {endpoints[0].service}, as configured", loc="left", fontsize=9
        )
        _course(panel, endpoints)
    if changes:
        figure.legend(*panels[0].get_legend_handles_labels(), loc="upper right", fontsize=8, frameon=False, ncols=2)
    plot.save(figure, path)


def _services(report: Report) -> list[list[EndpointReport]]:
    """Endpoints of each service that is drawn over time: of those that changes are about, the first."""
    changed = {each.service for each in report.endpoints if len({_standing(act) for act in each.acts}) > 1}
    names = list(dict.fromkeys(each.service for each in report.endpoints if not changed or each.service in changed))
    return [[each for each in report.endpoints if each.service == name] for name in names[:_SERVICES]]


def _standing(act: ActReport) -> tuple[tuple[str, int, bool], ...]:
    return tuple((each.server, each.weight, each.present) for each in act.servers)


def _course(panel: Any, endpoints: Sequence[EndpointReport]) -> None:
    """A line for each server, over all endpoints of its service; a broken one for each change."""
    lines: dict[str, dict[float, int]] = {}
    for endpoint in endpoints:
        for act in endpoint.acts:
            for server in act.servers:
                line = lines.setdefault(server.server, {})
                for time, count in zip(act.times, server.course, strict=True):
                    line[time] = line.get(time, 0) + count
    for number, (server_name, line) in enumerate(lines.items()):
        panel.plot(list(line), list(line.values()), color=plot.COLOURS[number % len(plot.COLOURS)], label=server_name)
    for act in endpoints[0].acts[1:]:
        panel.axvline(act.at, color="0.5", linewidth=0.8, linestyle="--", zorder=0)
    panel.set_ylim(bottom=0)
    panel.set_xlabel("seconds", fontsize=8)
    if len(lines) <= len(plot.COLOURS):
        panel.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    _plain(panel)


def _fates(panel: Any, upsets: Mapping[str, Upset]) -> None:
    names, left = list(upsets), [0.0] * len(upsets)
    for colour, (fate, label) in zip(plot.COLOURS[1:], _FATES, strict=False):
        width = [100 * getattr(each, fate) / max(1, each.open) for each in upsets.values()]
        panel.barh(names, width, left=left, color=colour, label=label, height=0.6)
        left = [a + b for a, b in zip(left, width, strict=True)]
    for row, share in enumerate(left):
        panel.annotate(f"{share:.1f} %", (share, row), (3, 0), textcoords="offset points", va="center", fontsize=8)
    panel.set_xlim(0, max(1.0, *(1.15 * share for share in left)))
    panel.set_xlabel("% of them", fontsize=8)
    panel.invert_yaxis()
    _plain(panel)


def _shares(panel: Any, rows: Sequence[Row]) -> None:
    """A mark for each server in each situation."""
    for place, row in enumerate(rows):
        ratios = [ratio for endpoint in row.report.endpoints for act in endpoint.acts for ratio in _ratios(act)]
        panel.plot(ratios, [place] * len(ratios), "|", color=plot.COLOURS[0], markersize=12)
    panel.set_yticks(range(len(rows)), [row.name for row in rows])
    panel.set_ylim(-0.6, len(rows) - 0.4)
    panel.axvline(1, color="0.7", linewidth=0.8, zorder=0)
    panel.invert_yaxis()
    _plain(panel)


def _ratios(act: ActReport) -> list[float]:
    return [each.got / each.wanted for each in act.servers if each.wanted]


def _plain(panel: Any) -> None:
    panel.tick_params(labelsize=8)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
