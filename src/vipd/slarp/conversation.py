"""What two ends of a Cisco HDLC link say to each other while one line lasts: keep-alives, and who has which address."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from math import inf
from typing import Final

from vipd.model.link import can_be_an_end
from vipd.slarp.keepalive import Keepalives
from vipd.slarp.settings import Settings, other_end
from vipd.wire.cisco_hdlc import AddressReply, AddressRequest, Keepalive, Slarp

_ASKING: Final = 10.0
"Seconds between two questions for an address on a line without keep-alives."
_LOOPED: Final = "the line is looped back to us"
_SILENT: Final = "the peer answers no keep-alive any more"


class Conversation:
    def __init__(self, settings: Settings, random: Callable[[int], bytes]) -> None:
        self.deadline = inf
        self.alive = not settings.interval
        "Each end hears the other, or nobody asks."
        self.looped = False
        self.over = ""
        "Why a link that was alive is so no more."
        self.addresses = _configured(settings)
        "Of IPv4: ours and the peer's, once both are known."
        self._settings = settings
        self._started = 0.0
        self._keepalives = Keepalives(settings.misses, random)
        self._greeted = False

    def start(self, now: float) -> list[Slarp]:
        self._started = now
        return self._speak(now)

    def tick(self, now: float) -> list[Slarp]:
        if now < self.deadline:
            return []
        if self.alive and self._keepalives.unanswered > self._settings.misses:
            self.over = _LOOPED if self.looped else _SILENT
            return []
        return self._speak(now)

    def hear(self, packet: Slarp, now: float) -> list[Slarp] | None:
        """What to answer; None for what tells us nothing."""
        match packet:
            case Keepalive():
                return self._hear_keepalive(packet, now)
            case AddressRequest():
                return self._own_address()
            case AddressReply():
                if self.addresses or not self._settings.ipv4:
                    return None
                self.addresses = _deduced(packet)
                return [] if self.addresses else None

    def _hear_keepalive(self, packet: Keepalive, now: float) -> list[Slarp] | None:
        self.looped = self._keepalives.looped(packet)
        if self.looped:
            return None
        self.alive = self._keepalives.hear(packet) or self.alive
        if self._greeted or not self._settings.interval:
            return []
        # The peer need not wait for our next turn to know that it is heard.
        self._greeted = True
        return self._speak(now)

    def _own_address(self) -> list[Slarp] | None:
        ipv4 = self._settings.ipv4
        if not ipv4 or not ipv4.local:
            return None
        return [AddressReply(ipv4.local, IPv4Network((0, ipv4.prefix)).netmask)]

    def _speak(self, now: float) -> list[Slarp]:
        """Our turn: a keep-alive, and while we have no address, the question for one."""
        asks = self._settings.ipv4 is not None and self.addresses is None
        packets: list[Slarp] = [AddressRequest()] if asks else []
        if self._settings.interval:
            packets.append(self._keepalives.next(now - self._started))
        self.deadline = now + (self._settings.interval or _ASKING) if packets else inf
        return packets


def _configured(settings: Settings) -> tuple[IPv4Address, IPv4Address] | None:
    ipv4 = settings.ipv4
    if not ipv4 or not ipv4.local:
        return None
    remote = ipv4.remote or other_end(ipv4.local, ipv4.prefix)
    return (ipv4.local, remote) if remote else None


def _deduced(reply: AddressReply) -> tuple[IPv4Address, IPv4Address] | None:
    """Of two ends in a network of two, who knows one knows the other."""
    prefix = int(reply.mask).bit_count()
    if reply.mask != IPv4Network((0, prefix)).netmask or not can_be_an_end(reply.address):
        return None
    local = other_end(reply.address, prefix)
    return (local, reply.address) if local else None
