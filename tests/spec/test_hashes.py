"""The hashes that decide who serves whom, against a second implementation and their authors' values."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import hashes
from tests.support.oracle.wanted import KEYS
from vipd.spec.hashes import client_hash, flow_hash, share, siphash
from vipd.spec.state import Flow
from vipd.spec.table import buckets

addresses = st.ip_addresses(v=4) | st.ip_addresses(v=6)
ports = st.integers(0, 65535)


@given(st.binary(max_size=40), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_siphash_is_the_authors(message: bytes, low: int, high: int) -> None:
    assert siphash((low, high), message) == hashes.siphash(message, (low, high))


def test_the_second_implementation_gives_the_value_of_the_paper() -> None:
    # Aumasson and Bernstein, 2012, appendix A: SipHash-2-4 of 00 01 … 0e with the key 00 01 … 0f.
    assert hashes.siphash(bytes(range(15)), KEYS.client, 2, 4) == 0xA129CA6149BE45E5


@given(addresses, ports, st.integers(1, 70_000))
def test_a_client_points_at_the_slot_that_others_reckon(
    client: IPv4Address | IPv6Address, port: int, count: int
) -> None:
    assert share(client_hash(KEYS, client, port), count) == hashes.client_slot(str(client), port, count)


@given(addresses, addresses, ports, ports, st.sampled_from([6, 17]), st.integers(1, 300_000))
def test_a_flow_lives_where_others_reckon(
    source: IPv4Address | IPv6Address,
    destination: IPv4Address | IPv6Address,
    source_port: int,
    destination_port: int,
    protocol: int,
    count: int,
) -> None:
    flow = Flow(source, source_port, destination, destination_port, protocol)
    hashed = flow_hash(KEYS, flow)
    assert hashed == hashes.flow_hash(str(source), str(destination), source_port, destination_port, protocol)
    assert buckets(hashed, count) == hashes.buckets_of(hashed, count)


@pytest.mark.parametrize("address", ["10.0.0.1", "2001:db8::1"])
def test_the_port_counts_only_where_it_is_given(address: str) -> None:
    client = ip_address(address)
    assert client_hash(KEYS, client, 0) != client_hash(KEYS, client, 1)
