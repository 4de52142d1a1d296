"""A large configuration reaches the kernel's maps quickly; processor time, so that the neighbours do not count."""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.support.planes import opened
from tests.support.services import endpoint, server, service
from vipd.dataplane.pins import Sizes
from vipd.dataplane.port import PutService
from vipd.model.director import OnServerRemoved
from vipd.model.state import HeldService

pytestmark = pytest.mark.root

SERVICES, SERVERS, FALLBACK = 1000, 50, 809
RESET = OnServerRemoved.RESET


def large(number: int, weight: int = 1) -> HeldService:
    where = endpoint(str(ip_address("10.1.0.0") + number))
    first = ip_address("10.2.0.0") + number * SERVERS
    weights = [weight, *[1] * (SERVERS - 1)]
    servers = [server(where, str(first + place), 8080, weight) for place, weight in enumerate(weights)]
    return service(where, *servers, fallback=FALLBACK)


def took(what: str, body: Callable[[], object]) -> float:
    begin = time.process_time()
    body()
    seconds = time.process_time() - begin
    print(f"{what}: {seconds * 1000:.1f} ms")
    return seconds


def test_a_thousand_services_of_fifty_servers_are_applied_at_once_and_a_weight_in_an_instant(bpffs: Path) -> None:
    plane = opened(bpffs, sizes=Sizes(connections=1000))
    puts = [PutService(large(number), RESET) for number in range(SERVICES)]
    assert took("all services", lambda: plane.apply(puts)) < 1
    assert took("what is held", plane.held) < 0.6
    plane.counters()
    assert took("counters", plane.counters) < 0.6
    heavier = PutService(large(7, weight=5), RESET)
    assert took("one weight", lambda: plane.apply([heavier])) < 0.05
    assert plane.held()[heavier.service.endpoint] == heavier.service
    plane.close()
    again = opened(bpffs, sizes=Sizes(connections=1000))
    assert took("what is held, read anew", again.held) < 3
    again.down()
