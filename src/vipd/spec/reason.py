"""Why a packet went where it went: rules that were applied, each with its source, and what they were applied to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

RULES: Final[dict[str, Rule]] = {}
"Every rule by its name (`stage.name`), in the order in which the modules define them."


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A sentence of the specification."""

    stage: str
    "Where on its way the packet is: parse, lookup, …"
    name: str
    text: str
    "What follows, for people; `{…}` are the facts that it was applied to."
    source: str
    "Where the rule is from: a standard's section, LVS (its files in net/netfilter/ipvs, its manual), or our documents."

    def __str__(self) -> str:
        return f"{self.stage}.{self.name}"


class Reason(NamedTuple):
    """A rule, applied. `str` gives the sentence."""

    rule: Rule
    facts: Mapping[str, object]

    def __str__(self) -> str:
        return self.rule.text.format_map(self.facts)


def rules_of(stage: str) -> Callable[[str, str, str], Rule]:
    """What a module defines the rules of its stage with: name, text, source."""

    def define(name: str, text: str, source: str) -> Rule:
        made = Rule(stage, name, text, source)
        if str(made) in RULES:
            raise ValueError(f"two rules are called {made}")
        RULES[str(made)] = made
        return made

    return define
