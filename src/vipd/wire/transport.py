"""TCP segments (RFC 9293 3.1) and UDP datagrams (RFC 768), whose checksums cover IP's addresses.

A value encodes to the very bytes it was decoded from, wrong lengths and checksums included.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from vipd.errors import WireError
from vipd.model.director import Address
from vipd.wire import ip
from vipd.wire.checksum import internet_checksum, pseudo_header
from vipd.wire.reader import Reader

FIN: Final = 0x01
SYN: Final = 0x02
RST: Final = 0x04
PSH: Final = 0x08
ACK: Final = 0x10
URG: Final = 0x20
ECE: Final = 0x40
CWR: Final = 0x80
FLAGS: Final = {"FIN": FIN, "SYN": SYN, "RST": RST, "PSH": PSH, "ACK": ACK, "URG": URG, "ECE": ECE, "CWR": CWR}
MSS: Final = 2
"The option that tells the maximum segment size."

_TCP_HEADER: Final = 20
_UDP_HEADER: Final = 8


@dataclass(frozen=True, slots=True)
class Tcp:
    source_port: int
    destination_port: int
    flags: int
    "The eight of FLAGS and, above them, the four reserved bits."
    payload: bytes = b""
    sequence: int = 0
    acknowledgment: int = 0
    window: int = 0
    urgent: int = 0
    options: bytes = b""
    "Filled up to a multiple of 4, at most 40; see `ip.options`."
    checksum: int | None = None
    "As it stands on the wire where that is not the right one."

    @classmethod
    def decode(cls, segment: bytes, source: Address, destination: Address) -> Tcp:
        """Of the first fragment of a segment, the checksum is kept: it covers more than is there."""
        reader = Reader(segment)
        source_port, destination_port, sequence, acknowledgment = reader.u16(), reader.u16(), reader.u32(), reader.u32()
        word, window, checksum, urgent = reader.u16(), reader.u16(), reader.u16(), reader.u16()
        header = (word >> 12) * 4
        if header < _TCP_HEADER:
            raise WireError(f"TCP header of {header} bytes")
        options, payload = reader.take(header - _TCP_HEADER), reader.rest()
        made = cls(
            source_port,
            destination_port,
            word & 0xFFF,
            payload,
            sequence,
            acknowledgment,
            window,
            urgent,
            options,
        )
        right = made.encode(source, destination)[16:18] == segment[16:18]
        return made if right else replace(made, checksum=checksum)

    def encode(self, source: Address, destination: Address) -> bytes:
        ports = self.source_port << 16 | self.destination_port
        numbers = ports << 64 | self.sequence << 32 | self.acknowledgment
        word = (_TCP_HEADER + len(self.options)) // 4 << 12 | self.flags
        start = (numbers << 32 | word << 16 | self.window).to_bytes(16, "big")
        end = self.urgent.to_bytes(2, "big") + self.options + self.payload
        return _summed(start, self.checksum, end, source, destination, ip.TCP)

    @property
    def mss(self) -> int | None:
        """What the option says; None without one. WireError where the options contradict themselves."""
        for kind, value in ip.options(self.options):
            if kind == MSS and len(value) == 2:
                return int.from_bytes(value, "big")
        return None


@dataclass(frozen=True, slots=True)
class Udp:
    source_port: int
    destination_port: int
    payload: bytes = b""
    checksum: int | None = None
    "As it stands on the wire where that is not the right one; 0: the sender made none."
    length: int | None = None
    "As it stands on the wire where it is not that of header and payload: of a first fragment, or with a trailer."

    @classmethod
    def decode(cls, datagram: bytes, source: Address, destination: Address) -> Udp:
        """Of the first fragment of a datagram, length and checksum are kept: they cover more than is there."""
        reader = Reader(datagram)
        source_port, destination_port, length, checksum = reader.u16(), reader.u16(), reader.u16(), reader.u16()
        if length < _UDP_HEADER:
            raise WireError(f"UDP datagram of {length} bytes")
        made = cls(source_port, destination_port, reader.rest(), None, None if length == len(datagram) else length)
        right = made.encode(source, destination)[6:8] == datagram[6:8]
        return made if right else replace(made, checksum=checksum)

    def encode(self, source: Address, destination: Address) -> bytes:
        length = _UDP_HEADER + len(self.payload) if self.length is None else self.length
        start = (self.source_port << 32 | self.destination_port << 16 | length).to_bytes(6, "big")
        return _summed(start, self.checksum, self.payload, source, destination, ip.UDP)


def _summed(
    start: bytes, checksum: int | None, end: bytes, source: Address, destination: Address, protocol: int
) -> bytes:
    if checksum is None:
        length = len(start) + 2 + len(end)
        checksum = internet_checksum(pseudo_header(source, destination, protocol, length) + start + bytes(2) + end)
        # A computed 0 is sent as its other form, since 0 says that there is none.
        checksum = checksum or (0xFFFF if protocol == ip.UDP else 0)
    return start + checksum.to_bytes(2, "big") + end
