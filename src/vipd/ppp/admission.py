"""Who each end is: both directions of the authentication phase (RFC 1661 3.5), in whichever way LCP agreed on."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf
from typing import Final

from vipd.ppp.authentication import Output, Side, Verdict
from vipd.ppp.chap import ChapProver, ChapVerifier
from vipd.ppp.drops import Drop, Drops
from vipd.ppp.lcp import Terms
from vipd.ppp.negotiation import Random
from vipd.ppp.pap import PapProver, PapVerifier
from vipd.ppp.settings import AuthMethod, Settings
from vipd.wire.ppp import Packet, Protocol
from vipd.wire.ppp_auth import ChapCode, PapCode

_PROTOCOLS: Final = {AuthMethod.CHAP: Protocol.CHAP, AuthMethod.PAP: Protocol.PAP}
_FOR_THE_VERIFIER: Final = {
    Protocol.CHAP: frozenset({ChapCode.RESPONSE}),
    Protocol.PAP: frozenset({PapCode.AUTHENTICATE_REQUEST}),
}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A packet with the protocol that it belongs to."""

    protocol: int
    packet: Packet


class Admission:
    """Made anew whenever LCP opens: what was proved before is proved again."""

    def __init__(self, settings: Settings, own: Terms, peer: Terms, random: Random, drops: Drops) -> None:
        self.reason = ""
        "Why one end is not let in; empty while it may be."
        self.fatal = False
        self._drops = drops
        self._sides: dict[tuple[int, bool], Side] = {}
        "By protocol, and whether the side is the one that asks for proof."
        self._waiting: set[tuple[int, bool]] = set()
        timing, demand, identity = settings.timing, settings.demand, settings.identity
        challenges: deque[bytes] = deque(maxlen=1)
        if demand and own.auth is AuthMethod.CHAP:
            self._sides[Protocol.CHAP, True] = ChapVerifier(demand, timing, challenges, random, drops)
        elif demand and own.auth is AuthMethod.PAP:
            self._sides[Protocol.PAP, True] = PapVerifier(demand, timing, random, drops)
        elif demand:
            self.reason, self.fatal = "the peer does not prove who it is", True
        if identity and peer.auth is AuthMethod.CHAP:
            self._sides[Protocol.CHAP, False] = ChapProver(identity, timing, challenges, drops)
        elif identity and peer.auth is AuthMethod.PAP:
            self._sides[Protocol.PAP, False] = PapProver(identity, timing, random, drops)

    @property
    def passed(self) -> bool:
        return not self._waiting and not self.reason

    @property
    def deadline(self) -> float:
        return min((side.deadline for side in self._sides.values()), default=inf)

    @property
    def agreed(self) -> dict[str, str]:
        """What is proved; nothing of what is under way."""
        found = {}
        for (protocol, verifies), side in self._sides.items():
            if (protocol, verifies) in self._waiting:
                continue
            name = Protocol(protocol).name.lower()
            found["peer proved by" if verifies else "proved to peer by"] = f"{name}, {side.peer}" if side.peer else name
        return found

    def start(self, now: float) -> list[Outgoing]:
        self._waiting = set(self._sides)
        return [packet for key, side in self._sides.items() for packet in self._take(key, side, side.start(now))]

    def speaks(self, protocol: int) -> bool:
        return any(known == protocol for known, _ in self._sides)

    def receive(self, protocol: Protocol, packet: Packet, now: float) -> list[Outgoing]:
        """WireError for what is no packet of the protocol, which `speaks` must have known."""
        key = protocol, packet.code in _FOR_THE_VERIFIER[protocol]
        side = self._sides.get(key)
        if side is None:
            self._drops[Drop.UNEXPECTED] += 1
            return []
        return self._take(key, side, side.receive(packet, now))

    def tick(self, now: float) -> list[Outgoing]:
        due = [(key, side) for key, side in self._sides.items() if now >= side.deadline]
        return [packet for key, side in due for packet in self._take(key, side, side.tick(now))]

    def _take(self, key: tuple[int, bool], side: Side, outputs: list[Output]) -> list[Outgoing]:
        packets = []
        for output in outputs:
            match output:
                case Packet():
                    packets.append(Outgoing(key[0], output))
                case Verdict.PASSED:
                    self._waiting.discard(key)
                case Verdict.REFUSED | Verdict.SILENT:
                    self.reason = self.reason or side.reason
                    self.fatal = self.fatal or output is Verdict.REFUSED
        return packets
