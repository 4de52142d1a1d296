"""A PPP peer that a test plays by hand: each packet that it says, and what the session says to that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.support.ppp import session
from vipd.model.link import Effect, Hangup, Send
from vipd.ppp.settings import Settings
from vipd.wire.ppp import Code, Frame, Option, Packet, Protocol, decode_options, encode_options


class Said(NamedTuple):
    protocol: int
    code: int
    identifier: int
    data: bytes

    @property
    def options(self) -> tuple[Option, ...]:
        return decode_options(self.data)


@dataclass
class Talk:
    """At the time `now`; `effects` are those of the last step."""

    settings: Settings
    now: float = 0.0
    effects: list[Effect] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.session = session(self.settings)
        self.effects = self.session.start(self.now)
        self._first = self.said

    @property
    def said(self) -> list[Said]:
        frames = [Frame.decode(effect.frame) for effect in self.effects if isinstance(effect, Send)]
        packets = [(frame.protocol, Packet.decode(frame.payload)) for frame in frames]
        return [Said(protocol, packet.code, packet.identifier, packet.data) for protocol, packet in packets]

    @property
    def hangup(self) -> Hangup | None:
        return next((effect for effect in self.effects if isinstance(effect, Hangup)), None)

    def say(self, protocol: int, code: int, identifier: int, data: bytes = b"") -> list[Said]:
        frame = Frame(protocol, Packet(code, identifier, data).encode())
        self.effects = self.session.receive(frame.encode(), self.now)
        return self.said

    def ask(self, protocol: int, identifier: int, *options: Option) -> list[Said]:
        return self.say(protocol, Code.CONFIGURE_REQUEST, identifier, encode_options(options))

    def answer(self, code: int, request: Said, options: Iterable[Option] | None = None) -> list[Said]:
        """With the request's own options if no others are given."""
        data = request.data if options is None else encode_options(options)
        return self.say(request.protocol, code, request.identifier, data)

    def tick(self, now: float | None = None) -> list[Said]:
        """At that time, or at the next deadline."""
        self.now = self.session.deadline if now is None else now
        self.effects = self.session.tick(self.now)
        return self.said

    def request(self, protocol: int) -> Said:
        """The Configure-Request of that protocol among what was said last."""
        return next(said for said in self.said if said.protocol == protocol and said.code == Code.CONFIGURE_REQUEST)

    def open_lcp(self, *options: Option) -> list[Said]:
        """The peer agrees to all and asks for these; what the session says once LCP is opened."""
        self.answer(Code.CONFIGURE_ACK, self._first[0])
        [answer, *others] = self.ask(Protocol.LCP, 200, *options)
        assert answer.code == Code.CONFIGURE_ACK
        return others
