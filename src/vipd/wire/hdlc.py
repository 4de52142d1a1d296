"""HDLC's address and control fields (ISO 13239): who is meant, and what kind of frame it is.

Three kinds, told apart by the low bits of the control field's first octet:

    .......0   I, information: carries data and two numbers
    ......01   S, supervisory: carries the number of what is expected next
    ......11   U, unnumbered: sets up, ends and tests; UI carries data without a number

Numbers count modulo 8, which fits the field in one octet, or modulo 128, which makes it two
octets in I and S frames. Which of both nobody can tell from a frame: SABM and SNRM agree on 8,
SABME and SNRME on 128. LAPB (ITU-T X.25 2.3), LLC (IEEE 802.2), PPP (RFC 1662 3.1) and many
others use the same fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal, TypeAlias

from vipd.errors import WireError
from vipd.wire.reader import Reader

Modulo: TypeAlias = Literal[8, 128]

ALL_STATIONS: Final = b"\xff"
NO_STATION: Final = b"\x00"

_POLL: Final = 0x10
"Of one octet; modulo 128 it is the low bit of the second."


class Supervision(IntEnum):
    """What an S frame says about the number in it."""

    RR = 0
    "Receive ready: all before it arrived."
    RNR = 1
    "Receive not ready: all before it arrived, send no more for now."
    REJ = 2
    "Reject: send all from it on again."
    SREJ = 3
    "Selective reject: send that one again."


# By the octet without its poll bit: what it is in a command, and in a response. Direction and
# address tell which of both a frame is (X.25 2.4.2). The table is ISO 13239's, under 5.3.
UNNUMBERED: Final[dict[int, tuple[str, str]]] = {
    0x03: ("UI", "UI"),  # unnumbered information
    0x07: ("SIM", "RIM"),  # set, request initialization mode
    0x0F: ("SARM", "DM"),  # set asynchronous response mode; disconnected mode
    0x23: ("UP", ""),  # unnumbered poll
    0x2F: ("SABM", ""),  # set asynchronous balanced mode
    0x43: ("DISC", "RD"),  # disconnect; request disconnect
    0x4F: ("SARME", ""),  # extended: modulo 128
    0x63: ("", "UA"),  # unnumbered acknowledgement
    0x6F: ("SABME", ""),
    0x83: ("SNRM", ""),  # set normal response mode
    0x87: ("", "FRMR"),  # frame reject
    0x8F: ("RSET", ""),  # reset
    0xAF: ("XID", "XID"),  # exchange identification
    0xC3: ("SM", ""),  # set mode
    0xCF: ("SNRME", ""),
    0xE3: ("TEST", "TEST"),
    0xEF: ("UIH", "UIH"),  # unnumbered information, its FCS over the header alone
}
OCTETS: Final = {name: octet for octet, names in UNNUMBERED.items() for name in names if name}
"The same, from the name."


@dataclass(frozen=True, slots=True)
class Information:
    sent: int
    "N(S): this frame's number."
    expected: int
    "N(R): the number of the frame that is expected next; all before it arrived."
    poll: bool = False
    "P in a command: answer at once. F in a response: this is the answer."


@dataclass(frozen=True, slots=True)
class Supervisory:
    kind: Supervision
    expected: int
    poll: bool = False


@dataclass(frozen=True, slots=True)
class Unnumbered:
    octet: int
    "Without the poll bit."
    poll: bool = False

    @property
    def name(self) -> str:
        """`DISC/RD` where the direction would have to tell; the octet where nobody named it."""
        command, response = UNNUMBERED.get(self.octet, ("", ""))
        both = [name for name in (command, response) if name]
        return "/".join(dict.fromkeys(both)) or f"U {self.octet:#04x}"


Control: TypeAlias = Information | Supervisory | Unnumbered


def decode_control(reader: Reader, modulo: Modulo = 8) -> Control:
    first = reader.u8()
    if first & 3 == 3:
        return Unnumbered(first & ~_POLL, bool(first & _POLL))
    if modulo == 8:
        sent, poll, expected = first >> 1 & 7, bool(first & _POLL), first >> 5
    else:
        second = reader.u8()
        sent, poll, expected = first >> 1, bool(second & 1), second >> 1
    if first & 1:
        return Supervisory(Supervision(first >> 2 & 3), expected, poll)
    return Information(sent, expected, poll)


def encode_control(control: Control, modulo: Modulo = 8) -> bytes:
    if isinstance(control, Unnumbered):
        if control.octet & ~_POLL & 0xFF != control.octet or control.octet & 3 != 3:
            raise WireError(f"{control.octet:#04x} is no unnumbered control field; those end in binary 11, bit 4 is 0")
        return bytes((control.octet | _POLL * control.poll,))
    numbers = (control.sent, control.expected) if isinstance(control, Information) else (control.expected,)
    for number in numbers:
        if not 0 <= number < modulo:
            raise WireError(f"the number {number} does not fit a control field that counts modulo {modulo}")
    low = control.sent << 1 if isinstance(control, Information) else control.kind << 2 | 1
    if modulo == 8:
        return bytes((low | _POLL * control.poll | control.expected << 5,))
    return bytes((low, control.poll | control.expected << 1))


def decode_address(reader: Reader, extended: bool = False) -> bytes:
    """One octet; extended: up to the first whose low bit is 1."""
    address = reader.take(1)
    while extended and not address[-1] & 1:
        address += reader.take(1)
    return address


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands between two flags, without the FCS."""

    address: bytes
    control: Control
    information: bytes = b""

    @classmethod
    def decode(cls, octets: bytes, modulo: Modulo = 8, extended_address: bool = False) -> Frame:
        reader = Reader(octets)
        return cls(decode_address(reader, extended_address), decode_control(reader, modulo), reader.rest())

    def encode(self, modulo: Modulo = 8) -> bytes:
        return self.address + encode_control(self.control, modulo) + self.information
