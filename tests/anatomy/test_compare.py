"""Two frames side by side: what was changed, put in, taken away, and which octets that are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from tests.support.specimens import ETHERNET
from vipd.anatomy.compare import Kind, Pair, compare, octets_of
from vipd.anatomy.dissect import Kind as Protocol
from vipd.anatomy.dissect import Reading, bare
from vipd.anatomy.field import Field
from vipd.wire.fcs import NO_FCS

PACKET = IP(src="198.51.100.7", dst="203.0.113.10", id=1) / TCP(sport=40000, dport=80)
BEFORE = bytes(Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02") / PACKET)
TO_SERVER = Ether(dst="02:00:00:00:00:03", src="02:00:00:00:00:04")


def fields(frame: bytes, kind: Protocol = Protocol.ETHERNET) -> tuple[Field, ...]:
    return bare(frame, Reading(kind, NO_FCS)).fields


def told(pairs: list[Pair], kind: Kind) -> list[str]:
    return [pair.field.name for pair in pairs if pair.kind is kind and not pair.field.parts]


def test_a_frame_is_like_itself() -> None:
    for frame in ETHERNET.values():
        pairs = compare(fields(frame), fields(frame))
        assert {pair.kind for pair in pairs} == {Kind.SAME}
        assert octets_of(pairs, frame, frame) == (set(), set())


def test_what_direct_routing_changes_is_the_two_addresses() -> None:
    after = bytes(TO_SERVER / PACKET)
    pairs = compare(fields(BEFORE), fields(after))
    assert told(pairs, Kind.CHANGED) == ["destination", "source"]
    assert octets_of(pairs, BEFORE, after) == ({5, 11}, {5, 11})


def test_of_two_ip_headers_the_outer_one_is_new() -> None:
    after = bytes(TO_SERVER / IP(src="172.16.0.1", dst="10.0.0.11", id=2) / PACKET)
    pairs = compare(fields(BEFORE), fields(after))
    assert told(pairs, Kind.CHANGED) == ["destination", "source"]
    assert set(told(pairs, Kind.NEW)) >= {"version", "total length", "source", "destination"}
    assert [pair.field.meaning for pair in pairs if pair.field.name == "IPv4"] == [
        "172.16.0.1 to 10.0.0.11",
        "198.51.100.7 to 203.0.113.10",
    ]
    assert octets_of(pairs, BEFORE, after) == ({5, 11}, {5, 11, *range(14, 34)})


def test_on_a_line_without_addresses_the_header_is_gone() -> None:
    after = BEFORE[14:]
    pairs = compare(fields(BEFORE), fields(after, Protocol.IP))
    assert told(pairs, Kind.GONE) == ["destination", "source", "type"]
    assert told(pairs, Kind.CHANGED) == told(pairs, Kind.NEW) == []
    assert octets_of(pairs, BEFORE, after) == (set(range(14)), set())


def test_a_header_of_another_shape_is_another_header() -> None:
    after = bytes(TO_SERVER / IP(src="198.51.100.7", dst="203.0.113.10", id=1, options=[b"\x01"]) / PACKET[TCP])
    pairs = compare(fields(BEFORE), fields(after))
    assert [(pair.kind, pair.field.name) for pair in pairs if pair.field.name == "IPv4"] == [
        (Kind.GONE, "IPv4"),
        (Kind.NEW, "IPv4"),
    ]


@pytest.mark.parametrize("name", ["tcp options", "stacked", "arp", "too big 6"])
@given(data=st.data())
def test_each_octet_that_differs_is_among_those_told(name: str, data: st.DataObject) -> None:
    before = ETHERNET[name]
    at = data.draw(st.integers(0, len(before) - 1))
    after = before[:at] + bytes([before[at] ^ data.draw(st.integers(1, 255))]) + before[at + 1 :]
    old, new = octets_of(compare(fields(before), fields(after)), before, after)
    assert at in old
    assert at in new
