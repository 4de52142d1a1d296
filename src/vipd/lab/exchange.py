"""One connection of the lab's client: asks, waits for the answer, names what went wrong."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import struct
from typing import Any, ClassVar, Final, cast

_TCP_INFO_TOTAL_RETRANS: Final = 100
"Offset in struct tcp_info (linux/tcp.h)."


class Lost(Exception):
    """A request that got no (right) answer; `kind` says how."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def kind_of(error: OSError | None) -> str:
    match error:
        case None:
            return "closed"
        case ConnectionRefusedError():
            return "refused"
        case ConnectionResetError():
            return "reset"
        case TimeoutError():
            return "timeout"
        case _:
            return errno.errorcode.get(error.errno or 0, "error").lower()


class Exchange(asyncio.BaseProtocol):
    """Made for one connection; `ask` opens it at the first request."""

    kind: ClassVar[socket.SocketKind]

    def __init__(self, target: tuple[str, int], source: tuple[str, int]) -> None:
        self.target = target
        self.source = source
        self.transport: asyncio.Transport | None = None
        "For UDP a DatagramTransport in truth: what both can is enough here, but for sending."
        self.answered: asyncio.Future[bytes] | None = None
        self.retransmits = 0

    async def ask(self, token: str, upload: int, download: int, last: bool, timeout: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout(timeout):
                if self.transport is None:
                    await self._open()
                self.answered = asyncio.get_running_loop().create_future()
                self._send(token, upload, download, last)
                body = await self.answered
        except OSError as error:  # TimeoutError is one
            raise Lost(kind_of(error)) from error
        try:
            told: dict[str, Any] = json.loads(body)
        except ValueError as error:
            raise Lost("wrong answer") from error
        return told

    async def _open(self) -> None:
        # A socket of our own: asyncio resolves and retries several addresses otherwise.
        family = socket.AF_INET6 if ":" in self.target[0] else socket.AF_INET
        handle = socket.socket(family, self.kind)
        handle.setblocking(False)
        try:
            if self.source != ("", 0):
                _bind(handle, self.source)
            await asyncio.get_running_loop().sock_connect(handle, self.target)
            await self._wrap(handle)
        except BaseException:
            handle.close()
            raise

    async def _wrap(self, handle: socket.socket) -> None:
        raise NotImplementedError

    def _send(self, token: str, upload: int, download: int, last: bool) -> None:
        raise NotImplementedError

    def close(self) -> int:
        """How many segments had to be sent again."""
        self.answered = None
        if self.transport is not None:
            self._look()
            self.transport.close()
        return self.retransmits

    def _look(self) -> None:
        """While the socket is there: what it has to tell."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._look()
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        if self.answered is not None and not self.answered.done():
            self.answered.set_exception(
                Lost(kind_of(error)) if isinstance(error, OSError | None) else Lost(type(error).__name__)
            )


def _bind(handle: socket.socket, source: tuple[str, int]) -> None:
    """Neither the other family nor a connection of a minute ago may keep a port from us."""
    if handle.family == socket.AF_INET6:
        handle.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if handle.type == socket.SOCK_STREAM:
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    handle.bind(source)


class TcpExchange(Exchange, asyncio.Protocol):
    """HTTP/1.1."""

    kind = socket.SOCK_STREAM

    def __init__(self, target: tuple[str, int], source: tuple[str, int]) -> None:
        super().__init__(target, source)
        self.buffer = bytearray()

    async def _wrap(self, handle: socket.socket) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, sock=handle)

    def _send(self, token: str, upload: int, download: int, last: bool) -> None:
        assert self.transport is not None
        self.buffer.clear()
        host = f"[{self.target[0]}]" if ":" in self.target[0] else self.target[0]
        head = f"{'POST' if upload else 'GET'} /?token={token}&size={download} HTTP/1.1\r\nHost: {host}\r\n"
        head += f"Content-Length: {upload}\r\n" if upload else ""
        head += "Connection: close\r\n\r\n" if last else "\r\n"
        self.transport.write(head.encode() + bytes(upload))

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, end, body = bytes(self.buffer).partition(b"\r\n\r\n")
        if not end or self.answered is None or self.answered.done():
            return
        if len(body) >= _content_length(head):
            self.answered.set_result(body)

    def _look(self) -> None:
        handle = self.transport.get_extra_info("socket") if self.transport else None
        if handle is not None and handle.fileno() >= 0:
            info = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_TOTAL_RETRANS + 4)
            self.retransmits = struct.unpack_from("=I", info, _TCP_INFO_TOTAL_RETRANS)[0]


def _content_length(head: bytes) -> int:
    _, found, rest = head.partition(b"Content-Length: ")
    if not found:
        raise Lost("wrong answer")
    return int(rest.split(b"\r\n", 1)[0])


class UdpExchange(Exchange, asyncio.DatagramProtocol):
    """One datagram there, one back."""

    kind = socket.SOCK_DGRAM

    async def _wrap(self, handle: socket.socket) -> None:
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=handle)

    def _send(self, token: str, upload: int, download: int, last: bool) -> None:  # noqa: ARG002, UDP knows no last
        transport = cast(asyncio.DatagramTransport, self.transport)
        transport.sendto(json.dumps({"token": token, "size": download}).encode() + b" " * upload)

    def datagram_received(self, data: bytes, _: tuple[Any, ...]) -> None:
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(data)

    def error_received(self, error: Exception) -> None:
        self._end(error)
