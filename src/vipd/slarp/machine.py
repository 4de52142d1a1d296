"""Cisco HDLC: up as long as each end shows that it hears the other. No negotiation, and no end but silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from math import inf
from typing import Final

from vipd.errors import WireError
from vipd.model.link import Deliver, Down, Effect, Hangup, Phase, Send, Up, link_local, random_identifier
from vipd.slarp.conversation import Conversation
from vipd.slarp.settings import Settings
from vipd.wire.cisco_hdlc import BROADCAST, UNICAST, Frame, Keepalive, Slarp, Type, decode_slarp

_DATA: Final = {4: Type.IPV4, 6: Type.IPV6}
_PREFIXES: Final = {version: Frame(UNICAST, kind, b"").encode() for version, kind in _DATA.items()}
_VERSIONS: Final = {
    Frame(address, kind, b"").encode(): version for version, kind in _DATA.items() for address in (UNICAST, BROADCAST)
}
"What stands before an IP packet, and its version."
_HEADER: Final = 4


class Drop(StrEnum):
    """Why a frame was dropped; the values are the names of counters."""

    MALFORMED = "malformed"
    NETWORK_CLOSED = "network_closed"
    "Of a family that is not up."
    WRONG_VERSION = "wrong_version"
    "An IP packet that is of another version than its frame says."
    TOO_BIG = "too_big"
    UNKNOWN_TYPE = "unknown_type"
    DISCOVERY = "discovery"
    "Cisco's CDP, which says nothing to us."
    OWN_KEEPALIVE = "own_keepalive"
    "Our own came back: the line is looped."
    UNEXPECTED = "unexpected"
    "An address that nobody asked for, or that tells us nothing."


class CiscoHdlc:
    """A `LinkMachine`. `random` gives so many unpredictable octets."""

    def __init__(self, settings: Settings, random: Callable[[int], bytes]) -> None:
        self.deadline = inf
        self.counters: Counter[str] = Counter()
        self._settings = settings
        self._random = random
        self._conversation: Conversation | None = None
        "While there is a line."
        self._up: dict[int, Up] = {}
        "By IP's version."
        self._ipv6 = _link_local(settings, random)

    @property
    def phase(self) -> Phase:
        if self._conversation is None:
            return Phase.DEAD
        return Phase.NETWORK if self._conversation.alive else Phase.ESTABLISH

    @property
    def agreed(self) -> Mapping[str, str]:
        found = {f"ipv{version}": f"{up.local} to {up.remote or 'the peer'}" for version, up in self._up.items()}
        looped = self._conversation is not None and self._conversation.looped
        return found | ({"line": "looped back to us"} if looped else {})

    def start(self, now: float) -> list[Effect]:
        effects = self.lost(now)
        self._conversation = Conversation(self._settings, self._random)
        return effects + self._settle(self._conversation.start(now))

    def receive(self, frame: bytes, now: float) -> list[Effect]:
        version = _VERSIONS.get(frame[:_HEADER])
        if version is None:
            return self._control(frame, now)
        if version not in self._up:
            return _drop(self.counters, Drop.NETWORK_CLOSED)
        if len(frame) == _HEADER or frame[_HEADER] >> 4 != version:
            return _drop(self.counters, Drop.WRONG_VERSION)
        return [Deliver(frame[_HEADER:])]

    def tick(self, now: float) -> list[Effect]:
        return self._settle(self._conversation.tick(now)) if self._conversation else []

    def lost(self, now: float) -> list[Effect]:
        del now
        return self._end("the line is gone")

    def stop(self, now: float) -> list[Effect]:
        del now
        return [*self._end("stopped here"), Hangup("stopped here")]

    def frame(self, packet: bytes) -> bytes | None:
        version = packet[0] >> 4 if packet else 0
        up = self._up.get(version)
        if up is None:
            self.counters[Drop.NETWORK_CLOSED] += 1
            return None
        if len(packet) > up.mtu:
            self.counters[Drop.TOO_BIG] += 1
            return None
        return _PREFIXES[version] + packet

    def _control(self, data: bytes, now: float) -> list[Effect]:
        try:
            frame = Frame.decode(data)
            if frame.type == Type.CDP:
                return _drop(self.counters, Drop.DISCOVERY)
            if frame.type != Type.SLARP:
                return _drop(self.counters, Drop.UNKNOWN_TYPE)
            packet = decode_slarp(frame.payload)
        except WireError:
            return _drop(self.counters, Drop.MALFORMED)
        answers = self._conversation.hear(packet, now) if self._conversation else None
        if answers is None:
            return _drop(self.counters, Drop.OWN_KEEPALIVE if isinstance(packet, Keepalive) else Drop.UNEXPECTED)
        return self._settle(answers)

    def _settle(self, packets: list[Slarp]) -> list[Effect]:
        """Sends, and takes the families up that may be."""
        effects: list[Effect] = [Send(Frame(BROADCAST, Type.SLARP, packet.encode()).encode()) for packet in packets]
        conversation = self._conversation
        if conversation is None:
            return effects
        self.deadline = conversation.deadline
        if conversation.over:
            return [*effects, *self._end(conversation.over), Hangup(conversation.over)]
        if not conversation.alive:
            return effects
        ups = [self._ipv6] if self._ipv6 else []
        if conversation.addresses:
            ups.append(Up(*conversation.addresses, self._settings.mtu))
        for up in ups:
            if up.local.version not in self._up:
                self._up[up.local.version] = up
                effects.append(up)
        return effects

    def _end(self, reason: str) -> list[Effect]:
        effects: list[Effect] = [Down(version, reason) for version in self._up]
        self._conversation = None
        self._up = {}
        self.deadline = inf
        return effects


def _drop(counters: Counter[str], why: Drop) -> list[Effect]:
    counters[why] += 1
    return []


def _link_local(settings: Settings, random: Callable[[int], bytes]) -> Up | None:
    """Ours; nothing in this protocol tells the peer's."""
    if not settings.ipv6:
        return None
    return Up(link_local(settings.ipv6.identifier or random_identifier(random)), None, settings.mtu)
