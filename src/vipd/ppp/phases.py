"""The phases of a PPP link (RFC 1661 3.2), for as long as one line lasts. Knows no frame; packets go in and out."""

from __future__ import annotations

from math import inf
from typing import Final, TypeAlias

from vipd.model.link import Down, Hangup, Phase, Reframe, Up
from vipd.ppp.admission import Outgoing
from vipd.ppp.automaton import Event, State
from vipd.ppp.control import ControlProtocol, Identifiers, Output, Signal
from vipd.ppp.drops import Drop, Drops
from vipd.ppp.lcp import LcpPolicy
from vipd.ppp.negotiation import Random
from vipd.ppp.network import Network
from vipd.ppp.opened import Opened
from vipd.ppp.settings import DEFAULT_ACCM, DEFAULT_MRU, Settings
from vipd.wire.ppp import Code, Packet, Protocol, ProtocolReject, protocol_name

Item: TypeAlias = Outgoing | Reframe | Up | Down | Hangup
_ECHOES: Final = frozenset({Code.ECHO_REQUEST, Code.ECHO_REPLY, Code.DISCARD_REQUEST})
_IGNORED: Final = frozenset({Code.IDENTIFICATION, Code.TIME_REMAINING})
"RFC 1570 section 2: to be read by people."


class Phases:
    def __init__(
        self, settings: Settings, network: Network, identifiers: Identifiers, random: Random, drops: Drops
    ) -> None:
        self._settings = settings
        self._network = network
        self._random = random
        self._drops = drops
        self._policy = LcpPolicy(settings, random)
        self._lcp = ControlProtocol(self._policy, settings.timing, identifiers, drops, passive=settings.passive)
        self.opened: Opened | None = None
        "While LCP is."
        self._fatal = False
        self._somebody = False
        "There was a packet of LCP."

    @property
    def phase(self) -> Phase:
        if self.opened:
            return self.opened.phase
        return Phase.TERMINATE if self._lcp.state in (State.CLOSING, State.STOPPING) else Phase.ESTABLISH

    @property
    def deadline(self) -> float:
        return min(self._lcp.deadline, self.opened.deadline if self.opened else inf)

    def start(self, now: float) -> list[Item]:
        return self._follow(self._lcp.fire(Event.OPEN, now) + self._lcp.fire(Event.UP, now), now)

    def receive(self, protocol: int, payload: bytes, now: float) -> list[Item]:
        """What a frame holds; WireError where that is no packet of a protocol that we speak."""
        items: list[Item] = []
        if protocol == Protocol.LCP:
            items += self._heard(Packet.decode(payload), now)
        elif self.opened:
            items += self.opened.receive(protocol, payload, now)
        else:
            self._drops[Drop.LINK_CLOSED] += 1
        return self._settle(items, now)

    def tick(self, now: float) -> list[Item]:
        items = self._follow(self._lcp.tick(now), now)
        if self.opened:
            items += self.opened.tick(now)
        return self._settle(items, now)

    def stop(self, now: float) -> list[Item]:
        items = self._follow(self._lcp.close("stopped here", now), now)
        # Where nobody ever said a word, nobody will acknowledge the end.
        return self._settle(items if self._somebody else [*items, self._hang_up()], now)

    def _heard(self, packet: Packet, now: float) -> list[Item]:
        """LCP's own codes; the common ones are the control protocol's."""
        self._somebody = True
        if packet.code in _ECHOES and self.opened:
            self._lcp.fire(Event.ECHO_OR_DISCARD, now)
            return [*self.opened.echo(packet)]
        if packet.code in _ECHOES or packet.code in _IGNORED:
            self._drops[Drop.UNEXPECTED] += 1
            return []
        if packet.code == Code.CODE_REJECT and packet.data and self.opened:
            self.opened.code_rejected(packet.data[0])
        if packet.code != Code.PROTOCOL_REJECT:
            outputs = self._lcp.receive(packet, now)
            if packet.code == Code.TERMINATE_REQUEST and self._policy.hint:
                # It did not get what it must have, and would not the next time.
                self._fatal = True
                outputs += self._lcp.close("the peer ended it", now)
            return self._follow(outputs, now)
        rejected = ProtocolReject.decode(packet.data).protocol
        if not self.opened:
            # Only valid in Opened (RFC 1661 5.7).
            self._drops[Drop.UNEXPECTED] += 1
            return []
        lcp = self._lcp.rejected(protocol_name(rejected), now, fatal=rejected == Protocol.LCP)
        return [*self.opened.rejected(rejected, now), *self._follow(lcp, now)]

    def _follow(self, outputs: list[Output], now: float) -> list[Item]:
        """What LCP does, and what follows from it for those above."""
        items: list[Item] = []
        for output in outputs:
            match output:
                case Packet():
                    items.append(Outgoing(Protocol.LCP, output))
                case Signal.UP:
                    items += self._open(now)
                case Signal.DOWN:
                    self.opened = None
                    self._lcp.largest = DEFAULT_MRU
                    items += self._network.stop(self._lcp.reason or "the peer negotiates anew")
                    items.append(Reframe(DEFAULT_ACCM, DEFAULT_ACCM))
                case Signal.FINISHED:
                    items.append(self._hang_up())
        return items

    def _open(self, now: float) -> list[Item]:
        own, peer = self._policy.own, self._policy.peer
        self._lcp.largest = peer.mru
        terms = own, peer
        self.opened = Opened(self._settings, terms, self._lcp.next_identifier, self._network, self._random, self._drops)
        # What the line does to characters on their way to us, it may do on their way back.
        return [Reframe(peer.accm | (self._settings.accm or 0), own.accm), *self.opened.start(now)]

    def _settle(self, items: list[Item], now: float) -> list[Item]:
        """Ends a link that serves no purpose any more."""
        ending = self.opened.ending if self.opened else None
        if ending:
            self._fatal = ending.fatal
            items += self._follow(self._lcp.close(ending.reason, now), now)
            if ending.silent:
                items.append(self._hang_up())
        if self._lcp.state is State.CLOSED and not any(isinstance(item, Hangup) for item in items):
            items.append(self._hang_up())
        return items

    def _hang_up(self) -> Hangup:
        reason = self._lcp.reason or "closed"
        if self._policy.hint:
            reason = f"{reason} ({self._policy.hint})"
        return Hangup(reason, self._fatal or self._policy.fatal)
