"""ARP against scapy, at every length, and the questions that RFC 5227 asks."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.l2 import ARP, Ether

from vipd.errors import WireError
from vipd.wire import arp
from vipd.wire.arp import Arp
from vipd.wire.ethernet import TYPE_ARP, Frame, mac_text

OURS = bytes.fromhex("020000000001")
THEIRS = bytes.fromhex("020000000002")
VIP = IPv4Address("203.0.113.10")
OTHER = IPv4Address("203.0.113.11")
NOBODY = IPv4Address(0)

macs = st.binary(min_size=6, max_size=6)
addresses = st.integers(0, 2**32 - 1).map(IPv4Address)
packets = st.builds(Arp, st.sampled_from([arp.REQUEST, arp.REPLY]), macs, addresses, macs, addresses)


@given(packets)
def test_scapy_reads_what_we_write(packet: Arp) -> None:
    seen = ARP(packet.encode())
    assert (seen.hwtype, seen.ptype, seen.hwlen, seen.plen, seen.op) == (1, 0x0800, 6, 4, packet.operation)
    assert (seen.hwsrc, seen.psrc) == (mac_text(packet.sender_mac), str(packet.sender))
    assert (seen.hwdst, seen.pdst) == (mac_text(packet.target_mac), str(packet.target))


@given(packets, st.binary(max_size=18))
def test_a_packet_is_decoded_as_it_was_encoded_whatever_pads_the_frame(packet: Arp, padding: bytes) -> None:
    assert Arp.decode(packet.encode() + padding) == packet


@pytest.mark.parametrize("size", range(28))
def test_every_truncation_is_refused(size: int) -> None:
    whole = Arp(arp.REPLY, OURS, VIP, THEIRS, OTHER).encode()
    with pytest.raises(WireError):
        Arp.decode(whole[:size])


@given(st.binary(max_size=60))
def test_any_bytes_are_a_packet_or_a_wire_error(data: bytes) -> None:
    try:
        packet = Arp.decode(data)
    except WireError:
        return
    assert packet.encode() == data[:28]


@pytest.mark.parametrize("operation", [0, 3, 8, 65535])
def test_other_operations_are_refused(operation: int) -> None:
    raw = bytearray(Arp(arp.REPLY, OURS, VIP, THEIRS, OTHER).encode())
    raw[6:8] = operation.to_bytes(2, "big")
    with pytest.raises(WireError, match=f"ARP operation {operation}"):
        Arp.decode(bytes(raw))


def test_a_probe_is_the_frame_that_scapy_builds() -> None:
    expected = Ether(dst="ff:ff:ff:ff:ff:ff", src=mac_text(OURS)) / ARP(
        op=1, hwsrc=mac_text(OURS), psrc="0.0.0.0", hwdst="00:00:00:00:00:00", pdst=str(VIP)
    )
    assert arp.probe(VIP, OURS).encode() == bytes(expected)


def test_an_announcement_is_the_frame_that_scapy_builds() -> None:
    expected = Ether(dst="ff:ff:ff:ff:ff:ff", src=mac_text(OURS)) / ARP(
        op=1, hwsrc=mac_text(OURS), psrc=str(VIP), hwdst="00:00:00:00:00:00", pdst=str(VIP)
    )
    assert arp.announcement(VIP, OURS).encode() == bytes(expected)
    assert Frame.decode(bytes(expected)).type == TYPE_ARP


@pytest.mark.parametrize(
    ("packet", "claims", "wants"),
    [
        (Arp(arp.REPLY, THEIRS, VIP, OURS, NOBODY), True, False),
        (Arp(arp.REQUEST, THEIRS, VIP, bytes(6), VIP), True, False),
        (Arp(arp.REQUEST, THEIRS, NOBODY, bytes(6), VIP), False, True),
        (Arp(arp.REQUEST, THEIRS, OTHER, bytes(6), VIP), False, False),
        (Arp(arp.REPLY, THEIRS, OTHER, OURS, VIP), False, False),
        (Arp(arp.REPLY, OURS, VIP, THEIRS, OTHER), False, False),
        (Arp(arp.REQUEST, OURS, NOBODY, bytes(6), VIP), False, False),
    ],
)
def test_who_else_has_or_wants_the_address(packet: Arp, claims: bool, wants: bool) -> None:
    assert arp.claims(packet, VIP, {OURS}) is claims
    assert arp.wants(packet, VIP, {OURS}) is wants
