"""Texts of options: how many, how popular, how long."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NoReturn

from vipd.config import values
from vipd.errors import ConfigError, Problem
from vipd.simulation.fleet import Ecmp
from vipd.simulation.flows import MOST
from vipd.simulation.generate import Duration, Law, Popularity, Recipe

SPAN: Final = 600.0
"Seconds over which flows begin, unless a rate is asked for."
FLOWS_EACH: Final = 10
"Of a client, in the mean, unless their number is asked for."
_NUMBER: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(k|M|e[0-9])?")
_FACTORS: Final = {"k": 1_000, "M": 1_000_000, None: 1}
_MADE_UP: Final = re.compile(r"(zipf|uniform):(.*)")


@dataclass(frozen=True, slots=True)
class MadeUp:
    popularity: Popularity
    count: int
    alpha: float

    def recipe(self, clients: int | None, rate: float | None, duration: Duration) -> Recipe:
        return Recipe(
            self.count,
            min(clients or max(1, self.count // FLOWS_EACH), MOST // 4),
            rate or self.count / SPAN,
            duration,
            self.popularity,
            self.alpha,
        )


def refuse(option: str, message: str) -> NoReturn:
    raise ConfigError([Problem(option, message)])


def number(option: str, text: str, most: int = MOST) -> int:
    """`5000`, `200k`, `10M`, `1e7`."""
    found = _NUMBER.fullmatch(text.replace("_", ""))
    if found is None:
        refuse(option, f"{values.shown(text)} is not a number; 5000, 200k, 10M")
    factor = _FACTORS[found[2]] if found[2] in _FACTORS else 10 ** int(found[2][1:])
    value = round(float(found[1]) * factor)
    if not 1 <= value <= most:
        refuse(option, f"{values.shown(text)} is {'above' if value else 'below'} what can be: 1 to {most:,}")
    return value


def made_up(text: str) -> MadeUp | None:
    """`zipf:N`, `zipf:N:ALPHA` or `uniform:N`; None where it is something else: a file."""
    found = _MADE_UP.fullmatch(text)
    if found is None:
        return None
    popularity = Popularity(found[1])
    count, colon, alpha = found[2].partition(":")
    if colon and popularity is Popularity.UNIFORM:
        refuse("--flows", f"{values.shown(text)} has one number too many; uniform:N")
    return MadeUp(popularity, number("--flows", count), _alpha(alpha) if colon else 1.0)


def _alpha(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,6})?", text) or float(text) > 5:
        refuse("--flows", f"{values.shown(text)} is no exponent of Zipf's law; 0 (all alike) to 5, most often near 1")
    return float(text)


def ecmp(text: str) -> Ecmp:
    known = [str(each) for each in Ecmp]
    if text not in known:
        hint = values.did_you_mean(text, known) or "; " + ", ".join(known)
        refuse("--ecmp", f"{values.shown(text)} is no way to spread flows{hint}")
    return Ecmp(text)


def duration(text: str) -> Duration:
    """`60s`, or a law and its mean: `lognormal:60s`, `fixed:100ms`."""
    law, colon, mean = text.rpartition(":")
    try:
        found = Law(law) if colon else Law.EXPONENTIAL
        return Duration(values.duration(mean), found)
    except values.Refused as error:
        refuse("--duration", str(error))
    except ValueError:
        refuse("--duration", f"{values.shown(law)} is not a law of durations; {', '.join(Law)}")
