"""Every kind of frame, whole, cut and damaged: its fields cover it exactly, and good ones have nothing wrong."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.specimens import CISCO, ETHERNET, HDLC, PPP, damaged
from vipd.anatomy.dissect import Kind, Reading, Specimen, bare
from vipd.anatomy.field import Field, find, leaves, walk
from vipd.wire.fcs import FCS16, FCS32, NO_FCS
from vipd.wire.ip import IPv4
from vipd.wire.transport import Udp

SAMPLES = {Kind.HDLC: HDLC, Kind.PPP: PPP, Kind.CISCO_HDLC: CISCO, Kind.ETHERNET: ETHERNET}
EACH = [(kind, name) for kind, samples in SAMPLES.items() for name in samples]


def specimen(kind: Kind, octets: bytes) -> Specimen:
    return bare(octets, Reading(kind, NO_FCS))


def covers(fields: Iterable[Field], start: int, end: int) -> bool:
    """Without gap and overlap, on every level."""
    for field in fields:
        if field.offset != start or field.width < 0:
            return False
        if field.parts and not covers(field.parts, field.offset, field.end):
            return False
        start = field.end
    return start == end


@pytest.mark.parametrize(("kind", "name"), EACH)
def test_a_good_frame_is_covered_by_its_fields_and_nothing_is_wrong(kind: Kind, name: str) -> None:
    octets = SAMPLES[kind][name]
    found = specimen(kind, octets)
    assert covers(found.fields, 0, 8 * len(octets))
    assert [str(trouble) for trouble in found.troubles()] == []


@pytest.mark.parametrize("kind", SAMPLES)
@given(data=st.data())
def test_no_octets_are_too_odd_and_all_are_covered(kind: Kind, data: st.DataObject) -> None:
    octets = data.draw(damaged(SAMPLES[kind]))
    assert covers(specimen(kind, octets).fields, 0, 8 * len(octets))


@pytest.mark.parametrize(("kind", "name"), EACH)
def test_a_frame_that_ends_early_says_where_or_is_shorter_on_purpose(kind: Kind, name: str) -> None:
    octets = SAMPLES[kind][name]
    for size in range(len(octets)):
        found = specimen(kind, octets[:size])
        assert covers(found.fields, 0, 8 * size)
        for trouble in found.troubles():
            assert 0 <= trouble.offset <= 8 * size, trouble


@pytest.mark.parametrize(("kind", "name"), EACH)
def test_the_values_are_those_of_the_octets(kind: Kind, name: str) -> None:
    octets = SAMPLES[kind][name]
    bits = "".join(f"{octet:08b}" for octet in octets)
    for field in leaves(specimen(kind, octets).fields):
        inside = bits[field.offset : field.end]
        value = field.value if isinstance(field.value, int) else int.from_bytes(field.value or b"", "big")
        assert value == int(inside, 2), field


@given(st.sampled_from([FCS16, FCS32]), st.sampled_from([*PPP.values()]))
def test_the_fcs_at_the_end_of_a_bare_frame_is_found_out(check: object, octets: bytes) -> None:
    assert check in (FCS16, FCS32)
    used = FCS16 if check == FCS16 else FCS32
    found = bare(octets + used.of(octets), Reading(Kind.PPP))
    assert found.check is used
    assert (found.fields[-1].name, found.fields[-1].meaning) == ("FCS", "right")
    wrong = bare(octets + used.of(octets + b"x"), Reading(Kind.PPP, used))
    assert [trouble.offset for trouble in wrong.troubles()][-1] == 8 * len(octets)
    assert f"{int.from_bytes(used.of(octets), 'little'):#0{2 * used.size + 2}x} expected" in wrong.fields[-1].fault


def test_a_frame_shorter_than_its_fcs_is_no_reason_to_fail() -> None:
    for size in range(5):
        assert covers(bare(bytes(size), Reading(Kind.HDLC, FCS32)).fields, 0, 8 * size)


def test_packets_within_packets_end_somewhere() -> None:
    ppp = bare(PPP["protocol reject"], Reading(Kind.PPP))
    assert find(ppp.fields, "rejected information", "IPCP", "address", "address").text == "192.0.2.1"
    inner = bytes.fromhex("45000014000000004004000000000000")
    nested = b"".join(
        inner[:2] + (20 * left).to_bytes(2, "big") + inner[4:16] + bytes(4) for left in range(3000, 0, -1)
    )
    found = bare(nested, Reading(Kind.IP))
    assert sum(field.name == "IPv4" for _, field in walk(found.fields)) == 8
    rejects = b""
    for _ in range(50):
        rejects = bytes.fromhex("0701") + (4 + len(rejects)).to_bytes(2, "big") + rejects
    found = bare(b"\xff\x03\xc0\x21" + rejects, Reading(Kind.PPP))
    assert covers(found.fields, 0, 8 * (4 + len(rejects)))
    assert sum(field.name == "rejected packet" for _, field in walk(found.fields)) == 4


@pytest.mark.parametrize(("kind", "name"), EACH)
def test_behind_where_a_frame_ends_nothing_more_is_missed(kind: Kind, name: str) -> None:
    octets = SAMPLES[kind][name]
    for size in range(len(octets)):
        missing = [field.name for field in leaves(specimen(kind, octets[:size]).fields) if not field.width]
        assert len(missing) <= 1, (size, missing)


@pytest.mark.parametrize("name", ["padded", "padded ping", "arp"])
def test_what_ethernet_fills_up_with_is_padding(name: str) -> None:
    found = specimen(Kind.ETHERNET, ETHERNET[name])
    padding = found.fields[-1]
    size = {"padded": 31, "padded ping": 31, "arp": 28}[name]
    assert (padding.name, padding.offset) == ("padding", 8 * (14 + size))


def test_behind_the_end_of_options_is_no_option() -> None:
    found = find(specimen(Kind.ETHERNET, ETHERNET["ended options"]).fields, "options")
    assert [field.name for field in found.parts] == ["no operation", "end of options", "padding"]


def test_a_udp_checksum_that_comes_out_as_zero_is_sent_as_its_other_form() -> None:
    source, destination = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
    first = Udp(1, 2, bytes(2)).encode(source, destination)
    datagram = Udp(1, 2, first[6:8]).encode(source, destination)
    assert datagram[6:8] == b"\xff\xff"
    found = bare(IPv4(source, destination, 17, datagram).encode(), Reading(Kind.IP))
    assert find(found.fields, "UDP", "checksum").meaning == "right"
    assert [*found.troubles()] == []


def test_a_field_is_found_below_those_named_before_it() -> None:
    found = specimen(Kind.ETHERNET, ETHERNET["tunnel"])
    assert find(found.fields, "IPv4", "source").text == "192.0.2.1"
    with pytest.raises(KeyError, match="IPv4 > sauce"):
        find(found.fields, "IPv4", "sauce")
