"""What lives on LCP while that is opened: keep-alive, authentication, network (RFC 1661 3.5, 3.6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from vipd.model.link import Down, Phase, Up
from vipd.ppp.admission import Admission, Outgoing
from vipd.ppp.drops import Drop, Drops
from vipd.ppp.echo import KeepAlive
from vipd.ppp.lcp import Terms
from vipd.ppp.negotiation import Random
from vipd.ppp.network import Network
from vipd.ppp.settings import Settings
from vipd.wire.ppp import HEADER_SIZE, Code, Packet, Protocol, ProtocolReject, protocol_name

Item: TypeAlias = Outgoing | Up | Down
_REJECT_SIZE: Final = HEADER_SIZE + 2
"Of a Protocol-Reject without what was rejected."


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the link should end."""

    reason: str
    fatal: bool = False
    "It would end so again."
    silent: bool = False
    "The peer would not hear a Terminate-Request either."


class Opened:
    """Made anew whenever LCP opens: nothing of the time before holds any more."""

    def __init__(
        self,
        settings: Settings,
        terms: tuple[Terms, Terms],
        next_identifier: Callable[[], int],
        network: Network,
        random: Random,
        drops: Drops,
    ) -> None:
        self.own, self.peer = terms
        self._settings = settings
        self._next_identifier = next_identifier
        self._network = network
        self._drops = drops
        self._echo = KeepAlive(settings.echo, self.own.magic, self.peer.mru, next_identifier, drops)
        self._admission = Admission(settings, self.own, self.peer, random, drops)
        self._admitted = False
        self._unwanted: set[int] = set()
        "Codes of LCP that the peer has rejected."

    @property
    def phase(self) -> Phase:
        return Phase.NETWORK if self._admitted else Phase.AUTHENTICATE

    @property
    def deadline(self) -> float:
        return min(self._echo.deadline, self._admission.deadline, self._network.deadline)

    @property
    def ending(self) -> Ending | None:
        """None while the link serves."""
        if self._echo.reason:
            return Ending(self._echo.reason, silent=True)
        if self._admission.reason:
            return Ending(self._admission.reason, fatal=self._admission.fatal)
        return Ending(self._network.reason) if self._network.reason else None

    @property
    def agreed(self) -> dict[str, str]:
        own, peer = self.own, self.peer
        lcp = {
            "mru": f"{own.mru} here, {peer.mru} there",
            "accm": f"{own.accm:08x} here, {peer.accm:08x} there",
            "magic": f"{own.magic:08x} here, {peer.magic:08x} there",
            "protocol compression": _where(own.protocol_compression, peer.protocol_compression),
            "address compression": _where(own.address_compression, peer.address_compression),
        }
        return lcp | self._admission.agreed | self._network.agreed

    def start(self, now: float) -> list[Item]:
        self._echo.start(now)
        return self._admit([*self._admission.start(now)], now)

    def tick(self, now: float) -> list[Item]:
        echoes: list[Item] = [Outgoing(Protocol.LCP, packet) for packet in self._echo.tick(now)]
        return self._admit([*echoes, *self._admission.tick(now), *self._network.tick(now)], now)

    def echo(self, packet: Packet) -> list[Item]:
        return [Outgoing(Protocol.LCP, answer) for answer in self._echo.receive(packet)]

    def receive(self, protocol: int, payload: bytes, now: float) -> list[Item]:
        """Any protocol but LCP."""
        if self._admission.speaks(protocol):
            packets = self._admission.receive(Protocol(protocol), Packet.decode(payload), now)
            return self._admit([*packets], now)
        if not self._admitted:
            self._drops[Drop.UNAUTHENTICATED] += 1
            return []
        if self._network.speaks(protocol):
            return self._network.receive(protocol, Packet.decode(payload), now)
        if self._network.knows(protocol):
            self._drops[Drop.NETWORK_CLOSED] += 1
            return []
        self._drops[Drop.UNKNOWN_PROTOCOL] += 1
        if Code.PROTOCOL_REJECT in self._unwanted:
            return []
        rejected = ProtocolReject(protocol, payload[: self.peer.mru - _REJECT_SIZE]).encode()
        return [Outgoing(Protocol.LCP, Packet(Code.PROTOCOL_REJECT, self._next_identifier(), rejected))]

    def code_rejected(self, code: int) -> None:
        """Nothing of that kind may be sent any more (RFC 1661 4.3)."""
        self._unwanted.add(code)
        if code == Code.ECHO_REQUEST:
            self._echo.stop()

    def rejected(self, protocol: int, now: float) -> list[Item]:
        if self._admission.speaks(protocol):
            self._admission.reason = f"the peer rejects {protocol_name(protocol)}, which it agreed to"
        return self._network.rejected(protocol, now)

    def _admit(self, items: list[Item], now: float) -> list[Item]:
        """Goes on to the network phase as soon as both ends are who they should be."""
        if self._admitted or not self._admission.passed:
            return items
        self._admitted = True
        return items + self._network.start(min(self.peer.mru, self._settings.mru), now)


def _where(here: bool, there: bool) -> str:
    """Which end takes frames so compressed."""
    return {(True, True): "both ways", (True, False): "to us", (False, True): "to the peer"}.get((here, there), "no")
