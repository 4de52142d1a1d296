"""Capture files in the classic form (draft-ietf-opsawg-pcap), written and read. Opens none itself."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import BinaryIO, Final, Literal, TypeAlias

from vipd.errors import WireError

MAX_SNAPLEN: Final = 262_144
"No captured frame is longer; libpcap draws the line in the same place."
MAX_SECONDS: Final = 0xFFFF_FFFF
_SECOND_NS: Final = 1_000_000_000
_MICROSECONDS, _NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
_VERSION: Final = (2, 4)
_FCS_TOLD: Final = 1 << 26


class LinkType(IntEnum):
    """What a captured frame begins with (https://www.tcpdump.org/linktypes.html)."""

    ETHERNET = 1
    "The destination's MAC; no preamble, and an FCS only where `fcs_octets` says so."
    PPP = 9
    "PPP's protocol, or FF 03 before it (RFC 1662), as the capture has it."
    PPP_HDLC = 50
    "As RFC 1662 frames it: FF 03 and the protocol; or Cisco's address 0F or 8F."
    RAW_IP = 101
    "An IP header: what a TUN device carries."
    CISCO_HDLC = 104
    "Address, control and EtherType."
    LINUX_COOKED = 113
    "What Linux captures on all interfaces together: 16 octets, the last two of them an EtherType."
    LINUX_COOKED_2 = 276
    "The same in its second form: 20 octets, of which the first two are the EtherType."


@dataclass(frozen=True, slots=True)
class Captured:
    data: bytes
    length: int
    "Octets on the line; more than `data` holds where the capture cut it off."
    link_type: int
    "A `LinkType`, or one that vipd knows nothing of."
    time_ns: int = 0
    "Since 1970; 0 where the file does not tell."
    fcs_octets: int | None = None
    "How many octets at the end of the frame are its FCS; None where the file does not tell."


@dataclass(frozen=True, slots=True)
class Form:
    """One of the four ways to write the same file."""

    order: Literal["little", "big"] = "little"
    nanoseconds: bool = True

    @property
    def magic(self) -> bytes:
        return (_NANOSECONDS if self.nanoseconds else _MICROSECONDS).to_bytes(4, self.order)

    def header(self, link_type: int, fcs_octets: int | None = None, snaplen: int = MAX_SNAPLEN) -> bytes:
        if not 0 <= link_type <= 0xFFFF:
            raise WireError(f"link type {link_type} is none of 0 to 65535")
        if fcs_octets is not None and fcs_octets not in range(0, 32, 2):
            raise WireError(f"an FCS of {fcs_octets} octets cannot be told; an even number up to 30 can")
        fcs = 0 if fcs_octets is None else _FCS_TOLD | fcs_octets // 2 << 28
        return self.magic + _STRUCTS[self.order].header.pack(*_VERSION, 0, 0, snaplen, fcs | link_type)

    def record(self, frame: Captured) -> bytes:
        """What is longer than `MAX_SNAPLEN` is cut off, as any capture would do."""
        seconds, rest = divmod(frame.time_ns, _SECOND_NS)
        if not 0 <= seconds <= MAX_SECONDS:
            raise WireError(f"a time of {frame.time_ns} ns since 1970 does not fit; the year 2106 is the last")
        data = frame.data[:MAX_SNAPLEN]
        fraction = rest if self.nanoseconds else rest // 1000
        return _STRUCTS[self.order].record.pack(seconds, fraction, len(data), max(frame.length, len(data))) + data


@dataclass(frozen=True, slots=True)
class _Structs:
    header: Struct
    "Major and minor version, time zone and accuracy (both unused), snaplen, FCS and link type."
    record: Struct
    "Seconds, their fraction, octets captured, octets on the line."


_STRUCTS: Final = {
    "little": _Structs(Struct("<HHiIII"), Struct("<IIII")),
    "big": _Structs(Struct(">HHiIII"), Struct(">IIII")),
}
_FORMS: Final = {form.magic: form for form in (Form(o, n) for o in ("little", "big") for n in (True, False))}

Parser: TypeAlias = Generator["int | Captured", bytes, None]
"Yields how many octets it needs and is sent them; or yields a frame and is sent nothing."


@dataclass(slots=True)
class Place:
    """Where a parser is."""

    offset: int = 0
    "Of the first octet that it was not sent."
    between_records: bool = False
    "Whether the file may end here."


def write(
    file: BinaryIO, link_type: int, frames: Iterable[Captured], form: Form | None = None, fcs_octets: int | None = None
) -> None:
    """All frames are of the one link type, whatever they say themselves."""
    form = form or Form()
    file.write(form.header(link_type, fcs_octets))
    file.writelines(form.record(frame) for frame in frames)


def is_magic(octets: bytes) -> bool:
    return octets in _FORMS


def parse(magic: bytes, place: Place) -> Parser:
    """All that comes after the first four octets."""
    form = _FORMS[magic]
    structs, scale = _STRUCTS[form.order], 1 if form.nanoseconds else 1000
    major, minor, _zone, _accuracy, _snaplen, kind = structs.header.unpack((yield structs.header.size))
    if (major, minor) != _VERSION:
        raise WireError(f"pcap version {major}.{minor} at offset 4; only 2.4 is read")
    link_type = kind & 0xFFFF
    fcs_octets = (kind >> 28) * 2 if kind & _FCS_TOLD else None
    while True:
        start, place.between_records = place.offset, True
        head = yield structs.record.size
        place.between_records = False
        seconds, fraction, size, length = structs.record.unpack(head)
        if size > MAX_SNAPLEN:
            raise WireError(f"pcap record at offset {start}: {size} octets captured, at most {MAX_SNAPLEN} are read")
        data = yield size
        time_ns = seconds * _SECOND_NS + fraction * scale
        yield Captured(data, max(length, size), link_type, time_ns, fcs_octets)
