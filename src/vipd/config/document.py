"""YAML text to plain data and to places in the text. Knows YAML, not what is configured.

Works on libyaml's events: 50,000 servers are read five times faster than by way of nodes.
Places are looked up in a second pass, which only a mistake has to pay for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from yaml import CBaseLoader
from yaml.error import MarkedYAMLError
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.reader import ReaderError

from vipd.config.values import printable, shown

Path: TypeAlias = tuple[str | int, ...]

DEEPEST: Final = 16
MOST_VALUES: Final = 2_000_000

_NULLS: Final = {"", "~", "null", "Null", "NULL"}
_BOOLS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,4000}")
_BASED: Final = re.compile(r"0o[0-7]{1,64}|0x[0-9A-Fa-f]{1,64}")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]{1,300}|[0-9]{1,300}(\.[0-9]{0,300})?)([eE][-+]?[0-9]{1,9})?")
_SPECIAL: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NOT_TEXT: Final = frozenset("0123456789+-.tTfFnN~")


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something that YAML itself does not allow, or that no configuration needs; counted from 1."""

    line: int
    column: int
    path: Path
    message: str


class Broken(Exception):
    """The text could not be read on."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__(mistake.message)
        self.mistake = mistake


@dataclass(slots=True)
class Place:
    """Where a value stands, and the key that names it; counted from 1."""

    line: int
    column: int
    key_line: int
    key_column: int
    children: dict[str | int, Place] = field(default_factory=dict)


def plain(text: str) -> Any:
    """What an unquoted scalar means: the core schema of YAML 1.2."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


class _Reader:
    """What both passes share: the events, and libyaml's complaints in our words."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.path: list[str | int] = []
        try:
            self._next: Callable[[], Any] = CBaseLoader(text).get_event
        except ReaderError as error:
            raise Broken(self._unreadable(error)) from None

    def first(self) -> Any:
        """The event that opens the first document's content."""
        self.event()
        start = self.event()
        return start if type(start) is StreamEndEvent else self.event()

    def event(self) -> Any:
        try:
            return self._next()
        except MarkedYAMLError as error:
            mark: Any = error.problem_mark or error.context_mark
            raise Broken(self.at(mark, _syntax(self.text, mark.line, error))) from None
        except ReaderError as error:
            raise Broken(self._unreadable(error)) from None

    def _unreadable(self, error: ReaderError) -> Mistake:
        before = self.text.encode()[: max(error.position, 0)].decode(errors="ignore")
        line = before.count("\n") + 1
        return Mistake(line, len(before) - before.rfind("\n"), (), f"{error.reason}; a configuration is plain text")

    def at(self, mark: Any, message: str) -> Mistake:
        return Mistake(mark.line + 1, mark.column + 1, tuple(self.path), message)


def _syntax(text: str, line: int, error: MarkedYAMLError) -> str:
    said = printable(error.problem or "cannot be read", 200)
    if "'\\t'" in said or "\\t" in said:
        return "a tab; YAML indents with spaces only"
    lines = text.splitlines()
    if line < len(lines) and "\t" in lines[line][: len(lines[line]) - len(lines[line].lstrip())]:
        return "a tab at the beginning of the line; YAML indents with spaces only"
    if line < len(lines) and re.search(r"[{\[,]\s*(\w+:\s+)?[0-9A-Fa-f]*:[0-9A-Fa-f]*:|::\s*[,}\]]", lines[line]):
        return "an IPv6 address that YAML cannot read here; put it in quotes"
    told = {
        "mapping values are not allowed in this context": "a ':' is not possible here; is the line before it "
        "indented wrongly, or is a text with ': ' in it not quoted?",
        "did not find expected key": "a key is expected here; is the line indented like its neighbours?",
        "could not find expected ':'": "a ':' is expected behind a key",
        "did not find expected ',' or ']'": "a , or ] is expected; a list opened by [ is not closed",
        "did not find expected ',' or '}'": "a , or } is expected; a mapping opened by { is not closed",
        "found unexpected end of stream": "the text ends within quotes; a quote is not closed",
        "found unexpected document indicator": "--- or ... within quotes; a quote is not closed",
    }
    return told.get(said, f"not YAML: {said}")


class _Values(_Reader):
    """First pass: plain data."""

    def __init__(self, text: str, watched: str) -> None:
        super().__init__(text)
        self.watched = [watched]
        self.starts: list[int] = []
        self.mistakes: list[Mistake] = []
        self.known: dict[str, Any] = {}
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.count = 0

    def read(self) -> Any:
        first = self.first()
        if type(first) is StreamEndEvent:
            return None
        value = self.value(first)
        self.event()
        end = self.event()
        if type(end) is not StreamEndEvent:
            self.mistakes.append(self.at(end.start_mark, "a second document begins here; a configuration is one"))
        return value

    def value(self, event: Any) -> Any:
        kind = type(event)
        if kind is AliasEvent:
            return self._alias(event)
        if event.tag is not None:
            self.mistakes.append(self.at(event.start_mark, f"a tag ({printable(event.tag)}); values stand without one"))
        before = self.count
        if kind is ScalarEvent:
            value = self.scalar(event)
        elif len(self.path) >= DEEPEST:
            raise Broken(self.at(event.start_mark, f"nested too deeply; at most {DEEPEST} levels"))
        else:
            value = self.sequence() if kind is not MappingStartEvent else self.mapping(self._starts(event))
        if event.anchor is not None:
            self.anchors[event.anchor] = value, self.count - before + 1
        return value

    def _starts(self, event: Any) -> list[int] | None:
        return self.starts if self.path == self.watched and not event.flow_style else None

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self.anchors:
            raise Broken(self.at(event.start_mark, f"*{printable(event.anchor)} names nothing that &-marks before it"))
        value, size = self.anchors[event.anchor]
        self.count += size
        if self.count > MOST_VALUES:
            raise Broken(self.at(event.start_mark, f"aliases make it more than {MOST_VALUES} values; write less"))
        return value

    def scalar(self, event: Any) -> Any:
        text = event.value
        if event.style or (text and text[0] not in _NOT_TEXT):
            return text
        try:
            return self.known[text]
        except KeyError:
            value = self.known[text] = plain(text)
            return value

    def mapping(self, starts: list[int] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = {}
        event, path = self.event, self.path
        while True:
            name = event()
            if starts is not None:
                starts.append(name.start_mark.index)
            if type(name) is MappingEndEvent:
                return result
            if type(name) is not ScalarEvent:
                raise Broken(self.at(name.start_mark, "a key that is no plain text; a key is a word before a ':'"))
            key = name.value
            if key in result:
                path.append(key)
                self.mistakes.append(self.at(name.start_mark, f"the key {shown(key)} stands here twice; once"))
                path.pop()
            content = event()
            self.count += 1
            if type(content) is ScalarEvent and content.anchor is None and content.tag is None:
                result[key] = self.scalar(content)
            else:
                path.append(key)
                result[key] = self.value(content)
                path.pop()

    def sequence(self) -> list[Any]:
        result: list[Any] = []
        event, path = self.event, self.path
        while True:
            content = event()
            if type(content) is SequenceEndEvent:
                return result
            self.count += 1
            path.append(len(result))
            result.append(self.value(content))
            path.pop()


class _Places(_Reader):
    """Second pass over a text that the first found readable: where everything stands."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.anchors: dict[str, dict[str | int, Place]] = {}

    def read(self) -> Place:
        first = self.first()
        return Place(1, 1, 1, 1) if type(first) is StreamEndEvent else self.place(first, first.start_mark)

    def place(self, event: Any, key: Any) -> Place:
        here = event.start_mark
        found = Place(here.line + 1, here.column + 1, key.line + 1, key.column + 1)
        if type(event) is AliasEvent:
            found.children = self.anchors.get(str(event.anchor), {})
            return found
        if type(event) is MappingStartEvent:
            while type(name := self.event()) is not MappingEndEvent:
                found.children[name.value] = self.place(self.event(), name.start_mark)
        elif type(event) is SequenceStartEvent:
            while type(item := self.event()) is not SequenceEndEvent:
                found.children[len(found.children)] = self.place(item, item.start_mark)
        if event.anchor is not None:
            self.anchors[event.anchor] = found.children
        return found


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says, and mistakes that did not stop the reading."""

    data: Any
    mistakes: list[Mistake]
    starts: tuple[int, ...]
    """Where each key of the watched mapping begins, and then where that ends; empty where it is not
    written as a block, or where any value is marked to be used again elsewhere."""


def read(text: str, watched: str = "") -> Reading:
    """`watched`: a key at the top. Raises `Broken`."""
    reader = _Values(text, watched)
    data = reader.read()
    return Reading(data, reader.mistakes, () if reader.anchors else tuple(reader.starts))


def places(text: str) -> Place:
    """The root's place, with all others below it; only for a text that `read` accepts."""
    return _Places(text).read()
