"""One connection at a time, with the test's own hand on it: when it asks, from which port, how it ends."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, Final, Self

from tests.support.labs import Site
from vipd.lab.process import wait_until
from vipd.lab.server import HEAD_END, content_length

PATIENCE: Final = 20.0
_RST_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Talk:
    """A socket of the lab's client (or another host), connected to the VIP."""

    kind: socket.SocketKind = socket.SOCK_STREAM

    def __init__(
        self,
        site: Site,
        family: int = 4,
        port: int = 0,
        *,
        host: str = "client",
        service: int | None = None,
        address: str = "",
    ) -> None:
        topology = site.lab.topology
        target = address or str(topology.vip_address(family))
        if service is None:
            transport = "tcp" if self.kind is socket.SOCK_STREAM else "udp"
            service = next(each.port for each in topology.services if each.transport == transport)
        with site.at(host):
            self.socket = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, self.kind)
        self.socket.settimeout(PATIENCE)
        try:
            if port:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self.socket.bind(("", port))
            began = time.monotonic()
            self.socket.connect((target, service))
            self.connected_after = time.monotonic() - began
        except BaseException:
            self.socket.close()
            raise

    @property
    def port(self) -> int:
        found: int = self.socket.getsockname()[1]
        return found

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
        self.socket.close()

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Tcp(Talk):
    def ask(self, last: bool = False, size: int = 0, upload: int = 0) -> dict[str, Any]:
        """What the server tells; with `last` the server closes first."""
        method, length = ("POST", f"Content-Length: {upload}\r\n") if upload else ("GET", "")
        ending = "Connection: close\r\n" if last else ""
        self.socket.sendall(f"{method} /?size={size} HTTP/1.1\r\n{length}{ending}\r\n".encode() + bytes(upload))
        data = b""
        while HEAD_END not in data:
            data += self._receive()
        head, _, body = data.partition(HEAD_END)
        chunks, missing = [body], content_length(head) - len(body)
        while missing > 0:
            chunks.append(self._receive())
            missing -= len(chunks[-1])
        told: dict[str, Any] = json.loads(b"".join(chunks))
        if last:
            assert self.socket.recv(1) == b""
        return told

    def _receive(self) -> bytes:
        data = self.socket.recv(1 << 20)
        if not data:
            raise ConnectionError("closed before the answer was whole")
        return data


class Udp(Talk):
    kind = socket.SOCK_DGRAM

    def ask(self, size: int = 0, upload: int = 0) -> dict[str, Any]:
        self.socket.send(json.dumps({"size": size}).encode() + b" " * upload)
        told: dict[str, Any] = json.loads(self.socket.recv(65_535))
        return told


def eventually(question: Callable[[], bool], what: str, patience: float = 30.0) -> None:
    wait_until(question, what, patience)
