"""A packet socket on one Ethernet segment that hears ARP, or neighbour messages of IPv6, alone."""

from __future__ import annotations

import asyncio
import ctypes
import socket
import struct
from types import TracebackType
from typing import Final, Self

from vipd.errors import DataplaneError, WireError
from vipd.wire.ethernet import TYPE_ARP, TYPE_IPV6, Frame

_SOL_PACKET: Final = 263
_PACKET_ADD_MEMBERSHIP: Final = 1
_PACKET_MR_MULTICAST: Final = 0
_SO_ATTACH_FILTER: Final = 26
_SNAPLEN: Final = 2048
_QUEUE: Final = 1024

# Classic BPF: byte 20 is IPv6's next header, byte 54 the type of an ICMPv6 message without options.
_NEIGHBOUR_MESSAGES: Final = (
    (0x30, 0, 0, 20),  # ldb [20]
    (0x15, 0, 4, 58),  # jeq ICMPv6
    (0x30, 0, 0, 54),  # ldb [54]
    (0x15, 1, 0, 135),  # jeq solicitation
    (0x15, 0, 1, 136),  # jeq advertisement
    (0x06, 0, 0, _SNAPLEN),  # ret
    (0x06, 0, 0, 0),  # ret 0
)
_EVERYTHING: Final = ((0x06, 0, 0, _SNAPLEN),)


class Segment:
    """`received` holds the frames heard, oldest dropped first where nobody reads them in time."""

    def __init__(self, interface: str, ifindex: int, ethertype: int) -> None:
        self.interface = interface
        self.ifindex = ifindex
        self.received: asyncio.Queue[Frame] = asyncio.Queue(_QUEUE)
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_PACKET, kind, 0)
        # The filter is there before the first frame can be: bind() starts the flow.
        _attach_filter(self._socket, _EVERYTHING if ethertype == TYPE_ARP else _NEIGHBOUR_MESSAGES)
        try:
            self._socket.bind((interface, ethertype))
        except OSError as error:
            self._socket.close()
            raise DataplaneError(f"{interface}: cannot listen there: {error.strerror}") from None

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._socket, self._read)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def join(self, group: bytes) -> None:
        """Hear frames to this multicast MAC too."""
        request = struct.pack("=iHH8s", self.ifindex, _PACKET_MR_MULTICAST, len(group), group)
        try:
            self._socket.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, request)
        except OSError as error:
            raise DataplaneError(f"{self.interface}: cannot listen there: {error.strerror}") from None

    def send(self, frame: Frame) -> None:
        """Lost where the link is down or its queue full, as anything on Ethernet may be."""
        try:
            self._socket.send(frame.encode())
        except OSError:
            return

    def _read(self) -> None:
        while True:
            try:
                data = self._socket.recv(_SNAPLEN)
            except BlockingIOError:
                return
            except OSError:
                return  # the link went down; the socket hears again once it is up
            try:
                frame = Frame.decode(data)
            except WireError:
                continue
            if self.received.full():
                self.received.get_nowait()
            self.received.put_nowait(frame)


def _attach_filter(target: socket.socket, program: tuple[tuple[int, int, int, int], ...]) -> None:
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    kept = ctypes.create_string_buffer(code)
    target.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(kept)))


def ethertype_of(version: int) -> int:
    return TYPE_ARP if version == 4 else TYPE_IPV6
