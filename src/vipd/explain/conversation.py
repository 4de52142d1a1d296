"""Packets one after another: each finds what the ones before it left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from vipd.explain.ends import CLIENT, CLIENT_PORT, end_of, refused, require_one_family, target_of
from vipd.explain.question import Packet, Wanted, arrived, flags_of
from vipd.explain.scene import Scene
from vipd.explain.walk import Walk, server_of, walk
from vipd.model.director import Method, Transport
from vipd.spec.state import Tables
from vipd.wire import transport

_REPLY: Final = "reply"
_OF_DATAGRAMS: Final = ("none", _REPLY, f"{_REPLY}:none")


@dataclass(frozen=True, slots=True)
class Said:
    """One packet of a conversation."""

    flags: int
    "Of TCP."
    reply: bool = False
    "The server's."


def said_of(where: str, text: str) -> Said:
    """`SYN`, `FIN+ACK`, `reply:SYN+ACK`."""
    word, colon, flags = text.partition(":")
    if word.strip().lower() != _REPLY:
        return Said(flags_of(where, text))
    return Said(flags_of(where, flags) if colon else transport.ACK, reply=True)


@dataclass(frozen=True, slots=True)
class Ends:
    """Who talks to whom, and what was chosen for whoever did not say."""

    wanted: Wanted
    notes: tuple[str, ...]


def ends_of(source: str | None, to: str, scene: Scene, where: tuple[str, str] = ("--from", "--to")) -> Ends:
    """The first packet, of a client's end and of a service in people's words. `where`: as errors name the two."""
    client = end_of(where[0], source) if source is not None else None
    target = target_of(where[1], to, client and client.address, scene)
    address = client.address if client else CLIENT[target.address.version]
    require_one_family(where[1], address, target.address, scene)
    port = client.port if client and client.port is not None else CLIENT_PORT
    notes = [target.note] if target.note else []
    if client is None:
        notes.append(f"nobody said who asks: {address} port {port}")
    elif client.port is None:
        notes.append(f"nobody said from which port: {port}")
    return Ends(Wanted(address, port, target.address, target.port, target.transport), tuple(notes))


class Conversation:
    def __init__(self, scene: Scene) -> None:
        self.scene, self.now = scene, scene.now
        self.tables: Tables = scene.tables

    def put(self, packet: Packet) -> Walk:
        done = walk(self.scene, packet, self.tables, self.now)
        self.tables = done.decision.draft
        return done

    def ask(self, wanted: Wanted, interface: int | None = None, source_mac: bytes | None = None) -> Walk:
        return self.put(arrived(wanted.packet(), self.scene, interface, source_mac))

    def answer(self, where: str, wanted: Wanted, last: Walk) -> Walk:
        """What the server sends back that the last packet went to, or came from."""
        server = server_of(last, self.scene)
        if server is None:
            raise refused(where, "no server has the packet before it, so that none replies")
        if server.method is not Method.NAT:
            told = "local" if server.method is None else str(server.method)
            raise refused(where, f"under {told} replies go from {server.address} to the client, past the director")
        port = server.port or wanted.destination_port
        return self.ask(wanted.reversed(server.address, port))


def require_flags(where: str, texts: Iterable[str], wanted: Wanted) -> None:
    """Whether packets of this transport can have them."""
    if wanted.transport is not Transport.UDP:
        return
    for text in texts:
        if text.strip().lower() not in _OF_DATAGRAMS:
            told = f"{text!r} is TCP's, and this is UDP; 'none' is a datagram of the client's, 'reply' of the server's"
            raise refused(where, told)
