"""Says that something about links, addresses or routes changed; what, the kernel is asked anew.

So a lost or doubled message costs a question, never a wrong answer: after an overrun
(ENOBUFS) everything counts as changed.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import struct
from types import TracebackType
from typing import Final, Self

log = logging.getLogger(__name__)

_HEADER: Final = struct.Struct("=IHHII")
_LINK: Final = frozenset({16, 17})
_ADDRESS: Final = frozenset({20, 21})
_ROUTE: Final = frozenset({24, 25, 32, 33})
_NEXT_HOP: Final = frozenset({104, 105})
_ANY: Final = _LINK | _ADDRESS | _ROUTE | _NEXT_HOP
_GROUPS: Final = (1, 5, 9, 7, 11, 8, 19, 32)
"RTNLGRP_LINK, IPV4_IFADDR, IPV6_IFADDR, IPV4_ROUTE, IPV6_ROUTE, IPV4_RULE, IPV6_RULE, NEXTHOP."
_SOL_NETLINK: Final = 270
_ADD_MEMBERSHIP: Final = 1
_BATCH: Final = 1 << 16


class Feed:
    """The kernel's messages; datagrams that it did not send are not heard."""

    def __init__(self, receive_buffer: int = 1 << 20) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setblocking(False)
        self.socket.bind((0, 0))
        for group in _GROUPS:
            self.socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        self.overruns = 0
        self.strangers = 0

    def close(self) -> None:
        self.socket.close()

    @property
    def port(self) -> int:
        """Of the netlink socket."""
        number: int = self.socket.getsockname()[0]
        return number

    def changed(self) -> bool:
        """Whether anything has changed since it was last asked. The kernel tells before a change returns."""
        changed = False
        while True:
            try:
                data, (sender, _) = self.socket.recvfrom(_BATCH)
            except BlockingIOError:
                return changed
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.overruns += 1
                log.warning("netlink overrun: asking the kernel for everything again")
                changed = True
                continue
            if sender != 0:
                self.strangers += 1
            elif kinds(data) & _ANY:
                changed = True


class Watcher:
    """Wakes who waits in `changed`."""

    def __init__(self, receive_buffer: int = 1 << 20) -> None:
        self.feed = Feed(receive_buffer)
        self._changed = asyncio.Event()

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self.feed.socket, self._read)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        asyncio.get_running_loop().remove_reader(self.feed.socket)
        self.feed.close()

    async def changed(self) -> None:
        """Returns once something has changed since the last return."""
        await self._changed.wait()
        self._changed.clear()

    def _read(self) -> None:
        if self.feed.changed():
            self._changed.set()


def kinds(data: bytes) -> frozenset[int]:
    """The types of the messages in a datagram."""
    found = set()
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, offset)
        found.add(kind)
        offset += max(length, _HEADER.size) + 3 & ~3
    return frozenset(found)
