"""Frames of captures of every kind that is read, as a director would meet them."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import CookedLinux, CookedLinuxV2, Ether
from scapy.layers.ppp import HDLC, PPP

from vipd.errors import WireError
from vipd.explain.captured import taken
from vipd.wire.pcap import Captured, LinkType

PACKET = bytes(IP(src="203.0.113.7", dst="192.0.2.10") / TCP(sport=4711, dport=80, flags="S"))
FRAME = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")) + PACKET
CISCO = bytes.fromhex("0f000800")


def captured(octets: bytes, link_type: int, length: int | None = None, fcs: int | None = None) -> Captured:
    return Captured(octets, len(octets) if length is None else length, link_type, fcs_octets=fcs)


@pytest.mark.parametrize(
    ("octets", "link_type"),
    [
        (PACKET, LinkType.RAW_IP),
        (bytes(PPP(proto=0x21)) + PACKET, LinkType.PPP),
        (bytes(HDLC() / PPP(proto=0x21)) + PACKET, LinkType.PPP_HDLC),
        (CISCO + PACKET, LinkType.PPP_HDLC),
        (CISCO + PACKET, LinkType.CISCO_HDLC),
        (bytes(CookedLinux(proto=0x0800)) + PACKET, LinkType.LINUX_COOKED),
        (bytes(CookedLinuxV2(proto=0x0800)) + PACKET, LinkType.LINUX_COOKED_2),
    ],
)
def test_the_packet_is_found_in_what_carries_it(octets: bytes, link_type: int) -> None:
    found = taken(captured(octets, link_type))
    assert (found.octets, found.is_packet, found.notes) == (PACKET, True, ())


def test_a_frame_of_ethernet_stays_one_but_for_its_fcs() -> None:
    assert taken(captured(FRAME, LinkType.ETHERNET)).octets == FRAME
    assert taken(captured(FRAME + b"\1\2\3\4", LinkType.ETHERNET, fcs=4)).octets == FRAME
    assert not taken(captured(FRAME, LinkType.ETHERNET)).is_packet


@pytest.mark.parametrize("fcs", [None, 4])
def test_what_the_capture_cut_off_counts_as_zeros_and_is_told(fcs: int | None) -> None:
    whole = len(FRAME) + (fcs or 0)
    found = taken(captured(FRAME[:40], LinkType.ETHERNET, whole, fcs))
    assert found.octets == FRAME[:40] + bytes(len(FRAME) - 40)
    assert found.notes == (f"the capture has 40 of its {whole} bytes: zeros stand for the others",)


@pytest.mark.parametrize(
    ("octets", "link_type", "said"),
    [
        (bytes.fromhex("ff03c021"), LinkType.PPP, "LCP of PPP, no IP packet"),
        (bytes.fromhex("0f008035"), LinkType.CISCO_HDLC, "EtherType 0x8035, no IP packet"),
        (bytes(CookedLinux(proto=0x0806)), LinkType.LINUX_COOKED, "EtherType 0x0806, no IP packet"),
        (b"", LinkType.PPP, "expected"),
        (b"", LinkType.LINUX_COOKED_2, "EtherType 0x0000, no IP packet"),
        (FRAME, 105, r"link type 105 is none that can be read; these can: ethernet \(1\), ppp \(9\)"),
    ],
)
def test_what_holds_no_packet_is_refused_with_the_reason(octets: bytes, link_type: int, said: str) -> None:
    with pytest.raises(WireError, match=said):
        taken(captured(octets, link_type))
