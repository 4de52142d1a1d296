"""Neighbour messages against scapy, at every length, with every bit flipped."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptMTU,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import Ether

from vipd.errors import WireError
from vipd.wire import ndp
from vipd.wire.ethernet import mac_text
from vipd.wire.ndp import Advertisement, Solicitation

MAC = bytes.fromhex("020000000001")
VIP = IPv6Address("2001:db8::10")
HOST = IPv6Address("2001:db8::99")

macs = st.none() | st.binary(min_size=6, max_size=6)
unicast = st.integers(0, 2**128 - 1).map(IPv6Address).filter(lambda address: not address.is_multicast)
solicitations = st.builds(Solicitation, unicast, unicast, unicast, macs)
advertisements = st.builds(Advertisement, unicast, unicast, unicast, macs, st.booleans(), st.booleans(), st.booleans())


@given(solicitations | advertisements)
def test_a_message_is_decoded_as_it_was_encoded(message: ndp.Message) -> None:
    assert ndp.decode(message.encode()) == message


@given(unicast, macs.filter(bool))
def test_scapy_builds_the_same_solicitation(target: IPv6Address, mac: bytes) -> None:
    expected = (
        IPv6(src=str(HOST), dst=str(VIP), hlim=255)
        / ICMPv6ND_NS(tgt=str(target))
        / ICMPv6NDOptSrcLLAddr(lladdr=mac_text(mac))
    )
    assert Solicitation(HOST, VIP, target, mac).encode() == bytes(expected)


@given(unicast, st.booleans(), st.booleans(), st.booleans())
def test_scapy_builds_the_same_advertisement(
    target: IPv6Address, router: bool, solicited: bool, override: bool
) -> None:
    expected = (
        IPv6(src=str(HOST), dst=str(VIP), hlim=255)
        / ICMPv6ND_NA(tgt=str(target), R=int(router), S=int(solicited), O=int(override))
        / ICMPv6NDOptDstLLAddr(lladdr=mac_text(MAC))
    )
    assert Advertisement(HOST, VIP, target, MAC, router, solicited, override).encode() == bytes(expected)


def test_a_probe_is_the_frame_that_scapy_builds() -> None:
    expected = (
        Ether(dst="33:33:ff:00:00:10", src=mac_text(MAC))
        / IPv6(src="::", dst="ff02::1:ff00:10", hlim=255)
        / ICMPv6ND_NS(tgt=str(VIP))
    )
    assert ndp.probe(VIP, MAC).encode() == bytes(expected)


@pytest.mark.parametrize("router", [True, False])
def test_an_announcement_is_the_frame_that_scapy_builds(router: bool) -> None:
    expected = (
        Ether(dst="33:33:00:00:00:01", src=mac_text(MAC))
        / IPv6(src=str(VIP), dst="ff02::1", hlim=255)
        / ICMPv6ND_NA(tgt=str(VIP), R=int(router), S=0, O=1)
        / ICMPv6NDOptDstLLAddr(lladdr=mac_text(MAC))
    )
    assert ndp.announcement(VIP, MAC, router).encode() == bytes(expected)


def test_the_mac_is_found_behind_other_options() -> None:
    packet = (
        IPv6(src=str(HOST), dst=str(VIP), hlim=255)
        / ICMPv6ND_NA(tgt=str(VIP), R=0, S=1, O=1)
        / ICMPv6NDOptMTU(mtu=1500)
        / ICMPv6NDOptDstLLAddr(lladdr=mac_text(MAC))
    )
    assert ndp.decode(bytes(packet)) == Advertisement(HOST, VIP, VIP, MAC, solicited=True, override=True)


WHOLE = Advertisement(HOST, VIP, VIP, MAC, override=True).encode()


@pytest.mark.parametrize("size", range(len(WHOLE)))
def test_every_truncation_is_refused(size: int) -> None:
    with pytest.raises(WireError):
        ndp.decode(WHOLE[:size])


@pytest.mark.parametrize("bit", range(len(WHOLE) * 8))
def test_no_flipped_bit_makes_another_message_of_it(bit: int) -> None:
    raw = bytearray(WHOLE)
    raw[bit // 8] ^= 1 << bit % 8
    try:
        decoded = ndp.decode(bytes(raw))
    except WireError:
        return
    # The traffic class and flow label are in no checksum and mean nothing here.
    assert bit // 8 < 4
    assert decoded == ndp.decode(WHOLE)


def test_an_option_without_length_is_refused() -> None:
    packet = IPv6(src=str(HOST), dst=str(VIP), hlim=255) / ICMPv6ND_NA(tgt=str(VIP)) / bytes(8)
    with pytest.raises(WireError, match="option of length 0"):
        ndp.decode(bytes(packet))


@pytest.mark.parametrize("hop_limit", [0, 1, 64, 254])
def test_a_message_from_beyond_the_link_is_refused(hop_limit: int) -> None:
    packet = IPv6(src=str(HOST), dst=str(VIP), hlim=hop_limit) / ICMPv6ND_NA(tgt=str(VIP))
    with pytest.raises(WireError, match="not a neighbour message of this link"):
        ndp.decode(bytes(packet))


@given(st.binary(max_size=100))
def test_any_bytes_are_a_message_or_a_wire_error(data: bytes) -> None:
    try:
        ndp.decode(data)
    except WireError:
        pass
    else:
        pytest.fail("random bytes carry no right checksum")
