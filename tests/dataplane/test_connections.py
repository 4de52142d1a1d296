"""The connection table as it lies in memory: what is told of it, what is not, and how fast."""

from __future__ import annotations

import time
from ipaddress import ip_network

import numpy as np
import pytest

from tests.support.entries import life_of
from tests.support.services import endpoint, server, service
from vipd.dataplane import _abi
from vipd.dataplane.connections import Table
from vipd.dataplane.port import Matching
from vipd.dataplane.tables import Rows, addresses, pack_address, server_rows
from vipd.model.director import Method

WEB = endpoint()
HELD = service(WEB, server(WEB, "10.0.0.1", 8080), server(WEB, "10.0.0.2"))
USED, REPLY, ACTIVE = _abi.ConnectionFlag.USED, _abi.ConnectionFlag.REPLY, _abi.ConnectionFlag.ACTIVE
ESTABLISHED = _abi.ConnectionState.ESTABLISHED


def servers() -> Rows:
    rows = np.zeros(3, _abi.REAL_SERVER)
    rows[1:] = server_rows(HELD.servers, 1)
    return rows


def table(buckets: int) -> Rows:
    return np.zeros(buckets, _abi.BUCKET)


def fill(entry: Rows, life: int, number: int = 1) -> None:
    entry["flow"]["source"] = addresses([pack_address(WEB.vip)])[0]
    entry["flow"]["destination"] = addresses([pack_address(WEB.vip)])[0]
    entry["flow"]["destination_port"], entry["flow"]["protocol"] = 80, 6
    entry["real_server"], entry["service"], entry["life"] = number, 1, life


def test_of_a_nat_connection_only_the_clients_side_is_told() -> None:
    memory = table(2)
    fill(memory["slot"][0, 0:1][0], life_of(ESTABLISHED, USED | ACTIVE, 60))
    fill(memory["slot"][1, 5:6][0], life_of(0, USED | REPLY, 60))
    assert [one.server_port for one in Table(memory).connections(servers())] == [8080]
    assert Table(memory).count() == 1


def test_what_is_over_is_not_told_even_before_it_is_swept() -> None:
    memory = table(1)
    for place, seconds in enumerate((-60, -1, 10, 86_400)):
        fill(memory["slot"][0, place : place + 1][0], life_of(ESTABLISHED, USED, seconds))
    told = sorted(one.expires for one in Table(memory).connections(servers()))
    assert told == [pytest.approx(10, abs=5), pytest.approx(86_400, abs=5)]


def test_the_clock_of_32_bits_goes_round_without_harm() -> None:
    memory = table(1)
    fill(memory["slot"][0, 0:1][0], USED << _abi.LifeShift.FLAGS_SHIFT | 5)
    tick = 1 << _abi.Limits.TICK_SHIFT
    before = Table(memory, clock=lambda: ((1 << 32) - 5) * tick)
    assert [one.expires for one in before.connections(servers())] == [pytest.approx(10 * tick / 1e9)]
    assert list(Table(memory, clock=lambda: ((1 << 32) + 6) * tick).connections(servers())) == []


def test_a_server_without_a_port_has_the_vips() -> None:
    memory = table(1)
    fill(memory["slot"][0, 0:1][0], life_of(ESTABLISHED, USED, 60), number=2)
    assert [one.server_port for one in Table(memory).connections(servers())] == [80]


def test_ended_entries_still_name_their_server_until_they_are_gone() -> None:
    memory = table(1)
    fill(memory["slot"][0, 3:4][0], life_of(ESTABLISHED, USED, -60), number=2)
    assert Table(memory).named_servers() == {2}
    memory["slot"]["life"] = 0
    assert Table(memory).named_servers() == set()


def test_a_million_connections_are_searched_in_well_under_a_second() -> None:
    memory = table(209_716)
    used = memory["slot"][:, :5]
    used["life"] = life_of(ESTABLISHED, USED | ACTIVE, 600)
    used["real_server"] = 1
    used["flow"]["protocol"] = 6
    sources = np.arange(used.size, dtype=">u4").reshape(used.shape) + 0x0A000000
    used["flow"]["source"]["word"][..., 2] = 0xFFFF
    used["flow"]["source"]["word"][..., 3] = sources
    used["flow"]["destination"] = addresses([pack_address(WEB.vip)])[0]
    begin = time.process_time()
    found = list(Table(memory).connections(servers(), Matching(client=ip_network("10.4.5.6/32"))))
    took = time.process_time() - begin
    print(f"{used.size:,} connections searched in {took:.3f} s")
    assert len(found) == 1
    assert Table(memory).count() == used.size
    assert took < 0.8


def test_a_method_is_part_of_what_a_server_is() -> None:
    tun = server(WEB, "10.0.0.1", 80, method=Method.TUN)
    rows = server_rows([tun, server(WEB, "10.0.0.1", 80, method=Method.DR)], 1)
    assert rows["method"].tolist() == [_abi.Method.TUN, _abi.Method.DR]
