"""A real server's work in the lab: HTTP over TCP and datagrams over UDP, both families.

Every answer is JSON that says which server gave it and whom it saw as the client:
`python -m vipd.lab.server --name server1 --tcp 80 --udp 7`. Knows nothing of vipd.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import sys
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

HEAD_END: Final = b"\r\n\r\n"
DATAGRAM: Final = 65_535
_IP_PKTINFO: Final = 8  # Python's socket has it from 3.12 on
_AT_ONCE: Final = 64


def answer(name: str, client: tuple[Any, ...], received: int, request: dict[str, Any]) -> bytes:
    """What both services say; `size` asks for that many bytes more."""
    told = {"server": name, "client": client[0], "port": client[1], "received": received, "token": request.get("token")}
    return json.dumps(told).encode() + b" " * int(request.get("size", 0))


class Http(asyncio.Protocol):
    """HTTP/1.1 as far as GET and POST with a length go; keeps connections unless told otherwise."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.buffer = b""
        self.head: bytes | None = None
        self.missing = 0
        self.received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.head is None:
            self.buffer += data
            self._begin()
        else:
            self._swallow(data)

    def _begin(self) -> None:
        head, end, rest = self.buffer.partition(HEAD_END)
        if not end:
            return
        self.head, self.buffer = head, b""
        self.missing = self.received = content_length(head)
        self._swallow(rest)

    def _swallow(self, data: bytes) -> None:
        # A body is counted, not kept; nobody here sends the next request before the answer.
        self.missing -= len(data)
        if self.missing <= 0:
            self._answer()

    def _answer(self) -> None:
        assert self.head is not None
        head, self.head = self.head, None
        target = head.split(b" ", 2)[1].decode()
        request = {key: values[0] for key, values in parse_qs(urlsplit(target).query).items()}
        body = answer(self.name, self.transport.get_extra_info("peername"), self.received, request)
        last = b"\r\nconnection: close" in head.lower()
        keep = "close" if last else "keep-alive"
        self.transport.write(
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: {self.name}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: {keep}\r\n\r\n".encode()
            + body
        )
        if last:
            self.transport.close()


def content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == b"content-length":
            return int(value)
    return 0


class Datagrams:
    """Answers from the very address that was asked: a VIP need not be the host's first address."""

    def __init__(self, name: str, family: socket.AddressFamily, port: int) -> None:
        self.name = name
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        if family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            self.socket.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        self.socket.bind(("", port))

    def readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(_AT_ONCE):
                self._serve_one()

    def _serve_one(self) -> None:
        data, ancillary, _, client = self.socket.recvmsg(DATAGRAM, 128)
        try:
            request = json.loads(data)
        except ValueError:
            request = {}
        reply = answer(self.name, client, len(data), request)
        try:
            self.socket.sendmsg([reply], [_from_where_it_came(item) for item in ancillary], 0, client)
        except OSError as error:
            print(f"{self.name}: no answer to {client[0]}: {error}", file=sys.stderr)


def _from_where_it_came(item: tuple[int, int, bytes]) -> tuple[int, int, bytes]:
    level, kind, data = item
    if level == socket.IPPROTO_IP:
        # struct in_pktinfo: ifindex, the local address, the header's; routing chooses the device.
        return level, kind, bytes(4) + data[4:8] + bytes(4)
    return level, kind, data[:16] + bytes(4)


async def serve(name: str, tcp: list[int], udp: list[int]) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    servers = [
        await loop.create_server(lambda: Http(name), ["0.0.0.0", "::"], port, backlog=4096)  # in the lab: everywhere
        for port in tcp
    ]
    for port in udp:
        for family in (socket.AF_INET, socket.AF_INET6):
            service = Datagrams(name, family, port)
            loop.add_reader(service.socket, service.readable)
    print("ready", flush=True)
    await stop.wait()
    for server in servers:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m vipd.lab.server", description=__doc__)
    parser.add_argument("--name", required=True, help="what the answers give as the server")
    parser.add_argument("--tcp", type=int, action="append", default=[], metavar="PORT", help="HTTP; may be repeated")
    parser.add_argument("--udp", type=int, action="append", default=[], metavar="PORT", help="datagrams")
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.name, chosen.tcp, chosen.udp))


if __name__ == "__main__":
    main()
