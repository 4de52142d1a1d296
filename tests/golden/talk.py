"""One client's talk with one service, frame by frame, as scapy builds them. No director is asked anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from scapy.layers.l2 import Ether
from scapy.packet import Raw

from tests.golden.data import INNER, OUT, Action, Case, Frame, Step
from tests.golden.services import SERVICES, Service
from tests.support import packets
from tests.support.wires import (
    CLIENT,
    CLIENT_MAC,
    INNER_MAC,
    NARROW_LINK,
    NARROW_LINK_MAC,
    OUT_MAC,
    ROUTER_MAC,
    VIP,
    server_mac,
)

TEXT: Final = b"odd number of bytes, spoken"
ROUTER: Final = {4: "192.0.2.254", 6: "2001:db8:aaaa::fe"}
"Somewhere on the way to the client: where errors come from."
FIRST_PORT: Final = 20_000


class Wording:
    """A client's and a server's packets, which nobody has sent yet."""

    def __init__(self, service: Service, port: int) -> None:
        self.service, self.family, self.port = service, service.family, port
        self.client, self.vip = CLIENT[self.family], VIP[self.family]
        self.server = service.servers[0].address if service.servers else ""

    def ip(self, **fields: Any) -> Any:
        """From the client to the VIP; the identifier is the client's port, so that no two cases share one."""
        given = {"id": self.port} | fields if self.family == 4 else fields
        return packets.ip(self.family, **given)

    def from_server(self, **fields: Any) -> Any:
        return self.ip(**({"src": self.server, "dst": self.client} | fields))

    def tcp(self, flags: str = "S", **fields: Any) -> Any:
        return packets.tcp(flags, **({"sport": self.port, "dport": self.service.port} | fields))

    def udp(self, **fields: Any) -> Any:
        return packets.udp(**({"sport": self.port, "dport": self.service.port} | fields))

    def back(self) -> dict[str, int]:
        """The ports of an answer from the server."""
        return {"sport": self.service.server_port, "dport": self.port}

    def segment(self, flags: str = "S", payload: bytes = b"", **fields: Any) -> Any:
        return self.ip(**self.whole()) / self.tcp(flags, **fields) / Raw(payload)

    def answer(self, flags: str = "SA", payload: bytes = b"", **fields: Any) -> Any:
        return self.from_server(**self.whole()) / self.tcp(flags, **(self.back() | fields)) / Raw(payload)

    def whole(self) -> dict[str, Any]:
        """As stacks send TCP: not to be fragmented."""
        return {"flags": "DF"} if self.family == 4 else {}

    def datagram(self, payload: bytes = TEXT, **fields: Any) -> Any:
        return self.ip() / self.udp(**fields) / Raw(payload)


class Talk(Wording):
    """Collects steps."""

    def __init__(self, service: Service, port: int) -> None:
        super().__init__(service, port)
        self.steps: list[Step] = []

    def says(self, label: str, packet: Any, source: str = CLIENT_MAC, padding: bytes = b"", to: str = OUT_MAC) -> None:
        """Towards the VIP."""
        self.steps.append(Step(label, Frame(OUT, bytes(Ether(src=source, dst=to) / packet) + padding)))

    def hears(self, label: str, packet: Any) -> None:
        """From the real server's side."""
        mac = NARROW_LINK_MAC if self.server == NARROW_LINK[self.family] else server_mac(1)
        self.steps.append(Step(label, Frame(INNER, bytes(Ether(src=mac, dst=INNER_MAC) / packet))))

    def router_says(self, label: str, packet: Any) -> None:
        self.says(label, packet, ROUTER_MAC)

    def act(self, label: str, what: str) -> None:
        self.steps.append(Step(label, Action(what)))

    def opened(self) -> Talk:
        """A TCP connection that is established, under NAT with the server's half."""
        self.says("syn", self.segment("S"))
        if self.service.method == "nat":
            self.hears("syn-ack", self.answer("SA"))
        self.says("ack", self.segment("A"))
        return self


Script: TypeAlias = Callable[[Talk], object]


@dataclass(frozen=True, slots=True)
class Play:
    """A case that has not got its client yet."""

    name: str
    service: str
    script: Script
    alone: bool = False
    "Nobody else uses the service."


def numbered(plays: Iterator[Play]) -> Iterator[Case]:
    for port, play in enumerate(plays, FIRST_PORT):
        talk = Talk(SERVICES[play.service], port)
        play.script(talk)
        yield Case(play.name, play.service, play.alone, port, tuple(talk.steps))
