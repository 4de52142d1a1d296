"""Values to rows and back; the parts of the slots map. No kernel, no root."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.services import endpoint, server, service
from vipd.dataplane import _abi
from vipd.dataplane.book import Book, Edition, Editor
from vipd.dataplane.pins import Sizes
from vipd.dataplane.port import PutService, RemoveService
from vipd.dataplane.regions import Region, Regions
from vipd.dataplane.tables import (
    interest_of,
    nat_sources,
    pack_address,
    port_prefixes,
    range_keys,
    server_rows,
    timeout_ticks,
    unpack_address,
)
from vipd.errors import DataplaneError
from vipd.model.director import Method, OnServerRemoved, Timeouts
from vipd.model.keys import hash_keys

PORTS = st.integers(0, 65535)


@given(st.ip_addresses())
def test_addresses_come_back(address: IPv4Address | IPv6Address) -> None:
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    assert unpack_address(pack_address(address)) == address


@given(PORTS, PORTS)
def test_prefixes_cover_the_ports_and_no_other(one: int, other: int) -> None:
    first, last = min(one, other), max(one, other)
    prefixes = list(port_prefixes(first, last))
    covered = [port for port, length in prefixes for port in range(port, port + (1 << 16 - length))]
    assert covered == list(range(first, last + 1))
    assert all(port % (1 << 16 - length) == 0 for port, length in prefixes)
    assert len(prefixes) <= 30


def test_all_ports_are_one_prefix_that_ends_before_the_port() -> None:
    keys = range_keys(endpoint(first=0, last=65535))
    assert keys["prefixlen"].tolist() == [144]
    assert range_keys(endpoint(first=80, last=80))["prefixlen"].tolist() == [160]


def test_the_bits_of_interest_are_those_of_the_folded_addresses() -> None:
    column = np.frombuffer(pack_address(ip_address("192.0.2.10")) + pack_address(ip_address("2001:db8::1")), _abi.ADDR)
    bits = np.unpackbits(interest_of([column])["bits"].view("u1"), bitorder="little")
    # By hand: the four words' halves as the processor reads them, all by XOR.
    v4 = 0xFFFF ^ 0x00C0 ^ 0x0A02
    v6 = 0x0120 ^ 0xB80D ^ 0x0100
    assert set(np.flatnonzero(bits).tolist()) == {v4, v6}


def test_timeouts_are_never_shorter_than_asked_and_one_tick_longer_at_most() -> None:
    tick = (1 << _abi.Limits.TICK_SHIFT) / 1e9
    for seconds in (1, 300, 525, 900, 4294, 86_400, 0.1):
        ticks = timeout_ticks(Timeouts(established=seconds))
        assert seconds <= ticks[_abi.ConnectionState.ESTABLISHED] * tick < seconds + tick
    assert all(timeout_ticks(Timeouts()))


def test_keys_follow_from_the_secret_alone() -> None:
    assert hash_keys(bytes(16)) == hash_keys(bytes(16))
    hash_key, flow_key = hash_keys(bytes(16))
    assert len({*hash_key, *flow_key, *hash_keys(b"x" * 16)[0]}) == 2 + 11 + 2


WEB, TLS, MANY, UDP = endpoint(), endpoint(first=443), endpoint("192.0.2.11", 1, 99), endpoint(transport="udp")


def book_of(*changes: PutService | RemoveService) -> Book:
    empty = Book(np.zeros(50, _abi.REAL_SERVER), np.zeros(10, _abi.SERVICE), [])
    return Editor(empty, np.zeros(1000, "<u4")).edit(changes).book


def key(address: str, port: int, protocol: int = 6) -> bytes:
    return pack_address(ip_address(address)) + port.to_bytes(2) + bytes([protocol, 0])


def test_where_replies_come_from_is_told_as_far_as_it_can_be() -> None:
    policy = OnServerRemoved.RESET
    book = book_of(
        PutService(service(WEB, server(WEB, "10.0.0.1", 8080), server(WEB, "10.0.0.2")), policy),
        PutService(service(TLS, server(TLS, "10.0.0.1", 8443), server(TLS, "10.0.0.2", 80)), policy),
        PutService(service(MANY, server(MANY, "10.0.0.3", 90), server(MANY, "10.0.0.4")), policy),
        PutService(service(UDP, server(UDP, "10.0.0.1", 8080), server(UDP, "10.0.0.5", method=Method.DR)), policy),
    )
    first = {endpoint: int(book.present(book.ids[endpoint])[0]) for endpoint in (WEB, TLS, UDP)}
    assert nat_sources(book.servers, book.services) == {
        key("10.0.0.1", 8080): first[WEB],
        key("10.0.0.1", 8443): first[TLS],
        key("10.0.0.2", 80): 0,
        key("10.0.0.3", 90): 0,
        key("10.0.0.1", 8080, 17): first[UDP],
    }


def test_a_server_keeps_its_id_while_its_weight_changes_but_not_when_its_method_does() -> None:
    slots = np.zeros(1000, "<u4")
    book = book_of(PutService(service(WEB, server(WEB, "10.0.0.1", 80)), OnServerRemoved.RESET))
    (before,) = book.present(book.ids[WEB]).tolist()
    heavier = Editor(book, slots).edit(
        [PutService(service(WEB, server(WEB, "10.0.0.1", 80, 9)), OnServerRemoved.RESET)]
    )
    assert heavier.book.present(1).tolist() == [before]
    assert heavier.servers == [before]
    by_dr = server(WEB, "10.0.0.1", 80, method=Method.DR)
    moved = Editor(book, slots).edit([PutService(service(WEB, by_dr), OnServerRemoved.RESET)]).book
    assert before not in moved.present(1).tolist()
    assert moved.servers["status"][before] == _abi.ServerStatus.REMOVED_KEEP


def test_a_server_that_takes_no_more_is_written_after_the_table_that_left_it_out() -> None:
    both = service(WEB, server(WEB, "10.0.0.1"), server(WEB, "10.0.0.2"))
    book = book_of(PutService(both, OnServerRemoved.RESET))
    drained = service(WEB, server(WEB, "10.0.0.1", weight=0), server(WEB, "10.0.0.2", weight=2))
    edition = Editor(book, np.zeros(1000, "<u4")).edit([PutService(drained, OnServerRemoved.RESET)])
    assert (edition.servers, edition.late_servers) == ([2], [1])


def test_nothing_is_written_for_what_is_as_it_should_be() -> None:
    slots = np.zeros(1000, "<u4")
    put = PutService(service(WEB, server(WEB, "10.0.0.1"), server(WEB, "10.0.0.2")), OnServerRemoved.RESET)
    empty = Book(np.zeros(50, _abi.REAL_SERVER), np.zeros(10, _abi.SERVICE), [])
    first = Editor(empty, slots).edit([put])
    for region, content in first.contents:
        slots[region.start : region.start + region.size] = content
    again = Editor(first.book, slots).edit([put])
    assert again == Edition(again.book)


def test_a_lack_of_room_is_told_before_anything_is_written() -> None:
    def put(count: int, slots: int = 1000) -> None:
        servers = [server(WEB, f"10.0.0.{number}") for number in range(count)]
        empty = Book(np.zeros(50, _abi.REAL_SERVER), np.zeros(3, _abi.SERVICE), [])
        Editor(empty, np.zeros(slots, "<u4")).edit([PutService(service(WEB, *servers), OnServerRemoved.RESET)])

    put(49)
    with pytest.raises(DataplaneError, match="at most 49 real servers"):
        put(50)
    with pytest.raises(DataplaneError, match="has 11 of 60 entries free, but no 13 in a row"):
        put(49, slots=60)


def test_a_region_that_was_in_use_is_not_handed_out_in_the_same_change() -> None:
    room = Regions(100, [Region(10, 20), Region(40, 10)])
    taken = [room.take(10) for _ in range(7)]
    assert sorted(region.start for region in taken) == [0, 30, 50, 60, 70, 80, 90]
    with pytest.raises(DataplaneError):
        room.take(1)


@given(st.lists(st.integers(1, 30), max_size=12), st.lists(st.integers(1, 30), max_size=12))
def test_regions_never_overlap(used: list[int], wanted: list[int]) -> None:
    regions, start = [], 0
    for number, count in enumerate(used):
        regions.append(Region(start, count))
        start += count + number % 3 * 5
    room = Regions(500, regions[::-1])
    regions += [room.take(count) for count in wanted if room.free >= count + 100]
    cells = [cell for region in regions for cell in range(region.start, region.start + region.size)]
    assert len(set(cells)) == len(cells)
    assert all(cell < 500 for cell in cells)


def test_a_port_of_none_is_the_packets_own() -> None:
    assert server_rows([server(WEB, "10.0.0.1")], 1)["port"].tolist() == [0]


def test_the_slots_table_has_room_for_a_change_of_everything() -> None:
    large = service(WEB, server(WEB, "10.0.0.1"), fallback=10_000_000)
    assert Sizes.fitting(1000, [large]) == Sizes(1000, 2 * 10_000_001)
    assert Sizes.fitting(1000, []) == Sizes(1000)
