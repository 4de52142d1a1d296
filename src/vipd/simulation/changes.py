"""Changes of a fleet, as people write them: `remove web 10.0.0.12`. Each makes one situation of another. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from vipd.config import dump, loads, values
from vipd.config.values import Refused, did_you_mean, shown
from vipd.control import Drain
from vipd.errors import ConfigError, Problem
from vipd.model.director import Director, Method, RealServer, Scheduler, VirtualService, with_port
from vipd.simulation.fleet import MOST, Fleet

_WORD: Final = re.compile(r"\S+")
_NAMES: Final = 20
_DIGITS: Final = 9
"Of services or servers that a message lists."


@dataclass(frozen=True, slots=True)
class Situation:
    """What is in force for a while."""

    director: Director
    "The same for every director of the fleet."
    drained: frozenset[Drain]
    fleet: Fleet

    def service(self, name: str) -> VirtualService | None:
        return next((service for service in self.director.services if service.name == name), None)

    def with_service(self, service: VirtualService) -> Situation:
        services = tuple(service if each.name == service.name else each for each in self.director.services)
        return replace(self, director=replace(self.director, services=services))


@dataclass(frozen=True, slots=True)
class Change:
    text: str
    "Without the moment."
    at: float | None
    "Seconds; None: not said."
    after: Situation


def change(text: str, before: Situation) -> Change:
    """Raises ConfigError, with the place in the text, where it cannot be understood or done."""
    words = _Words(text)
    at = words.moment()
    start = words.column
    action = words.choice(ACTIONS, "a change")
    after = ACTIONS[action].carry_out(words, before)
    words.end()
    if after.director != before.director:
        _validate(after.director, words)
    return Change(text[start - 1 :].strip(), at, after)


class _Words:
    """A change's text, read word by word."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._found = [(found[0], found.start() + 1) for found in _WORD.finditer(text)]
        self._next = 0

    @property
    def column(self) -> int:
        """Of the next word, from 1."""
        return self._found[self._next][1] if self.left else len(self._text) + 1

    @property
    def left(self) -> int:
        return len(self._found) - self._next

    def refuse(self, message: str, back: int = 1) -> NoReturn:
        """About the word that was read last, or the one so many before it."""
        place = max(0, self._next - back)
        column = self._found[place][1] if place < len(self._found) else len(self._text) + 1
        raise ConfigError([Problem("", message, f"--change {self._text!r}", 1, column)])

    def take(self, what: str) -> str:
        if not self.left:
            self.refuse(f"{what} is missing", back=0)
        self._next += 1
        return self._found[self._next - 1][0]

    def choice(self, known: Iterable[str], what: str) -> str:
        names = list(known)
        word = self.take(f"{what} ({', '.join(names)})")
        if word not in names:
            hint = did_you_mean(word, names) or f"; {', '.join(names)}"
            self.refuse(f"{shown(word)} is not {what}{hint}")
        return word

    def number(self, what: str) -> int:
        word = self.take(what)
        if not (word.isascii() and word.isdigit()):
            self.refuse(f"{shown(word)} is not a number; {what} is expected")
        if len(word) > _DIGITS:
            self.refuse(f"{shown(word)} is too large a number; {what} is expected")
        return int(word)

    def director(self, followed: bool) -> bool:
        """Whether a director is meant, by its number or none. A service of that name has an address behind it."""
        rest = [word for word, _ in self._found[self._next :]]
        if rest[:1] != ["director"] or len(rest) > 1 + followed or (rest[1:] and not rest[1].isdecimal()):
            return False
        self._next += 1
        return True

    def moment(self) -> float | None:
        if not self.left or not self._found[0][0].startswith("@"):
            return None
        word = self.take("")
        if word in ("@0", "@0s"):
            return 0.0
        try:
            return values.duration(word[1:])
        except Refused:
            self.refuse(f"{shown(word)} is not a moment; @ and a duration from the start on: @90s, @2m")

    def end(self) -> None:
        if self.left:
            self._next += 1
            self.refuse(f"{shown(self._found[self._next - 1][0])} is one word too many; the change was complete")


def _validate(director: Director, words: _Words) -> None:
    """What a file must keep to, a changed configuration must too."""
    try:
        loads(json.dumps(dump(director)))
    except ConfigError as error:
        words.refuse("; ".join(f"{problem.path}: {problem.message}" for problem in error.problems))


def _service(words: _Words, given: Situation) -> VirtualService:
    name = words.take("a service's name")
    found = given.service(name)
    if found is None:
        names = [service.name for service in given.director.services]
        words.refuse(f"there is no service {shown(name)}{_hint(name, names)}")
    return found


def _server(words: _Words, service: VirtualService) -> RealServer:
    text = words.take(f"a server of {service.name}")
    try:
        address, port = values.server(text)
    except Refused as error:
        words.refuse(str(error))
    found = [
        server
        for server in service.servers
        if server.address == address and (port is None or port in _ports(service, server))
    ]
    if not found:
        names = [with_port(server.address, server.port) for server in service.servers]
        words.refuse(f"service {service.name} has no server {shown(text)}{_hint(text, names)}")
    if len(found) > 1:
        names = [with_port(server.address, server.port) for server in found]
        words.refuse(f"{shown(text)} may be {' or '.join(names)}; say which")
    return found[0]


def _ports(service: VirtualService, server: RealServer) -> set[int]:
    if server.port is not None:
        return {server.port}
    return {endpoint.first_port for endpoint in service.listen if endpoint.single_port}


def _hint(word: str, names: list[str]) -> str:
    return did_you_mean(word, names) or (f"; there are: {', '.join(names[:_NAMES])}" if names else "")


def _replaced(service: VirtualService, old: RealServer, new: RealServer | None) -> VirtualService:
    servers = [new if each is old else each for each in service.servers]
    return replace(service, servers=tuple(each for each in servers if each is not None))


def _remove(words: _Words, given: Situation) -> Situation:
    if words.director(followed=True):
        return _lost(words, given)
    service = _service(words, given)
    server = _server(words, service)
    after = given.with_service(_replaced(service, server, None))
    # A new server of the same address is not drained.
    return replace(after, drained=given.drained - {(service.name, server.address, server.port)})


def _add(words: _Words, given: Situation) -> Situation:
    if words.director(followed=False):
        return _added(words, given)
    service = _service(words, given)
    text = words.take("an address, or ADDRESS:PORT")
    try:
        address, port = values.server(text)
    except Refused as error:
        words.refuse(str(error))
    weight, method = 1, service.servers[0].method if service.servers else None
    while words.left:
        match words.choice(["weight", "method"], "an option of add"):
            case "weight":
                weight = words.number("a weight")
            case _:
                method = Method(words.choice([str(each) for each in Method], "a method"))
    if method is None:
        words.refuse(f"{service.name} has no server to take the method from; add: method nat, dr or tun", back=0)
    made = RealServer(address, port, weight, method)
    return given.with_service(replace(service, servers=(*service.servers, made)))


def _weight(words: _Words, given: Situation) -> Situation:
    service = _service(words, given)
    server = _server(words, service)
    weight = words.number("a weight")
    return given.with_service(_replaced(service, server, replace(server, weight=weight)))


def _drain(words: _Words, given: Situation) -> Situation:
    service = _service(words, given)
    server = _server(words, service)
    key = service.name, server.address, server.port
    if key in given.drained:
        words.refuse(f"{with_port(server.address, server.port)} is drained already")
    return replace(given, drained=given.drained | {key})


def _undrain(words: _Words, given: Situation) -> Situation:
    service = _service(words, given)
    server = _server(words, service)
    key = service.name, server.address, server.port
    if key not in given.drained:
        words.refuse(f"{with_port(server.address, server.port)} is not drained")
    return replace(given, drained=given.drained - {key})


def _scheduler(words: _Words, given: Situation) -> Situation:
    service = _service(words, given)
    name = words.choice([str(each) for each in Scheduler], "a scheduler")
    return given.with_service(replace(service, scheduler=Scheduler(name)))


def _directors(words: _Words, given: Situation) -> Situation:
    count = words.number("how many directors there are to be")
    fleet = given.fleet
    if not 1 <= count <= MOST or fleet.next_number + count - len(fleet.members) > MOST + 1:
        words.refuse(f"{count} directors; 1 to {MOST}, those that were removed among them")
    while len(fleet.members) < count:
        fleet = fleet.added()
    while len(fleet.members) > count:
        fleet = fleet.lost(fleet.members[-1])
    return replace(given, fleet=fleet)


def _lost(words: _Words, given: Situation) -> Situation:
    fleet = given.fleet
    number = words.number("a director's number")
    if number not in fleet.members:
        words.refuse(f"there is no director {number}; there are: {', '.join(map(str, fleet.members))}")
    if len(fleet.members) == 1:
        words.refuse("the only director; with --directors there may be more")
    return replace(given, fleet=fleet.lost(number))


def _added(words: _Words, given: Situation) -> Situation:
    if given.fleet.next_number > MOST:
        words.refuse(f"at most {MOST} directors, those that were removed among them")
    return replace(given, fleet=given.fleet.added())


@dataclass(frozen=True, slots=True)
class _Action:
    form: str
    carry_out: Callable[[_Words, Situation], Situation]


ACTIONS: Final[dict[str, _Action]] = {
    "remove": _Action("remove SERVICE SERVER, remove director NUMBER", _remove),
    "add": _Action("add SERVICE SERVER [weight N] [method nat|dr|tun], add director", _add),
    "weight": _Action("weight SERVICE SERVER N", _weight),
    "drain": _Action("drain SERVICE SERVER", _drain),
    "undrain": _Action("undrain SERVICE SERVER", _undrain),
    "scheduler": _Action("scheduler SERVICE NAME", _scheduler),
    "directors": _Action("directors K", _directors),
}
