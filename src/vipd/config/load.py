"""A configuration file to a `Director`, or to every mistake in it with its place."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path as File
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError

from vipd.config import document as yaml
from vipd.config import rules
from vipd.config.document import Broken, Path, Place
from vipd.config.messages import message, path_text, step_text
from vipd.config.schema import Document
from vipd.config.values import printable, shown, vip
from vipd.errors import ConfigError, Problem
from vipd.model.director import Address, Director, Network, RealServer, Timeouts, Vip, VirtualService

LARGEST_FILE: Final = 64 << 20

_BARE_BRACKET: Final = re.compile(
    r"(?P<before>(?:^|[:\-,\[{])\s+)(?P<value>\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\](?::[0-9*-]+(?:/\w+)?)?)(?=\s*(?:$|[,}\]#]))"
)


@dataclass(frozen=True)
class Loaded:
    """A valid configuration, and where everything in it stands."""

    director: Director
    file: str
    text: str
    warnings: tuple[Problem, ...] = ()
    starts: tuple[int, ...] = ()
    "Where in the text each service begins, and the last ends, if each is a block of lines of its own."

    @cached_property
    def _root(self) -> Place:
        return yaml.places(self.text)

    def locate(self, path: str) -> tuple[int, int]:
        """Line and column, from 1, of `services.web.servers[1]` or the nearest thing around it."""
        place = self._root
        while path:
            found = [
                k for k in place.children if path.startswith(_step(k)) and path[len(_step(k)) :][:1] in ("", ".", "[")
            ]
            if not found:
                break
            step = max(found, key=lambda k: len(_step(k)))
            place, path = place.children[step], path[len(_step(step)) :].removeprefix(".")
        return place.line, place.column

    def placed(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """The same problems with file, line and column."""
        return tuple(
            replace(problem, file=self.file, line=line, column=column)
            for problem in problems
            for line, column in [self.locate(problem.path)]
        )


def _step(key: str | int) -> str:
    return f"[{key}]" if isinstance(key, int) else step_text(key)


def load(path: File) -> Loaded:
    """Read and check a file. Raises `ConfigError` with every mistake at once."""
    return loads(*read(path))


def read(path: File) -> tuple[str, str]:
    """A file's text, and how messages name the file."""
    file = printable(str(path), 1000)
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError([Problem("", f"cannot be read: {reason}", file)]) from None
    if len(raw) > LARGEST_FILE:
        raise ConfigError([Problem("", f"is larger than {LARGEST_FILE >> 20} MiB; no configuration is", file)])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig", "replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        told = f"byte {raw[error.start]:#04x} is not UTF-8; a configuration is plain text"
        raise ConfigError([Problem("", told, file, line, column)]) from None
    return text, file


def loads(text: str, file: str = "vipd.yaml") -> Loaded:
    """The same for text that has been read already."""
    with _no_collection():
        return _Loading(text, file).run()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Building some 100,000 objects that all stay makes the cycle collector run in vain."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Loading:
    """One attempt at one text."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.problems: list[Problem] = []
        self.starts: tuple[int, ...] = ()

    def run(self) -> Loaded:
        data = self._read()
        findings: list[rules.Finding] = []
        document: Document | None = None
        if not isinstance(data, dict):
            empty = "is empty" if data is None else f"{shown(data)} where a mapping is expected"
            self.problems.append(self._problem((), f"{empty}; a configuration begins with 'interfaces:'", None))
        else:
            document, findings = _validate(data)
        if findings:
            root = yaml.places(self.text)
            self.problems += [self._problem(path, told, root) for path, told in findings]
        if self.problems or document is None:
            raise ConfigError(sorted(set(self.problems), key=lambda p: (p.line, p.column, p.path, p.message)))
        director = _build(document)
        warned = rules.warnings(document)
        where = yaml.places(self.text) if warned else None
        told = tuple(self._problem(*each, where) for each in warned)
        return Loaded(director, self.file, self.text, told, self.starts)

    def _read(self) -> Any:
        try:
            found = yaml.read(self.text, "services")
        except Broken as first:
            found = self._read_with_quotes(first)
        for each in found.mistakes:
            self.problems.append(Problem(path_text(each.path), each.message, self.file, each.line, each.column))
        self.starts = _lines(self.text, found.starts)
        return found.data

    def _read_with_quotes(self, first: Broken) -> yaml.Reading:
        """A forgotten quote around an IPv6 address need not hide all other mistakes."""
        lines, bare = self.text.split("\n"), list[Problem]()
        for number, line in enumerate(lines):
            for found in _BARE_BRACKET.finditer(line):
                told = f'YAML reads an unquoted [ as a list; put the IPv6 address in quotes: "{found["value"]}"'
                bare.append(Problem("", told, self.file, number + 1, found.start("value") + 1))
            lines[number] = _BARE_BRACKET.sub(r'\g<before>"\g<value>"', line)
        try:
            if not any(problem.line == first.mistake.line for problem in bare):
                raise first
            self.text = "\n".join(lines)
            self.problems += bare
            return yaml.read(self.text)
        except Broken as error:
            mistake = error.mistake
            place = Problem(path_text(mistake.path), mistake.message, self.file, mistake.line, mistake.column)
            raise ConfigError([*self.problems, place]) from None

    def _problem(self, path: Path, told: str, root: Place | None) -> Problem:
        """Placed at the value; at the key, where the key itself is wrong; at the mapping, where one is missing."""
        place = root or Place(1, 1, 1, 1)
        line, column = place.line, place.column
        for depth, step in enumerate(path, 1):
            if step not in place.children:
                break
            place = place.children[step]
            named = len(path) == 2 and path[0] in ("services", "vips")
            key_only = depth == len(path) and (named or told.startswith(("an unknown key", "the key")))
            beside = depth == len(path) - 1 and told.startswith("is missing")
            line, column = (place.key_line, place.key_column) if key_only or beside else (place.line, place.column)
        return Problem(path_text(path), told, self.file, line, column)


def _lines(text: str, starts: tuple[int, ...]) -> tuple[int, ...]:
    """Where the lines begin in which these places are."""
    if not starts or "\ufeff" in text or text[starts[-1] - 1] != "\n":
        return ()
    return tuple([text.rfind("\n", 0, start) + 1 for start in starts])


def _validate(data: dict[str, Any]) -> tuple[Document | None, list[rules.Finding]]:
    """The document, or what is wrong; rules are applied to whatever is well formed."""
    try:
        document = Document.model_validate(data)
    except ValidationError as error:
        findings, faulty = [], list[Path]()
        for each in error.errors(include_url=False):
            path = _in_file(each["loc"], data)
            findings.append((path, message(each, path)))
            faulty.append(path)
        partial, kept = _without(data, faulty)
        if partial is not None:
            more = rules.findings(partial, kept)
            findings += [(path, told) for path, told in more if not any(bad[: len(path)] == path for bad in faulty)]
        return None, findings
    return document, rules.findings(document, {})


def _in_file(location: tuple[int | str, ...], data: Any) -> Path:
    """Pydantic's place as the file has it: a single text may stand for a list of one."""
    path: list[int | str] = []
    for step in location:
        if isinstance(step, int) and not isinstance(data, list):
            break
        path.append(step)
        if isinstance(data, list) and isinstance(step, int):
            data = data[step]
        else:
            data = data.get(step) if isinstance(data, dict) else None
    return tuple(path)


def _without(data: dict[str, Any], faulty: list[Path]) -> tuple[Document | None, dict[Path, list[int]]]:
    """What remains of a document when everything faulty is left out, if that can stand at all."""
    bad = set(faulty)
    kept: dict[Path, list[int]] = {}

    def copy(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: copy(each, (*path, key)) for key, each in value.items() if (*path, key) not in bad}
        if isinstance(value, list):
            kept[path] = [i for i in range(len(value)) if not _drops(path, i, bad)]
            return [copy(value[i], (*path, i)) for i in kept[path]]
        return value

    partial = copy(data, ())
    partial.setdefault("interfaces", ["any"])
    if not partial["interfaces"]:
        partial["interfaces"] = ["any"]
    services = partial.get("services") or {}
    for name in list(services):
        services[name].setdefault("servers", [])
        if not services[name].get("listen"):
            del services[name]
    try:
        return Document.model_validate(partial), kept
    except ValidationError:
        return None, kept


def _drops(path: Path, index: int, bad: set[Path]) -> bool:
    """A list's entry that is faulty itself, or lacks what it cannot be without."""
    return (*path, index) in bad or (*path, index, "address") in bad


def _build(document: Document) -> Director:
    sources: dict[int, Network] = {network.version: network for network in document.tunnel.source}
    services = tuple(
        VirtualService(
            name,
            tuple(service.listen),
            tuple(
                RealServer(
                    server.address,
                    server.port,
                    server.weight,
                    method,
                    (server.tunnel_source or sources.get(server.address.version)) if method == "tun" else None,
                )
                for server in service.servers
                if (method := server.method or service.method)
            ),
            service.scheduler,
            service.on_server_removed,
            service.maglev_slots,
            service.clamp_mss,
            service.hash_port,
        )
        for name, service in document.services.items()
    )
    vips: dict[Address, Vip] = {}
    for key, settings in document.vips.items():
        vips[vip(key)] = Vip(vip(key), settings.interface, settings.routed)
    for one in services:
        for endpoint in one.listen:
            if endpoint.vip not in vips:
                vips[endpoint.vip] = Vip(endpoint.vip)
    return Director(
        tuple(document.interfaces),
        services,
        MappingProxyType(vips),
        document.connections,
        Timeouts(**document.timeouts.model_dump()),
        document.secret_file,
    )
