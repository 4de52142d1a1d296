"""Frames of a capture as a director would meet them: whole, and of Ethernet or bare IP packets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from vipd.errors import WireError
from vipd.wire import cisco_hdlc, ppp
from vipd.wire.ethernet import IP_TYPES
from vipd.wire.pcap import Captured, LinkType

_PPP_PROTOCOLS: Final = (ppp.Protocol.IPV4, ppp.Protocol.IPV6)
_COOKED, _COOKED_2 = 16, 20
"Octets of header."


class Taken(NamedTuple):
    octets: bytes
    is_packet: bool
    "It begins with its IP header, not with Ethernet's."
    notes: tuple[str, ...] = ()


def taken(frame: Captured) -> Taken:
    """`WireError`: it holds no IP packet, on a link that carries others too; or nobody knows that kind of link."""
    if frame.link_type == LinkType.ETHERNET:
        octets, notes = _whole(frame)
        return Taken(octets, False, notes)
    if frame.link_type not in _PACKETS:
        known = ", ".join(f"{each.name.lower().replace('_', ' ')} ({each})" for each in LinkType)
        raise WireError(f"link type {frame.link_type} is none that can be read; these can: {known}")
    octets, notes = _whole(frame)
    return Taken(_PACKETS[LinkType(frame.link_type)](octets), True, notes)


def _whole(frame: Captured) -> tuple[bytes, tuple[str, ...]]:
    """Without its FCS, which no program sees; what the capture cut off counts as zeros, for no length may be wrong."""
    fcs = frame.fcs_octets or 0
    missing = frame.length - len(frame.data)
    if missing <= 0:
        return frame.data[: len(frame.data) - fcs], ()
    told = f"the capture has {len(frame.data)} of its {frame.length} bytes: zeros stand for the others"
    return (frame.data + bytes(missing))[: frame.length - fcs], (told,)


def _ppp(octets: bytes) -> bytes:
    frame = ppp.Frame.decode(octets)
    if frame.protocol not in _PPP_PROTOCOLS:
        raise WireError(f"{ppp.protocol_name(frame.protocol)} of PPP, no IP packet: a director never sees it")
    return frame.payload


def _hdlc(octets: bytes) -> bytes:
    return _ppp(octets) if octets[:1] == ppp.ADDRESS_AND_CONTROL[:1] else _cisco(octets)


def _cisco(octets: bytes) -> bytes:
    frame = cisco_hdlc.Frame.decode(octets)
    return _of_type(frame.type, frame.payload)


def _cooked(octets: bytes) -> bytes:
    return _of_type(int.from_bytes(octets[_COOKED - 2 : _COOKED], "big"), octets[_COOKED:])


def _cooked_2(octets: bytes) -> bytes:
    return _of_type(int.from_bytes(octets[:2], "big"), octets[_COOKED_2:])


def _of_type(number: int, payload: bytes) -> bytes:
    if number not in IP_TYPES.values():
        raise WireError(f"EtherType 0x{number:04x}, no IP packet: a director leaves it to the kernel")
    return payload


_PACKETS: Final[Mapping[LinkType, Callable[[bytes], bytes]]] = {
    LinkType.PPP: _ppp,
    LinkType.PPP_HDLC: _hdlc,
    LinkType.RAW_IP: lambda octets: octets,
    LinkType.CISCO_HDLC: _cisco,
    LinkType.LINUX_COOKED: _cooked,
    LinkType.LINUX_COOKED_2: _cooked_2,
}
