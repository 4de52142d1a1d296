"""A file of expectations, as people write it, to values; or to every mistake in it with its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from vipd.config import document as yaml
from vipd.config.document import Broken, Place
from vipd.config.load import read
from vipd.config.values import shown
from vipd.errors import ConfigError, Problem
from vipd.explain.expectation import GOT, KNOWN, METHODS, NEW, Expectation, fits
from vipd.explain.imagined import MTU
from vipd.model.outcome import OUTCOMES

_TOP: Final = ("config", "secret", "mtu", "expect")
_TEXTS: Final = ("from", "to", "interface")
_NUMBERS: Final = {"payload": (0, 65_000), "ttl": (0, 255)}
_LISTS: Final = ("flags", "drained")
_ASKED: Final = (*_TEXTS, *_LISTS, *_NUMBERS)
_KEYS: Final = (*_ASKED, *GOT)
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "method": METHODS,
    "connection": (KNOWN, NEW),
    "outcome": tuple(OUTCOMES),
}
_EXAMPLE: Final = "{from: 203.0.113.7:4711, to: web, server: 10.0.0.12}"


@dataclass(frozen=True, slots=True)
class Written:
    """An expectation, and where it stands."""

    expectation: Expectation
    places: Mapping[str, tuple[int, int]]
    "Line and column of each of its keys; of the whole under the empty key."

    @property
    def line(self) -> int:
        return self.places[""][0]


@dataclass(frozen=True, slots=True)
class Expectations:
    file: str
    config: Path | None
    "None: the file names none."
    secret: Path | None
    mtu: int
    written: tuple[Written, ...]

    def problem(self, written: Written, key: str, told: str) -> Problem:
        line, column = written.places.get(key, written.places[""])
        return Problem(key, told, self.file, line, column)


def load(path: Path) -> Expectations:
    """`config` and `secret` are found beside the file. ConfigError has every mistake."""
    text, file = read(path)
    try:
        found = yaml.read(text)
        root = yaml.places(text)
    except Broken as error:
        where = error.mistake
        raise ConfigError([Problem("", where.message, file, where.line, where.column)]) from None
    problems = [Problem("", each.message, file, each.line, each.column) for each in found.mistakes]
    reader = _Reader(file, problems)
    made = reader.document(found.data, root, path.parent)
    if problems:
        raise ConfigError(sorted(problems, key=lambda problem: (problem.line, problem.column)))
    return made


class _Reader:
    def __init__(self, file: str, problems: list[Problem]) -> None:
        self._file, self._problems = file, problems

    def _wrong(self, key: str, told: str, place: Place) -> None:
        self._problems.append(Problem(key, told, self._file, place.line, place.column))

    def document(self, data: Any, root: Place, beside: Path) -> Expectations:
        if not isinstance(data, dict):
            told = f"{shown(data)} where 'config:' and 'expect:' are expected"
            raise ConfigError([*self._problems, Problem("", told, self._file, root.line, root.column)])
        if "services" in data and "expect" not in data:
            told = "a configuration; expectations of one are needed: 'config:' names its file, 'expect:' has them"
            raise ConfigError([*self._problems, Problem("", told, self._file, root.line, root.column)])
        self._keys(data, root, _TOP)
        named = {key: self._text(key, data[key], root.children[key]) for key in ("config", "secret") if key in data}
        mtu = self._number("mtu", data["mtu"], root.children["mtu"], 1280, 65_535) if "mtu" in data else MTU
        listed = data.get("expect")
        places = root.children.get("expect", root)
        pairs = [(listed, places)] if isinstance(listed, dict) else []
        if isinstance(listed, list):
            pairs = [(each, places.children[number]) for number, each in enumerate(listed)]
        if not pairs:
            self._wrong("expect", f"has no expectation in it; one is {_EXAMPLE}", places)
        written = tuple(self._expectation(each, place) for each, place in pairs)
        config, secret = (beside / named[key] if named.get(key) else None for key in ("config", "secret"))
        return Expectations(self._file, config, secret, mtu, written)

    def _keys(self, data: Mapping[str, Any], place: Place, known: tuple[str, ...]) -> bool:
        for key in data:
            if key not in known:
                near = get_close_matches(key, known, n=1)
                told = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
                child = place.children[key]
                self._wrong(key, f"an unknown key; {told}", Place(child.key_line, child.key_column, 0, 0))
        return all(key in known for key in data)

    def _expectation(self, data: Any, place: Place) -> Written:
        places = {"": (place.line, place.column)}
        if not isinstance(data, dict):
            self._wrong("", f"{shown(data)} is no expectation; {_EXAMPLE} is", place)
            return Written(Expectation(""), places)
        all_known = self._keys(data, place, _KEYS)
        places |= {key: (child.line, child.column) for key, child in place.children.items() if isinstance(key, str)}
        if "to" not in data:
            self._wrong("to", "is missing; the service that is asked, or VIP:PORT/TRANSPORT", place)
        if all_known and not any(key in GOT for key in data):
            self._wrong("", f"nothing is expected; one or more of {', '.join(GOT)} are needed", place)
        child = place.children
        texts = {key: self._text(key, data[key], child[key]) for key in _TEXTS if key in data}
        lists = {key: tuple(self._texts(key, data[key], child[key])) for key in _LISTS if key in data}
        numbers = {
            key: self._number(key, data[key], child[key], *limits) for key, limits in _NUMBERS.items() if key in data
        }
        wanted = {key: tuple(self._wanted(key, data[key], child[key])) for key in GOT if key in data}
        asked = Expectation(
            texts.get("to", ""),
            texts.get("from"),
            lists.get("flags", ()),
            interface=texts.get("interface"),
            drained=lists.get("drained", ()),
            wanted=wanted,
            **numbers,
        )
        return Written(asked, places)

    def _wanted(self, key: str, value: Any, place: Place) -> Iterator[str]:
        for text in self._texts(key, value, place):
            known = _CHOICES.get(key)
            if known is not None and not any(fits(each, text) for each in known):
                near = get_close_matches(text, known, n=1)
                told = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known[:8])}"
                self._wrong(key, f"{text!r} is none; {told}", place)
            yield text

    def _texts(self, key: str, value: Any, place: Place) -> Iterator[str]:
        """One, or a list of them."""
        for number, each in enumerate(value if isinstance(value, list) else [value]):
            yield self._text(key, each, place.children[number] if isinstance(value, list) else place)

    def _text(self, key: str, value: Any, place: Place) -> str:
        if isinstance(value, str) and value:
            return value
        hint = "; put an IPv6 address in quotes" if isinstance(value, list | dict) else ""
        self._wrong(key, f"{shown(value)} where text is expected{hint}", place)
        return ""

    def _number(self, key: str, value: Any, place: Place, low: int, high: int) -> int:
        if type(value) is int and low <= value <= high:
            return value
        self._wrong(key, f"{shown(value)} is none; a whole number from {low} to {high} is", place)
        return low
