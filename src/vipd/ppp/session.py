"""A PPP link as its driver sees it: frames in and out. IP packets pass here and go no deeper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import inf
from typing import Final

from vipd.errors import WireError
from vipd.model.link import Deliver, Down, Effect, Hangup, Phase, Send, Up
from vipd.ppp.admission import Outgoing
from vipd.ppp.control import COMMON_CODES, Identifiers
from vipd.ppp.drops import Drop, Drops
from vipd.ppp.lcp import Terms
from vipd.ppp.negotiation import Random
from vipd.ppp.network import Network
from vipd.ppp.phases import Item, Phases
from vipd.ppp.settings import Settings
from vipd.wire.ppp import Frame, Protocol

_DATA: Final = {4: Protocol.IPV4, 6: Protocol.IPV6}
"By IP's version."


class Session:
    """A `LinkMachine`. `random` gives so many unpredictable octets: magic numbers, challenges, identifiers."""

    def __init__(self, settings: Settings, random: Random) -> None:
        self.deadline = inf
        self._settings = settings
        self._random = random
        self._drops: Drops = Counter()
        self._network = Network(settings, random, self._drops)
        self._identifiers = Identifiers(random(1)[0])
        self._phases: Phases | None = None
        self._mtu = 0
        self._prefixes: dict[int, bytes] = {}
        "What goes before a packet to the peer, by IP's version, while the family is up."
        self._inbound: dict[bytes, int] = {}
        "The beginnings of the peer's frames, in every form, and the IP version behind; while the family is up."

    @property
    def phase(self) -> Phase:
        return self._phases.phase if self._phases else Phase.DEAD

    @property
    def agreed(self) -> Mapping[str, str]:
        opened = self._phases.opened if self._phases else None
        return opened.agreed if opened else {}

    @property
    def counters(self) -> Mapping[str, int]:
        return self._drops

    def start(self, now: float) -> list[Effect]:
        effects = self.lost(now)
        self._phases = Phases(self._settings, self._network, self._identifiers, self._random, self._drops)
        return effects + self._carry_out(self._phases.start(now))

    def receive(self, frame: bytes, now: float) -> list[Effect]:
        inbound = self._inbound
        if inbound:
            for size in (1, 2, 3, 4):
                version = inbound.get(frame[:size])
                if version and len(frame) > size and frame[size] >> 4 == version:
                    return [Deliver(frame[size:])]
        return self._receive(frame, now)

    def tick(self, now: float) -> list[Effect]:
        return self._carry_out(self._phases.tick(now)) if self._phases else []

    def lost(self, now: float) -> list[Effect]:
        del now
        self._phases = None
        return self._carry_out([*self._network.stop("the line is gone")])

    def stop(self, now: float) -> list[Effect]:
        return self._carry_out(self._phases.stop(now)) if self._phases else [Hangup("stopped here")]

    def frame(self, packet: bytes) -> bytes | None:
        prefix = self._prefixes.get(packet[0] >> 4) if packet else None
        if prefix is None:
            self._drops[Drop.NETWORK_CLOSED] += 1
            return None
        if len(packet) > self._mtu:
            self._drops[Drop.TOO_BIG] += 1
            return None
        return prefix + packet

    def _receive(self, data: bytes, now: float) -> list[Effect]:
        if not self._phases:
            self._drops[Drop.LINK_CLOSED] += 1
            return []
        try:
            frame = Frame.decode(data)
            if self._inbound.get(frame.protocol.to_bytes(2, "big")):
                self._drops[Drop.WRONG_VERSION] += 1
                return []
            return self._carry_out(self._phases.receive(frame.protocol, frame.payload, now))
        except WireError:
            self._drops[Drop.MALFORMED] += 1
            return []

    def _carry_out(self, items: list[Item]) -> list[Effect]:
        effects: list[Effect] = []
        opened = self._phases.opened if self._phases else None
        terms = opened.peer if opened else Terms()
        for item in items:
            match item:
                case Outgoing():
                    effects.append(_send(item, terms))
                    continue
                case Up():
                    self._mtu = item.mtu
                    self._prefixes[item.local.version] = _frame(_DATA[item.local.version], b"", terms)
                    self._inbound |= dict.fromkeys(_forms(_DATA[item.local.version]), item.local.version)
                case Down():
                    self._prefixes.pop(item.version)
                    self._inbound = {
                        form: version for form, version in self._inbound.items() if version != item.version
                    }
                case Hangup():
                    self._phases = None
                case _:
                    pass
            effects.append(item)
        self.deadline = self._phases.deadline if self._phases else inf
        return effects


def _send(outgoing: Outgoing, peer: Terms) -> Send:
    payload = outgoing.packet.encode()
    if outgoing.protocol != Protocol.LCP:
        return Send(_frame(outgoing.protocol, payload, peer))
    # Understood by a peer that has forgotten all we agreed on (RFC 1661 section 5 and 6.6).
    return Send(Frame(Protocol.LCP, payload).encode(), plain=outgoing.packet.code in COMMON_CODES)


def _frame(protocol: int, payload: bytes, peer: Terms) -> bytes:
    return Frame(protocol, payload, peer.address_compression, peer.protocol_compression).encode()


def _forms(protocol: int) -> list[bytes]:
    """How a frame of a network protocol may begin."""
    return [Frame(protocol, b"", short, shorter).encode() for short in (True, False) for shorter in (True, False)]
