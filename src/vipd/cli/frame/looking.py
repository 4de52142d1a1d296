"""From what was given to what is shown: which line it is, which frames are on it, in which form they are told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

from rich.console import Console

from vipd.anatomy.dissect import Kind, Reading, Specimen, bare, on_line
from vipd.anatomy.line import Line, async_line, bit_line, ethernet_burst
from vipd.cli.frame import choices, documents
from vipd.cli.frame.as_json import line_as_json, specimen_as_json
from vipd.cli.frame.choices import Fcs, Framing, Modulo
from vipd.cli.frame.look import NOTE, put
from vipd.cli.frame.numbers import MODULI, number_from
from vipd.cli.frame.source import Bits, Capture, Octets, Source, mistake
from vipd.cli.frame.view import brief, show_line, show_specimen
from vipd.cli.output import console
from vipd.errors import ConfigError
from vipd.wire.bits import BitOrder, unpack
from vipd.wire.fcs import FCS16, FCS32, NO_FCS, FrameCheck
from vipd.wire.pcap import Captured, LinkType

_CHECKS: Final[dict[Fcs, FrameCheck]] = {Fcs.SIXTEEN: FCS16, Fcs.THIRTY_TWO: FCS32, Fcs.NONE: NO_FCS}
_LINK_TYPES: Final = {
    Kind.HDLC: (LinkType.PPP, LinkType.PPP_HDLC, LinkType.CISCO_HDLC),
    Kind.PPP: (LinkType.PPP, LinkType.PPP_HDLC),
    Kind.CISCO_HDLC: (LinkType.CISCO_HDLC, LinkType.PPP_HDLC),
    Kind.ETHERNET: (LinkType.ETHERNET,),
    Kind.IP: (LinkType.RAW_IP,),
}
_READERS: Final = {
    LinkType.ETHERNET: Kind.ETHERNET,
    LinkType.PPP: Kind.PPP,
    LinkType.PPP_HDLC: Kind.PPP,
    LinkType.CISCO_HDLC: Kind.CISCO_HDLC,
    LinkType.RAW_IP: Kind.IP,
}
_IN_FULL: Final = 100
"Frames that are shown field by field where nobody says how many: more nobody reads."
_FLAG: Final = b"\x7e"
_PREAMBLES: Final = (b"\x55\x55", b"\x55\xd5")


@dataclass(frozen=True, slots=True)
class Request:
    protocol: choices.Protocol
    framing: Framing | None
    msb: bool
    fcs: Fcs
    modulo: Modulo
    extended_address: bool
    accm: str
    count: int | None
    brief: bool
    everything: bool
    as_json: bool

    @property
    def kind(self) -> Kind:
        return Kind(self.protocol)

    @property
    def order(self) -> BitOrder:
        return BitOrder.MSB_FIRST if self.msb else BitOrder.LSB_FIRST

    @property
    def reading(self) -> Reading:
        return Reading(self.kind, _CHECKS.get(self.fcs), MODULI[self.modulo], self.extended_address)


class _Output(Protocol):
    def line(self, line: Line, name: str) -> None: ...
    def specimen(self, specimen: Specimen, line: Line | None, name: str) -> None: ...
    def end(self) -> None: ...


class _Tables:
    def __init__(self, screen: Console, request: Request) -> None:
        self._screen, self._request = screen, request
        self._left = None if request.everything or request.count else _IN_FULL
        "Frames that are still to be shown in full; None: all are."

    def line(self, line: Line, name: str) -> None:
        if not self._request.brief:
            show_line(self._screen, line, name, self._request.everything)

    def specimen(self, specimen: Specimen, line: Line | None, name: str) -> None:
        if self._request.brief or self._left == 0:
            put(self._screen, [brief(specimen, name)])
            return
        show_specimen(self._screen, specimen, line, name, self._request.everything)
        if self._left is not None:
            self._left -= 1
            if not self._left:
                more = "one line for each frame from here on; --count N shows N field by field, --all shows all so"
                self._screen.print(f"\n{more}", style=NOTE)

    def end(self) -> None:
        pass


class _Json:
    """One document, a frame at a time: a capture may be larger than memory."""

    def __init__(self, request: Request) -> None:
        self._start = f'{{"protocol": {json.dumps(request.kind)}, "frames": ['
        self._lines: list[documents.Line] = []
        self._separator = ""

    def line(self, line: Line, name: str) -> None:  # noqa: ARG002, no program asks where it is from
        self._lines.append(line_as_json(line))

    def specimen(self, specimen: Specimen, line: Line | None, name: str) -> None:  # noqa: ARG002, as above
        told = json.dumps(specimen_as_json(specimen, len(self._lines) - 1))
        print(f"{self._start}{self._separator}\n{told}", end="", flush=True)
        self._start, self._separator = "", ","

    def end(self) -> None:
        lines = ",\n".join(map(json.dumps, self._lines))
        print(f'{self._start}\n], "lines": [\n{lines}\n]}}')


def look(source: Source, request: Request) -> bool:
    """Whether nothing is wrong with any frame."""
    screen = console()
    output: _Output = _Json(request) if request.as_json else _Tables(screen, request)
    right, number = True, 0
    try:
        for number, (specimen, line) in enumerate(islice(_specimens(source, request, output), request.count), 1):
            output.specimen(specimen, line, f"frame {number}")
            right = right and not any(specimen.troubles())
    except ConfigError:
        if number:  # what is in front of the damage was shown
            output.end()
        raise
    if not number and not request.as_json:
        screen.print("no frame: there is nothing behind a flag" if not isinstance(source, Capture) else "no frame")
    output.end()
    return right


def _specimens(source: Source, request: Request, output: _Output) -> Iterator[tuple[Specimen, Line | None]]:
    if isinstance(source, Capture):
        for captured in source.frames():
            yield _of_capture(captured, source, request), None
        return
    framing = request.framing or _framing(source, request.kind)
    if framing is Framing.NONE:
        for octets in source.as_octets(request.order):
            yield bare(octets, request.reading), None
        return
    for line in _lines(source, request, framing):
        output.line(line, source.name)
        for specimen in on_line(line, request.reading):
            yield specimen, line


def _lines(source: Bits | Octets, request: Request, framing: Framing) -> Iterator[Line]:
    if request.kind is Kind.IP or (request.kind is Kind.ETHERNET and framing is Framing.ASYNC):
        raise mistake(f"--framing {framing}", f"nobody sends {request.kind} so")
    if framing is Framing.ASYNC:
        yield async_line(b"".join(source.as_octets(request.order)), number_from("--accm", request.accm, {}, 0xFFFFFFFF))
    elif request.kind is not Kind.ETHERNET:
        yield bit_line(source.as_bits(request.order), request.order)
    elif isinstance(source, Bits):
        yield ethernet_burst(source.bits, aligned=False)
    else:
        for octets in source.pieces:
            yield ethernet_burst(unpack(octets), aligned=octets.startswith(_PREAMBLES))


def _framing(source: Bits | Octets, kind: Kind) -> Framing:
    """Bits are a line's. Octets are if they begin as a line does: with a flag, or with a preamble."""
    if isinstance(source, Bits):
        return Framing.NONE if kind is Kind.IP else Framing.BIT
    if kind is Kind.ETHERNET:
        return Framing.BIT if source.whole.startswith(_PREAMBLES) else Framing.NONE
    return Framing.ASYNC if kind is not Kind.IP and source.whole.startswith(_FLAG) else Framing.NONE


def _of_capture(captured: Captured, source: Capture, request: Request) -> Specimen:
    if captured.link_type not in _LINK_TYPES[request.kind]:
        kind = _READERS.get(LinkType(captured.link_type)) if captured.link_type in set(LinkType) else None
        hint = f": vipd frame decode {kind} {source.name}" if kind else ", which vipd cannot read"
        raise mistake(source.name, f"its frames are of link type {captured.link_type}, not {request.kind}{hint}")
    return bare(captured.data, request.reading, captured.fcs_octets, cut_off=captured.length > len(captured.data))
