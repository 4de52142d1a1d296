"""ICMP (RFC 792) and ICMPv6 (RFC 4443) messages, and the packet that an error brings back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from vipd.errors import WireError
from vipd.model.director import Address
from vipd.wire import ip
from vipd.wire.checksum import internet_checksum, pseudo_header
from vipd.wire.reader import Reader

ECHO_REPLY: Final = 0
UNREACHABLE: Final = 3
REDIRECT: Final = 5
ECHO_REQUEST: Final = 8
TIME_EXCEEDED: Final = 11
PARAMETER_PROBLEM: Final = 12
PORT_UNREACHABLE: Final = 3
"A code of UNREACHABLE."
FRAGMENTATION_NEEDED: Final = 4
"A code of UNREACHABLE; the low half of `word` is the next hop's MTU (RFC 1191 4)."

V6_UNREACHABLE: Final = 1
V6_TOO_BIG: Final = 2
"`word` is the next hop's MTU (RFC 4443 3.2)."
V6_TIME_EXCEEDED: Final = 3
V6_PARAMETER_PROBLEM: Final = 4
V6_ECHO_REQUEST: Final = 128
V6_ECHO_REPLY: Final = 129
V6_PORT_UNREACHABLE: Final = 4
"A code of V6_UNREACHABLE."

_V4_ERRORS: Final = frozenset({UNREACHABLE, TIME_EXCEEDED, PARAMETER_PROBLEM})
_V6_ERRORS: Final = frozenset({V6_UNREACHABLE, V6_TOO_BIG, V6_TIME_EXCEEDED, V6_PARAMETER_PROBLEM})


def is_error(version: int, kind: int) -> bool:
    """Of the types that bring back a packet and are for whom sent it; redirects are for routers."""
    return kind in (_V4_ERRORS if version == 4 else _V6_ERRORS)


@dataclass(frozen=True, slots=True)
class Icmp:
    """A message of either family, which its addresses tell."""

    type: int
    code: int
    word: int = 0
    "The second word: identifier and sequence of an echo, the MTU of a packet too big."
    body: bytes = b""
    "What follows; of an error, the packet that it is about, as far as it is quoted."
    checksum: int | None = None
    "As it stands on the wire where that is not the right one."

    @classmethod
    def decode(cls, message: bytes, source: Address, destination: Address) -> Icmp:
        reader = Reader(message)
        kind, code, checksum = reader.u8(), reader.u8(), reader.u16()
        made = cls(kind, code, reader.u32(), reader.rest())
        right = made.encode(source, destination)[2:4] == message[2:4]
        return made if right else replace(made, checksum=checksum)

    def encode(self, source: Address, destination: Address) -> bytes:
        start, end = bytes((self.type, self.code)), self.word.to_bytes(4, "big") + self.body
        checksum = self.checksum
        if checksum is None:
            checksum = internet_checksum(_before(source, destination, len(end) + 4) + start + bytes(2) + end)
        return start + checksum.to_bytes(2, "big") + end

    def quoted(self, version: int) -> ip.Packet:
        """The packet that an error is about; `payload` may end anywhere. WireError where there is none."""
        if not is_error(version, self.type):
            raise WireError(f"type {self.type} brings back no packet")
        found = ip.decode(self.body, whole=False)
        if found.source.version != version:
            raise WireError("the quote is of the other family")
        return found


def _before(source: Address, destination: Address, length: int) -> bytes:
    """Only ICMPv6 sums the addresses (RFC 4443 2.3)."""
    return b"" if source.version == 4 else pseudo_header(source, destination, ip.ICMPV6, length)
