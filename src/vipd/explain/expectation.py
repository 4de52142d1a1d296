"""What somebody expects of a packet, and in what the specification's answer differs from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from vipd.control import Drain
from vipd.explain.conversation import Conversation, ends_of, require_flags, said_of
from vipd.explain.ends import end_of, refused
from vipd.explain.question import TTL, interface_of
from vipd.explain.scene import Scene
from vipd.explain.walk import Walk, method_text, server_of, service_of
from vipd.model.director import Director, Method, Transport, with_port
from vipd.model.outcome import Action

NOBODY: Final = "none"
KERNEL: Final = "kernel"
KNOWN, NEW = "known", "new"
_LISTED: Final = 6
METHODS: Final = (*Method, "local", NOBODY)


@dataclass(frozen=True, slots=True)
class Expectation:
    to: str
    source: str | None = None
    flags: tuple[str, ...] = ()
    "One packet each, in a row; the last is the one in question. Empty: one that begins a connection."
    payload: int = 0
    ttl: int = TTL
    interface: str | None = None
    drained: tuple[str, ...] = ()
    "`web 10.0.0.11`, as vipd drain takes it."
    wanted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    "A key of GOT, and what it may be."

    def __str__(self) -> str:
        asks = f"{self.source} to {self.to}" if self.source else f"to {self.to}"
        more = f" {' '.join(self.flags)}" if self.flags else ""
        return f"{asks}{more}" + (f", {', '.join(self.drained)} drained" if self.drained else "")


class Difference(NamedTuple):
    name: str
    got: str
    want: tuple[str, ...]


def drains(where: str, texts: Iterable[str], director: Director) -> frozenset[Drain]:
    """`web 10.0.0.11`, `web 10.0.0.11:8080`. `where`: as errors name it."""
    return frozenset(each for text in texts for each in _drains(where, text, director))


def _drains(where: str, text: str, director: Director) -> Iterator[Drain]:
    name, _, rest = text.partition(" ")
    service = next((each for each in director.services if each.name == name), None)
    if service is None:
        raise refused(where, f"{text!r} names no service; it is as in 'web 10.0.0.11'")
    end = end_of(where, rest.strip())
    found = [each for each in service.servers if each.address == end.address and end.port in (None, each.port)]
    if not found:
        there = ", ".join(str(each.address) for each in service.servers[:_LISTED])
        raise refused(where, f"{rest.strip()} is no server of {name}; these are: {there}")
    for each in found:
        yield name, each.address, each.port


def answer(asked: Expectation, scene: Scene) -> Walk:
    """The last packet's. ConfigError names the key of the expectation that makes no packet."""
    talk = Conversation(scene)
    ends = ends_of(asked.source, asked.to, scene, ("from", "to"))
    interface = interface_of("interface", asked.interface, scene) if asked.interface else None
    first = replace(ends.wanted, payload=asked.payload, ttl=asked.ttl)
    require_flags("flags", asked.flags, first)
    walks: list[Walk] = []
    for text in asked.flags or ("none" if first.transport is Transport.UDP else "SYN",):
        said = said_of("flags", text)
        wanted = replace(first, flags=said.flags)
        if said.reply and not walks:
            raise refused("flags", "a reply is to something: the client's packet comes first")
        walks.append(talk.answer("flags", wanted, walks[-1]) if said.reply else talk.ask(wanted, interface))
    return walks[-1]


def fits(text: str, pattern: str) -> bool:
    """`*` in the pattern is anything; all else is itself, also an IPv6 address's brackets."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None


def differences(asked: Expectation, done: Walk, scene: Scene) -> list[Difference]:
    return list(_differences(asked, done, scene))


def _differences(asked: Expectation, done: Walk, scene: Scene) -> Iterator[Difference]:
    for name, may_be in asked.wanted.items():
        got = GOT[name](done, scene)
        if not any(fits(each, one) for each in got for one in may_be):
            yield Difference(name, got[0], may_be)


def _server(done: Walk, scene: Scene) -> tuple[str, ...]:
    """With its port and without."""
    server = server_of(done, scene)
    if server is None:
        return (NOBODY,)
    return str(server.address), with_port(server.address, server.port)


def _service(done: Walk, scene: Scene) -> tuple[str, ...]:
    service = service_of(done, scene)
    return (NOBODY,) if service is None else (scene.names.service(service.endpoint), str(service.endpoint))


def _method(done: Walk, scene: Scene) -> tuple[str, ...]:
    server = server_of(done, scene)
    return (NOBODY,) if server is None else (method_text(server),)


def _out(done: Walk, scene: Scene) -> tuple[str, ...]:
    """An interface, the kernel, or nobody."""
    if done.decision.egress is not None:
        return (scene.names.interface(done.decision.egress),)
    return (NOBODY,) if done.decision.action is Action.DROP else (KERNEL,)


GOT: Final[Mapping[str, Callable[[Walk, Scene], tuple[str, ...]]]] = {
    "server": _server,
    "service": _service,
    "method": _method,
    "outcome": lambda done, _: (done.decision.outcome,),
    "out": _out,
    "connection": lambda done, _: (KNOWN if done.is_known else NEW,),
}
"What can be expected, and how it is told of a packet; the first text is the one to show."
