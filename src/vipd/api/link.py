"""What a running link tells of itself, and its client."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Final

from pydantic import BaseModel, ConfigDict

from vipd.api.caller import Caller
from vipd.model.link import Encapsulation, Framing, Phase
from vipd.model.peer import Peer

_PATIENCE: Final = 5.0
"Seconds: a link has all that it tells in its memory."


class FamilyStatus(BaseModel):
    """One family whose packets may pass."""

    model_config = ConfigDict(frozen=True)

    local: IPv4Address | IPv6Address
    remote: IPv4Address | IPv6Address | None
    "None where the protocol does not tell."
    mtu: int


class LinkStatus(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    pid: int
    version: str
    interface: str
    line: str
    "As `--over` has it."
    where: str
    "What is opened, or what the peer opens: a device, an address."
    line_state: str
    "waiting, open, or retrying."
    framing: Framing
    encapsulation: Encapsulation
    phase: Phase
    uptime: float | None
    "Seconds since packets of some family may pass; None while none may."
    families: list[FamilyStatus]
    agreed: dict[str, str]
    "What the two ends agreed on."
    frames_in: int
    "Whole and right."
    frames_out: int
    packets_in: int
    packets_out: int
    octets_in: int
    "On the line, with all framing."
    octets_out: int
    faults: dict[str, int]
    "What came and was no frame."
    dropped: dict[str, int]
    "Packets that were lost here."
    counters: dict[str, int]
    "Of the protocol: frames it dropped and other events."
    opened: int
    "How often the line was opened."
    peers_refused: int
    "Others that came while there was a peer."
    last_end: str | None
    "Why the line was left the last time."
    problems: list[str] = []
    "What this machine's kernel refused."


class LinkClient(Caller):
    def __init__(self, peer: Peer) -> None:
        super().__init__(peer.socket, f"link {peer.name!r}", _PATIENCE)

    def status(self) -> LinkStatus:
        return self.ask(LinkStatus, "GET", "/status")
