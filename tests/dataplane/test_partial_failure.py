"""A change that fails midway, at every place where it can: all as before, and no packet harmed meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.planes import bpf_file_system, opened
from tests.support.services import endpoint, server, service
from vipd.dataplane import _abi
from vipd.dataplane.port import Change, PutService, RemoveService
from vipd.dataplane.tables import INDEX, Rows
from vipd.dataplane.xdp import XdpDataplane
from vipd.errors import DataplaneError
from vipd.model.director import Method, OnServerRemoved, Scheduler

pytestmark = pytest.mark.root

RESET = OnServerRemoved.RESET
WEB, WEB6, DNS, NEW = endpoint(), endpoint("2001:db8::10"), endpoint(first=53, last=60), endpoint("192.0.2.99")
RANGE = endpoint("192.0.2.98", 1, 1023, "udp")
BEFORE = [
    service(WEB, server(WEB, "10.0.0.1", 8080), server(WEB, "10.0.0.2", 8080)),
    service(WEB6, server(WEB6, "2001:db8:1::1"), scheduler=Scheduler.MH),
    service(DNS, server(DNS, "10.0.0.1", method=Method.DR), server(DNS, "10.0.0.2", method=Method.DR)),
]
CHANGES: list[Change] = [
    PutService(service(NEW, server(NEW, "10.0.0.9", 8080), server(NEW, "10.0.0.1", 8080)), RESET),
    PutService(service(RANGE, server(RANGE, "10.0.0.8")), RESET),
    PutService(
        service(WEB, server(WEB, "10.0.0.1", 8080, weight=0), server(WEB, "10.0.0.3", 8080, weight=5)),
        OnServerRemoved.KEEP,
    ),
    RemoveService(WEB6, OnServerRemoved.RESCHEDULE),
    RemoveService(DNS, RESET),
]


def refuse(step: str) -> None:
    raise DataplaneError(f"refused after {step}")


class Failpoint:
    """Fails after the n-th write from the moment that `left` is set."""

    def __init__(self, fail: Callable[[str], None] = refuse) -> None:
        self.left = -1
        self.steps: list[str] = []
        self._fail = fail

    def __call__(self, step: str) -> None:
        self.steps.append(step)
        self.left -= 1
        if self.left == 0:
            self._fail(step)


@pytest.fixture(scope="module")
def steps() -> list[str]:
    """Every write of the change, by name."""
    failpoint = Failpoint()
    with bpf_file_system() as root:
        plane = opened(root, after=failpoint)
        plane.apply([PutService(held, RESET) for held in BEFORE])
        failpoint.steps.clear()
        plane.apply(CHANGES)
        plane.down()
    return failpoint.steps


def require_harmless(plane: XdpDataplane) -> None:
    """What a packet finds leads somewhere: services to rows of their own, slots to servers of the service."""
    maps = plane.pins.maps
    services, servers = maps["service_table"].read(_abi.SERVICE), maps["real_servers"].read(_abi.REAL_SERVER)
    slots = maps["slots"].memory(INDEX)
    for name, key in (("services", _abi.SERVICE_KEY), ("service_ranges", _abi.SERVICE_RANGE)):
        for where, number in zip(*maps[name].items(key, INDEX), strict=True):
            row = services[number]
            assert (row["vip"], row["protocol"]) == (where["vip"], where["protocol"])
            assert row["first_port"] <= where["port"] <= row["last_port"]
            for start, count in ((row["slots"], row["slot_count"]), (row["fallback"], row["fallback_count"])):
                named = servers[slots[start : start + count]]
                assert set(named["service"].tolist()) <= {number}
                assert set(named["status"].tolist()) <= {_abi.ServerStatus.PRESENT}
                require_replies_are_seen(plane, named)


def require_replies_are_seen(plane: XdpDataplane, named: Rows) -> None:
    """The bit of interest of every NAT server that new connections may go to."""
    bits = np.unpackbits(plane.pins.maps["interest"].read(_abi.INTEREST)["bits"].view("u1"), bitorder="little")
    for row in named[named["method"] == _abi.Method.NAT]:
        words = np.frombuffer(row["address"].tobytes(), "<u4")
        folded = int(np.bitwise_xor.reduce(words))
        assert bits[(folded ^ folded >> 16) & 0xFFFF]


def test_the_change_takes_many_writes(steps: list[str]) -> None:
    assert set(steps) >= {
        "write real_servers",
        "write interest",
        "write nat_sources",
        "write slots",
        "write service_table",
        "write services",
        "write service_ranges",
        "delete from services",
        "delete from service_ranges",
    }
    assert len(steps) > 12


def test_after_every_write_a_packet_finds_only_what_is_complete(bpffs: Path, steps: list[str]) -> None:
    planes: list[XdpDataplane] = []
    seen: list[str] = []

    def after(step: str) -> None:
        seen.append(step)
        require_harmless(planes[0])

    planes.append(opened(bpffs, after=after))
    planes[0].apply([PutService(held, RESET) for held in BEFORE])
    seen.clear()
    planes[0].apply(CHANGES)
    assert seen == steps
    planes[0].down()


def test_a_failure_after_any_write_leaves_all_as_it_was(bpffs: Path, steps: list[str]) -> None:
    failpoint = Failpoint()
    plane = opened(bpffs, after=failpoint)
    plane.apply([PutService(held, RESET) for held in BEFORE])
    before = {held.endpoint: held for held in BEFORE}
    for number in range(1, len(steps) + 1):
        failpoint.left = number
        with pytest.raises(DataplaneError, match="refused after"):
            plane.apply(CHANGES)
        assert plane.held() == before, steps[number - 1]
        require_harmless(plane)
        plane.collect()
        assert plane.held() == before
        assert plane.counters().keys() == {one.key for held in BEFORE for one in held.servers}
    plane.apply(CHANGES)
    assert set(plane.held()) == {NEW, RANGE, WEB}
    plane.down()


def test_a_new_server_that_was_taken_back_keeps_its_id_from_others(bpffs: Path, steps: list[str]) -> None:
    """Connections may have been made in between: nobody else may get them."""
    failpoint = Failpoint()
    plane = opened(bpffs, after=failpoint)
    plane.apply([PutService(held, RESET) for held in BEFORE])
    failpoint.left = len(steps)
    with pytest.raises(DataplaneError):
        plane.apply(CHANGES)
    servers = plane.pins.maps["real_servers"].read(_abi.REAL_SERVER)
    taken_back = np.flatnonzero(servers["status"] == _abi.ServerStatus.REMOVED_RESET)
    assert len(taken_back) == 4
    plane.apply([PutService(service(NEW, server(NEW, "10.9.9.9")), RESET)])
    assert plane.pins.maps["real_servers"].read(_abi.REAL_SERVER)[taken_back].tobytes() == servers[taken_back].tobytes()
    plane.down()


def killed_after(root: Path, number: int) -> None:
    """A director that dies after so many writes of the change, with no chance to clean up."""
    failpoint = Failpoint(lambda _step: os._exit(9))
    plane = opened(root, after=failpoint)
    plane.apply([PutService(held, RESET) for held in BEFORE])
    child = os.fork()
    if child == 0:
        failpoint.left = number
        try:
            plane.apply(CHANGES)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    plane.close()


def test_after_a_kill_at_any_write_the_next_director_goes_on(bpffs: Path, steps: list[str]) -> None:
    before = {held.endpoint: held for held in BEFORE}
    after = {change.service.endpoint: change.service for change in CHANGES if isinstance(change, PutService)}
    for number in range(1, len(steps) + 1):
        killed_after(bpffs, number)
        plane = opened(bpffs)
        held = plane.held()
        require_harmless(plane)
        assert held.keys() <= before.keys() | after.keys()
        for where in (WEB6, DNS, NEW, RANGE):
            assert where not in held or {one.key for one in held[where].servers} == {
                one.key for one in (before | after)[where].servers
            }
        plane.apply(CHANGES)
        assert plane.held() == after
        plane.collect()
        assert plane.counters().keys() == {one.key for held in after.values() for one in held.servers}
        plane.down()
