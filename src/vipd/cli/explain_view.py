"""How the way of a packet looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.text import Text

from vipd.anatomy.show import count
from vipd.cli.explain_json import changes_of
from vipd.cli.frame.changes import show_octets, summary, table_of
from vipd.cli.frame.look import FAULT, NOTE
from vipd.cli.output import grid
from vipd.explain.scene import Scene
from vipd.explain.shown import shown as shown_frame
from vipd.explain.shown import shown_packet
from vipd.explain.telling import headline, told
from vipd.explain.verdict import SHORTEST, Answers, Verdict
from vipd.explain.walk import Candidate, Walk, candidates, sentence
from vipd.model.outcome import Action

_MARGIN: Final = 12
_NARROWEST: Final = 40
_WIDEST: Final = 1000
_SHOWN: Final = 12
"Servers of a service that are shown."
_STYLES: Final = {
    Action.FORWARD: "bold green",
    Action.ROUTE: "bold green",
    Action.PASS: "bold yellow",
    Action.REPLY: "bold yellow",
    Action.DROP: FAULT,
}


@dataclass(frozen=True, slots=True)
class Shown:
    rules: bool
    octets: bool
    brief: bool
    as_json: bool


def show(screen: Console, answers: Answers, shown: Shown) -> None:
    scene = answers.scene
    for number, done in enumerate(answers.walks):
        screen.print(Text(headline(done, scene), _STYLES[done.decision.action]), soft_wrap=True)
        if not shown.brief:
            _show(screen, done, scene, shown)
        if answers.verdicts:
            verdict = answers.verdicts[number]
            if not shown.brief or (verdict and verdict.wrong):
                _under(screen, "program", list(_verdict(verdict)))
        if not shown.brief:
            screen.print()
    if scene.assumed and not shown.brief:
        _under(screen, "assumed", [Text(each, NOTE) for each in scene.assumed])


def _show(screen: Console, done: Walk, scene: Scene, shown: Shown) -> None:
    if shown.rules:
        for reason in done.decision.reasons:
            _under(screen, str(reason.rule), [Text(sentence(reason, scene)), Text(f"  {reason.rule.source}", NOTE)], 22)
    else:
        for heading, lines in _rows(done, scene):
            _under(screen, heading, lines)
    if shown.octets:
        show_octets(screen, changes_of(done))


def _verdict(verdict: Verdict | None) -> Iterator[RenderableType]:
    if verdict is None:
        yield Text(f"not asked: the kernel runs no program on fewer than {SHORTEST} bytes", NOTE)
        return
    if not verdict.wrong:
        yield Text(f"the BPF program does the same: {verdict.outcome}, {verdict.action}", "green")
        return
    yield Text("the BPF program and the specification DISAGREE", FAULT)
    yield from (Text(each) for each in verdict.wrong)
    yield Text("one of them is wrong, which is a bug of vipd's: please report it with what --json prints", NOTE)


def _rows(done: Walk, scene: Scene) -> Iterator[tuple[str, list[RenderableType]]]:
    for part in told(done, scene, scene.now):
        lines: list[RenderableType] = [Text(line) for line in part.lines]
        if part.candidates:
            lines.insert(0, _candidates(candidates(done, scene)))
        if part.heading == "outcome" and done.decision.action is Action.REPLY:
            # A packet of its own: what it has in common with the one that it answers tells nothing.
            answer = shown_packet(done.sent) if done.sent_bare else shown_frame(done.sent)
            yield "sent back", [Text(f"{answer}, {count(len(done.sent), 'octet')}")]
        elif part.heading == "outcome" and done.sent:
            found = changes_of(done)
            yield "rewritten", [table_of(found), summary(found)]
        yield part.heading, lines


def _under(screen: Console, heading: str, lines: list[RenderableType], margin: int = _MARGIN) -> None:
    """The heading on the left; what belongs to it keeps to its own column, however narrow the terminal."""
    left = Text(heading.ljust(margin), "bold")
    for line in lines:
        # What cannot be folded, such as a table of numbers, is never cut.
        least = Measurement.get(screen, screen.options.update(width=_WIDEST), line).minimum
        options = screen.options.update(width=max(screen.width - margin, _NARROWEST, least))
        for segments in screen.render_lines(line, options, pad=False):
            text = Text.assemble(left, *((each.text, each.style or "") for each in segments))
            text.rstrip()
            screen.print(text, soft_wrap=True)
            left = Text(" " * margin)


def _candidates(found: list[Candidate]) -> RenderableType:
    by_weight = any(each.for_its_weight is not None for each in found)
    table = grid()
    table.add_column("", no_wrap=True)
    table.add_column("SERVER", no_wrap=True)
    for heading in ("WEIGHT", "ACTIVE", "INACTIVE", "OVERHEAD", *(["/ WEIGHT"] if by_weight else [])):
        table.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
    for each in _worth_showing(found):
        numbers = [str(number) for number in (each.weight, each.active, each.inactive)]
        numbers.append("-" if each.overhead is None else str(each.overhead))
        if by_weight:
            numbers.append("-" if each.for_its_weight is None else f"{each.for_its_weight:g}")
        table.add_row(">" if each.chosen else "", each.server, *numbers, style="bold" if each.chosen else "")
    left_out = len(found) - _SHOWN
    return Group(table, Text(f"and {left_out} more", NOTE)) if left_out > 0 else table


def _worth_showing(found: list[Candidate]) -> list[Candidate]:
    """The first ones, the chosen one among them."""
    if len(found) <= _SHOWN:
        return found
    shown = found[:_SHOWN]
    chosen = next((each for each in found if each.chosen), None)
    return shown if chosen is None or chosen in shown else [*shown[:-1], chosen]
