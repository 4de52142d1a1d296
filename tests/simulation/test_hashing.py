"""Both hashes of millions of flows at once are those that the specification has for one."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vipd.model.director import Address
from vipd.model.keys import hash_keys
from vipd.simulation.flows import packed
from vipd.simulation.hashing import Keys, buckets, chunks, client_hashes, flow_hashes, share
from vipd.spec import hashes, table
from vipd.spec.configuration import Keys as SpecKeys
from vipd.spec.state import Flow

secrets = st.binary(min_size=16, max_size=16)
v4 = st.integers(0, 2**32 - 1).map(IPv4Address)
v6 = st.integers(0, 2**128 - 1).map(IPv6Address)
ports = st.integers(0, 65535)


def of_spec(secret: bytes) -> SpecKeys:
    (low, high), flow = hash_keys(secret)
    return SpecKeys((low, high), tuple(flow))


def clients_of(address: st.SearchStrategy[Address]) -> st.SearchStrategy[list[tuple[Address, int]]]:
    return st.lists(st.tuples(address, ports), min_size=1)


@given(secrets, st.one_of(clients_of(v4), clients_of(v6)), st.booleans())
def test_a_client_hashes_alike(secret: bytes, clients: list[tuple[Address, int]], by_port: bool) -> None:
    by = np.array([port for _, port in clients], np.uint16) if by_port else None
    found = client_hashes(Keys.of(secret).client, packed(address for address, _ in clients), by)
    wanted = [hashes.client_hash(of_spec(secret), address, port if by_port else 0) for address, port in clients]
    assert found.tolist() == [hashed >> 32 for hashed in wanted]
    for count in (1, 251, 65_537):
        assert share(found, count).tolist() == [hashes.share(hashed, count) for hashed in wanted]


def of_family(address: st.SearchStrategy[Address]) -> st.SearchStrategy[list[Flow]]:
    protocols = st.sampled_from([6, 17])
    return protocols.flatmap(
        lambda protocol: st.lists(st.builds(Flow, address, ports, address, ports, st.just(protocol)), min_size=1)
    )


@given(secrets, st.one_of(of_family(v4), of_family(v6)), st.integers(1, 2**31))
def test_a_flow_hashes_alike_and_has_the_same_buckets(secret: bytes, flows: list[Flow], count: int) -> None:
    found = flow_hashes(
        Keys.of(secret).flow,
        packed(flow.source for flow in flows),
        np.array([flow.source_port for flow in flows], np.uint16),
        packed(flow.destination for flow in flows),
        np.array([flow.destination_port for flow in flows], np.uint16),
        flows[0].protocol,
    )
    wanted = [hashes.flow_hash(of_spec(secret), flow) for flow in flows]
    assert found.tolist() == wanted
    first, second = buckets(found, count)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [table.buckets(each, count) for each in wanted]


@given(secrets, st.one_of(of_family(v4), of_family(v6)))
def test_one_destination_may_stand_for_all(secret: bytes, flows: list[Flow]) -> None:
    vip, key = flows[0].destination, Keys.of(secret).flow
    sources, source_ports = packed(flow.source for flow in flows), [flow.source_port for flow in flows]
    protocol = flows[0].protocol
    assert flow_hashes(key, sources, source_ports, packed([vip]), 80, protocol).tolist() == [
        hashes.flow_hash(of_spec(secret), flow._replace(destination=vip, destination_port=80)) for flow in flows
    ]


@given(st.integers(0, 99), st.integers(1, 40))
def test_chunks_are_all_of_it_once(count: int, size: int) -> None:
    assert [row for part in chunks(count, size) for row in range(part.start, part.stop)] == list(range(count))
