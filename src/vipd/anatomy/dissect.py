"""Frames taken apart: from a line, or bare as a capture has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final

from vipd.anatomy import show
from vipd.anatomy.cisco_hdlc import cisco_hdlc
from vipd.anatomy.ethernet import ethernet
from vipd.anatomy.field import Field, faults
from vipd.anatomy.hdlc import hdlc
from vipd.anatomy.ip import packet
from vipd.anatomy.line import Found, Line
from vipd.anatomy.ppp import ppp
from vipd.anatomy.scan import Dissector, Scanner, dissect
from vipd.wire.deframer import Fault, FrameError, FrameRules
from vipd.wire.ethernet_line import PREAMBLE, SFD, EthernetDeframer
from vipd.wire.fcs import FCS16, FCS32, NO_FCS, FrameCheck
from vipd.wire.hdlc import Modulo


class Kind(StrEnum):
    """What a frame is read as."""

    HDLC = "hdlc"
    PPP = "ppp"
    CISCO_HDLC = "cisco-hdlc"
    ETHERNET = "ethernet"
    IP = "ip"


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read frames. `check` None: FCS-16 or FCS-32, whichever is right; on no line, none if neither is."""

    kind: Kind
    check: FrameCheck | None = None
    modulo: Modulo = 8
    extended_address: bool = False

    @property
    def dissector(self) -> Dissector:
        if self.kind is Kind.HDLC:
            return partial(hdlc, modulo=self.modulo, extended=self.extended_address)
        return _DISSECTORS[self.kind]

    def check_of(self, octets: bytes, otherwise: FrameCheck) -> FrameCheck:
        if self.check is not None:
            return self.check
        possible = (FCS32,) if self.kind is Kind.ETHERNET else () if self.kind is Kind.IP else (FCS16, FCS32)
        fitting = (check for check in possible if len(octets) > check.size and check.is_right(octets))
        return next(fitting, otherwise)


@dataclass(frozen=True, slots=True)
class Trouble:
    offset: int
    "In bits from the frame's first."
    text: str


@dataclass(frozen=True, slots=True)
class Specimen:
    """A frame, and what was said of it."""

    octets: bytes
    "Whole ones, with the FCS."
    fields: tuple[Field, ...]
    check: FrameCheck
    found: Found | None = None
    "Where it was on a line."
    fault: Fault | None = None
    "Why a receiver would not take it."

    @property
    def complete(self) -> bool:
        return self.found is None or self.found.complete

    def troubles(self) -> Iterator[Trouble]:
        if self.fault is not None and self.fault is not Fault.BAD_FCS:
            yield Trouble(8 * len(self.octets), f"{_SENTENCES[self.fault]}{self._size()}")
        for field in faults(self.fields):
            yield Trouble(field.offset, f"{field.name}: {field.fault}")

    def _size(self) -> str:
        left_over = self.found.left_over if self.found else 0
        bits = f" and {show.count(left_over, 'bit')}" if left_over else ""
        return f"; it has {show.count(len(self.octets), 'octet')}{bits}"


_SENTENCES: Final = {
    Fault.ABORT: "the sender gave it up",
    Fault.IDLE: "the line fell idle within it",
    Fault.TOO_SHORT: "too short to be a frame",
    Fault.MISALIGNED: "it does not end with an octet",
    Fault.NO_SFD: "no delimiter D5 that a frame could begin behind",
    Fault.RUNT: "a runt: fewer than 64 octets",
    Fault.FRAGMENT: "a fragment, as a collision leaves: fewer than 64 octets and a wrong FCS",
    Fault.GIANT: "a giant: more than 1518 octets, or 4 more for each tag",
}


def bare(octets: bytes, reading: Reading, fcs_octets: int | None = None, cut_off: bool = False) -> Specimen:
    """Not from a line: no flags, nothing stuffed. `fcs_octets` where somebody knows; else it is found out.

    `cut_off`: there was more of it, the FCS too.
    """
    known = {0: NO_FCS, 2: FCS16, 4: FCS32}.get(-1 if fcs_octets is None else fcs_octets)
    check = known if known and reading.check is None else reading.check_of(octets, NO_FCS)
    check = NO_FCS if cut_off else check
    return Specimen(octets, _fields(octets, reading.dissector, check, cut_off), check)


def on_line(line: Line, reading: Reading) -> Iterator[Specimen]:
    """Every frame of it. Some last bits that are not even an octet may be a flag's, and are none."""
    for found in line.found:
        if not found.complete and not found.octets:
            continue
        check = reading.check_of(found.octets, FCS32 if reading.kind is Kind.ETHERNET else FCS16)
        fault = found.fault or (_fault(found, reading.kind, check) if found.complete else None)
        ends_early = not found.complete or fault in (Fault.ABORT, Fault.IDLE)
        # What was given up has no FCS, and where it ends means nothing.
        checked = NO_FCS if ends_early or len(found.octets) < check.size else check
        fields = _fields(found.octets, reading.dissector, checked, open_ended=ends_early)
        yield Specimen(found.octets, fields, checked, found, fault)


def _fault(found: Found, kind: Kind, check: FrameCheck) -> Fault | None:
    if kind is Kind.ETHERNET:
        deframer = EthernetDeframer()
        results = [*deframer.feed(PREAMBLE + SFD + found.octets), *deframer.end()]
    else:
        rules = FrameRules(check, len(found.octets))
        if found.left_over and len(found.octets) >= rules.shortest:
            return Fault.MISALIGNED
        results = [rules.accept(found.octets, 0)]
    return next((each.fault for each in results if isinstance(each, FrameError)), None)


def _fields(octets: bytes, dissector: Dissector, check: FrameCheck, open_ended: bool = False) -> tuple[Field, ...]:
    def whole(scan: Scanner) -> None:
        with scan.group("", max(0, scan.left - check.size)):
            dissector(scan)
        right = check.of(octets[: len(octets) - check.size])
        scan.octets("FCS", min(check.size, scan.left), _reversed, _right(right), _wrong(right))

    return dissect(octets, whole, open_ended)


def _ip(scan: Scanner) -> None:
    packet(scan)
    scan.rest("padding")


_DISSECTORS: Final[dict[Kind, Dissector]] = {
    Kind.PPP: ppp,
    Kind.CISCO_HDLC: cisco_hdlc,
    Kind.ETHERNET: ethernet,
    Kind.IP: _ip,
}


def _reversed(value: bytes) -> str:
    """As a number, of which a line carries the lowest octet first."""
    return f"0x{value[::-1].hex()}"


def _right(right: bytes) -> Callable[[bytes], str]:
    return lambda value: "right" if value == right else ""


def _wrong(right: bytes) -> Callable[[bytes], str]:
    return lambda value: "" if value == right else f"{_reversed(right)} expected"
