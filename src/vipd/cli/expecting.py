"""Expectations put before the director that a configuration makes up."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vipd.cli.expectations import Expectations, Written
from vipd.cli.imagining import imagine
from vipd.errors import ConfigError
from vipd.explain.expectation import Difference, answer, differences
from vipd.explain.imagined import MTU
from vipd.explain.question import TTL
from vipd.explain.scene import Scene
from vipd.explain.walk import Walk, sentence

_DECIDED: Final = ("lookup", "admit", "schedule", "answer")
"Stages that say why the packet ended so."


@dataclass(frozen=True, slots=True)
class Checked:
    written: Written
    outcome: str
    differences: list[Difference]
    why: tuple[str, ...]

    def question(self, config: Path, secret: Path | None, mtu: int) -> str:
        """The command that tells more."""
        asked = self.written.expectation
        words = ["vipd", "explain", "-c", str(config)]
        words += ["--from", asked.source] if asked.source else []
        words += ["--to", asked.to]
        words += [word for text in asked.flags for word in ("--flags", text)]
        words += ["--payload", str(asked.payload)] if asked.payload else []
        words += ["--ttl", str(asked.ttl)] if asked.ttl != TTL else []
        words += ["--interface", asked.interface] if asked.interface else []
        words += [word for text in asked.drained for word in ("--drained", text)]
        words += ["--secret", str(secret)] if secret else []
        words += ["--mtu", str(mtu)] if mtu != MTU else []
        return shlex.join(words)


def check_all(expectations: Expectations, config: Path, secret: Path | None) -> list[Checked]:
    """ConfigError has every expectation that makes no packet."""
    beside = secret is None and expectations.secret is not None
    called = f"{expectations.file}: secret" if beside else "--secret"
    made = imagine(config, secret or expectations.secret, expectations.mtu, called)
    scenes: dict[tuple[str, ...], Scene] = {}
    checked, problems = list[Checked](), []
    for written in expectations.written:
        asked = written.expectation
        try:
            if asked.drained not in scenes:
                scenes[asked.drained] = made.scene(asked.drained, "drained")
            scene = scenes[asked.drained]
            done = answer(asked, scene)
        except ConfigError as error:
            problems += [expectations.problem(written, each.path, each.message) for each in error.problems]
            continue
        checked.append(Checked(written, done.decision.outcome, differences(asked, done, scene), _why(done, scene)))
    if problems:
        raise ConfigError(problems)
    return checked


def _why(done: Walk, scene: Scene) -> tuple[str, ...]:
    reasons = done.decision.reasons
    told = [sentence(each, scene) for each in reasons if each.rule.stage in _DECIDED or each is reasons[-1]]
    if done.has("schedule.hashed", "schedule.consistent") and not scene.secret_known:
        told.append("the director's secret is not at hand: with it, the hash points elsewhere")
    return tuple(told)
