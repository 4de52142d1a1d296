"""Frames from what a person says of them, by `wire`'s codecs, and onto a line or into a file."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from vipd.cli.frame.choices import Fcs, Form, Framing, Modulo, Protocol
from vipd.cli.frame.numbers import MODULI, number_from
from vipd.cli.frame.source import Bits, Capture, given, mistake, octets_of_hex
from vipd.errors import WireError
from vipd.wire import cisco_hdlc, ethernet, hdlc, pcap, ppp
from vipd.wire.async_hdlc import AsyncFramer
from vipd.wire.bit_hdlc import FLAG, BitFramer, frame_bits
from vipd.wire.bits import BitOrder, to_text, unpack
from vipd.wire.ethernet_line import EthernetFramer
from vipd.wire.fcs import FCS16, FCS32, NO_FCS, FrameCheck
from vipd.wire.hdlc import Information, Supervision, Supervisory, Unnumbered
from vipd.wire.pcap import Captured, LinkType

_ETHER_TYPES: Final = {
    "ipv4": 0x0800,
    "arp": 0x0806,
    "ipv6": 0x86DD,
    **{each.name.lower(): int(each) for each in cisco_hdlc.Type},
}
_PPP_PROTOCOLS: Final = {each.name.lower().replace("_", "-"): int(each) for each in ppp.Protocol}
_LINK_TYPES: Final = {
    Protocol.HDLC: LinkType.PPP_HDLC,
    Protocol.PPP: LinkType.PPP,
    Protocol.CISCO_HDLC: LinkType.CISCO_HDLC,
    Protocol.ETHERNET: LinkType.ETHERNET,
}
_MOST: Final = 65_000
"What an IP packet may have and a PPP packet's length can tell, with room for headers."
_IP: Final = {4: ("ipv4", 0x21, 0x0800), 6: ("ipv6", 0x57, 0x86DD)}


def payload(file: str | None, digits: str | None, text: str | None) -> bytes:
    """Of the one that was given; nothing if none was."""
    carried = _given(file, digits, text)
    if len(carried) > _MOST:
        raise mistake("", f"{len(carried)} octets are more than a frame carries; at most {_MOST} are taken")
    return carried


def _given(file: str | None, digits: str | None, text: str | None) -> bytes:
    if text is not None:
        if file is not None or digits is not None:
            raise mistake("", "one of FILE, --hex HEX and --text TEXT, not two of them")
        return text.encode()
    if file is None and digits is None:
        return b""
    with given(file, None, digits, None) as source:
        if isinstance(source, Capture):
            raise mistake(source.name, "a capture holds frames; what a frame carries is needed")
        return b"".join(source.as_octets(BitOrder.MSB_FIRST)) if isinstance(source, Bits) else source.whole


@contextmanager
def _told_of(option: str) -> Iterator[None]:
    try:
        yield
    except (WireError, ValueError) as error:
        raise mistake(option, str(error)) from None


def hdlc_frame(
    address: str, control: str, sent: int | None, expected: int, poll: bool, modulo: Modulo, information: bytes
) -> bytes:
    octets = octets_of_hex("--address", address)
    with _told_of("--control"):
        frame = hdlc.Frame(octets, _control(control.upper(), sent, expected, poll), information)
        return frame.encode(MODULI[modulo])


def _control(name: str, sent: int | None, expected: int, poll: bool) -> hdlc.Control:
    if name == "I":
        return Information(sent or 0, expected, poll)
    if sent is not None:
        raise ValueError(f"only an I frame has a number of its own, N(S), {name} has none")
    if name in Supervision.__members__:
        return Supervisory(Supervision[name], expected, poll)
    if name in hdlc.OCTETS:
        return Unnumbered(hdlc.OCTETS[name], poll)
    known = ", ".join(["I", *Supervision.__members__, *hdlc.OCTETS])
    raise ValueError(f"{name!r} is none of {known}")


def ppp_frame(protocol: str | None, code: int | None, identifier: int, compress: bool, data: bytes) -> bytes:
    number = number_from("--protocol", protocol, _PPP_PROTOCOLS) if protocol else _of_ip("--protocol", data, 1)
    if code is not None:
        for option, octet in (("--code", code), ("--id", identifier)):
            if not 0 <= octet <= 255:
                raise mistake(option, f"{octet} does not fit into an octet")
        data = ppp.Packet(code, identifier, data).encode()
    if not number & 1 or number >> 8 & 1:
        raise mistake("--protocol", f"0x{number:04x} is none: its first octet is even, its last one odd (RFC 1661 2)")
    return ppp.Frame(number, data, compress, compress).encode()


def cisco_frame(kind: str | None, keepalive: str | None, broadcast: bool, data: bytes) -> bytes:
    address = cisco_hdlc.BROADCAST if broadcast else cisco_hdlc.UNICAST
    if keepalive is not None:
        if kind is not None or data:
            raise mistake("--keepalive", "a keep-alive has its type and carries nothing else")
        with _told_of("--keepalive"):
            numbers = re.fullmatch(r"(\d{1,10}),(\d{1,10})", keepalive)
            if numbers is None or max(int(numbers[1]), int(numbers[2])) > 0xFFFFFFFF:
                raise ValueError(f"{keepalive!r} is no two numbers of 32 bits; 5,4 is: mine, then yours")
            packet = cisco_hdlc.Keepalive(int(numbers[1]), int(numbers[2])).encode()
        return cisco_hdlc.Frame(address, cisco_hdlc.Type.SLARP, packet).encode()
    number = number_from("--type", kind, _ETHER_TYPES) if kind else _of_ip("--type", data, 2)
    return cisco_hdlc.Frame(address, number, data).encode()


def ethernet_frame(to: str, by: str, kind: str | None, vlans: tuple[int, ...], priority: int, data: bytes) -> bytes:
    number = number_from("--type", kind, _ETHER_TYPES) if kind else _of_ip("--type", data, 2)
    if number < ethernet.MIN_TYPE:
        raise mistake("--type", f"0x{number:04x} would be a length; types begin at 0600")
    for vlan in vlans:
        if not 0 <= vlan <= 4095:
            raise mistake("--vlan", f"{vlan} is none; 1 to 4094 are, 0 for a tag that tells a priority only")
    if not 0 <= priority <= 7:
        raise mistake("--priority", f"{priority} is none; 0 to 7 are")
    outer = [ethernet.TYPE_SERVICE_VLAN] * (len(vlans) - 1) + [ethernet.TYPE_VLAN] * bool(vlans)
    tags = tuple(ethernet.Tag(vlan, priority, type=kind) for vlan, kind in zip(vlans, outer, strict=True))
    macs = []
    for option, mac in (("--to", to), ("--from", by)):
        with _told_of(option):
            macs.append(ethernet.mac_bytes(mac))
    return ethernet.padded(ethernet.Frame(macs[0], macs[1], number, data, tags).encode())


def _of_ip(option: str, packet: bytes, which: int) -> int:
    found = _IP.get(packet[0] >> 4) if packet else None
    if found is None:
        raise mistake(option, "it is needed, for what is carried is no IP packet")
    return int(found[which])


@dataclass(frozen=True, slots=True)
class Way:
    """How a frame is written."""

    framing: Framing | None
    fcs: Fcs
    msb: bool
    accm: str
    form: Form | None
    out: Path | None

    def framing_of(self) -> Framing:
        return self.framing or (Framing.NONE if self.form is Form.CAPTURE else Framing.BIT)

    @property
    def order(self) -> BitOrder:
        return BitOrder.MSB_FIRST if self.msb else BitOrder.LSB_FIRST


def write(frame: bytes, protocol: Protocol, way: Way) -> None:
    framing = way.framing_of()
    if way.form is Form.CAPTURE and framing is not Framing.NONE:
        raise mistake("--as capture", f"a capture holds frames alone, no line: not with --framing {framing}")
    form = way.form or (Form.BITS if framing is Framing.BIT else Form.HEX)
    if protocol is Protocol.ETHERNET:
        octets, bits = _ethernet_line(frame, way, framing)
    else:
        octets, bits = _hdlc_line(frame, way, framing)
    _put(_FORMS[form](octets, bits, protocol, way), form, way.out)


def _check(way: Way, on_line: FrameCheck, framing: Framing) -> FrameCheck:
    chosen = {Fcs.SIXTEEN: FCS16, Fcs.THIRTY_TWO: FCS32, Fcs.NONE: NO_FCS}.get(way.fcs)
    return chosen or (NO_FCS if framing is Framing.NONE else on_line)


def _hdlc_line(frame: bytes, way: Way, framing: Framing) -> tuple[bytes, bytes]:
    """The octets, and the bits, of which there need not be as many as make octets."""
    check = _check(way, FCS16, framing)
    if framing is Framing.BIT:
        framer = BitFramer(check, way.order)
        return framer.encode(frame) + framer.flush(), FLAG + frame_bits(frame, check, way.order)
    accm = number_from("--accm", way.accm, {}, 0xFFFFFFFF)
    octets = AsyncFramer(check, accm).encode(frame) if framing is Framing.ASYNC else frame + check.of(frame)
    return octets, unpack(octets, way.order)


def _ethernet_line(frame: bytes, way: Way, framing: Framing) -> tuple[bytes, bytes]:
    if framing is Framing.ASYNC:
        raise mistake("--framing async", "nobody sends Ethernet so")
    check = _check(way, FCS32, framing)
    if framing is Framing.BIT and check is not FCS32:
        raise mistake("--fcs", "an Ethernet line has an FCS of 32 bits")
    octets = EthernetFramer().encode(frame) if framing is Framing.BIT else frame + check.of(frame)
    return octets, unpack(octets)


def _capture(octets: bytes, _bits: bytes, protocol: Protocol, way: Way) -> bytes:
    file = BytesIO()
    fcs_octets = _check(way, FCS32 if protocol is Protocol.ETHERNET else FCS16, Framing.NONE).size
    link_type = _LINK_TYPES[protocol]
    pcap.write(file, link_type, [Captured(octets, len(octets), link_type)], fcs_octets=fcs_octets or None)
    return file.getvalue()


_FORMS: Final[Mapping[Form, Callable[[bytes, bytes, Protocol, Way], bytes]]] = {
    Form.BITS: lambda _octets, bits, _protocol, _way: to_text(bits).encode() + b"\n",
    Form.HEX: lambda octets, _bits, _protocol, _way: octets.hex(" ").encode() + b"\n",
    Form.BINARY: lambda octets, _bits, _protocol, _way: octets,
    Form.CAPTURE: _capture,
}


def _put(written: bytes, form: Form, out: Path | None) -> None:
    if out is None:
        if form in (Form.BINARY, Form.CAPTURE) and sys.stdout.isatty():
            raise mistake(f"--as {form}", "no terminal can show it; name a file with -o, or send it through a pipe")
        sys.stdout.buffer.write(written)
        sys.stdout.buffer.flush()
        return
    try:
        out.write_bytes(written)
    except OSError as error:
        raise mistake(str(out), f"cannot be written: {error.strerror}") from None
