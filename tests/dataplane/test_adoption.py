"""What a director finds that another one left: adopted, exchanged or refused, never misread."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.entries import Planter
from tests.support.planes import SECRET, SMALL, bpf_file_system, compiled, in_network_namespace, opened
from tests.support.services import connection, endpoint, server, service
from tests.support.tun import Tun
from vipd.dataplane import _abi
from vipd.dataplane.links import ETHERNET, POINT_TO_POINT, exchange, links
from vipd.dataplane.pins import Sizes, instances, remove
from vipd.dataplane.port import PutService
from vipd.dataplane.program import Program, unpinned
from vipd.dataplane.xdp import XdpDataplane, open_xdp
from vipd.errors import DataplaneError, EnvironmentProblem
from vipd.model.director import OnServerRemoved
from vipd.model.state import Counters

pytestmark = pytest.mark.root

WEB = endpoint()
HELD = service(WEB, server(WEB, "10.0.0.1", 8080), server(WEB, "10.0.0.2", 8080))
LOOPBACK = 1


def test_services_connections_and_program_are_adopted(bpffs: Path) -> None:
    first = opened(bpffs)
    first.apply([PutService(HELD, OnServerRemoved.RESET)])
    Planter(first).plant(connection(WEB, "10.0.0.1", server_port=8080))
    program = first.pins.director.id
    first.close()
    second = opened(bpffs)
    assert second.pins.adopted
    assert second.pins.director.id == program
    assert second.held() == {WEB: HELD}
    assert [one.client_port for one in second.connections()] == [40000]
    assert second.counters()[server(WEB, "10.0.0.1", 8080).key] == Counters(active=1, connections=1)
    second.down()


def test_a_second_opener_is_refused_and_the_first_undisturbed(bpffs: Path) -> None:
    first = opened(bpffs)
    first.apply([PutService(HELD, OnServerRemoved.RESET)])
    with pytest.raises(DataplaneError, match="in use by another vipd"):
        opened(bpffs)
    with pytest.raises(DataplaneError, match="in use by another vipd"):
        remove(bpffs / "one")
    assert first.held() == {WEB: HELD}
    first.down()


def test_instances_stand_side_by_side(bpffs: Path) -> None:
    one, two = opened(bpffs, "one"), opened(bpffs, "two")
    one.apply([PutService(HELD, OnServerRemoved.RESET)])
    assert two.held() == {}
    assert [path.name for path in instances(bpffs)] == ["one", "two"]
    one.down()
    assert [path.name for path in instances(bpffs)] == ["two"]
    two.down()


def test_nothing_is_left_when_it_is_taken_down(bpffs: Path) -> None:
    before = sorted(bpffs.rglob("*"))

    def up_and_down() -> None:
        for _ in range(3):
            plane = opened(bpffs)
            plane.interfaces.attach(LOOPBACK, "lo")
            plane.down()
            assert sorted(bpffs.rglob("*")) == before

    in_network_namespace(up_and_down)
    assert not remove(bpffs / "one")


def test_the_sweeper_beats_after_the_director_has_gone(bpffs: Path) -> None:
    plane = opened(bpffs)
    plane.apply([PutService(HELD, OnServerRemoved.RESET)])
    Planter(plane).plant(connection(WEB, "10.0.0.1", server_port=8080, expires=-1.0))
    plane.close()
    reader = opened(bpffs)
    key = server(WEB, "10.0.0.1", 8080).key
    for _ in range(1_000_000):
        if reader.counters()[key].active == 0:
            break
    assert reader.counters()[key].active == 0
    assert reader.totals().events["connection_expired"] == 1
    reader.down()


@pytest.mark.parametrize("sizes", [replace(SMALL, connections=2000), Sizes(10, 10)])
def test_another_number_of_connections_is_refused(bpffs: Path, sizes: Sizes) -> None:
    opened(bpffs).close()
    with pytest.raises(EnvironmentProblem, match="was made for 1000 connections, not"):
        opened(bpffs, sizes=sizes)
    opened(bpffs).down()


def test_another_number_of_slots_keeps_those_there_are(bpffs: Path) -> None:
    opened(bpffs).close()
    plane = opened(bpffs, sizes=replace(SMALL, slots=1))
    assert plane.pins.maps["slots"].max_entries == SMALL.slots
    plane.down()


def test_another_secret_is_refused(bpffs: Path) -> None:
    opened(bpffs).close()
    with pytest.raises(EnvironmentProblem, match="made with another secret"):
        open_xdp(bpffs / "one", SECRET[::-1], SMALL)
    opened(bpffs).down()


ARRAY = "__uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u32);"
LAYOUTS = {
    "two fields changed places": (
        "abi",
        ("__u32 real_server;\n\t__u32 service;", "__u32 service;\n\t__u32 real_server;"),
    ),
    "an entry became longer": ("abi", ("__u64 inactive;", "__u64 inactive;\n\t__u64 half_open;")),
    "a number means something else": ("abi", ("METHOD_NAT,\n\tMETHOD_DR,", "METHOD_DR,\n\tMETHOD_NAT,")),
    "a table has another kind": ("maps", ("BPF_MAP_TYPE_LRU_HASH", "BPF_MAP_TYPE_HASH")),
    "a table is new": ("maps", ("/* 3: services */", f'struct {{ {ARRAY} }} extra SEC(".maps");')),
}


@pytest.mark.parametrize("what", LAYOUTS)
def test_tables_of_another_layout_are_refused_and_left_alone(bpffs: Path, tmp_path: Path, what: str) -> None:
    header, edit = LAYOUTS[what]
    plane = opened(bpffs)
    plane.apply([PutService(HELD, OnServerRemoved.RESET)])
    plane.close()
    with pytest.raises(EnvironmentProblem, match="another build of vipd, whose tables differ"):
        opened(bpffs, built=compiled(tmp_path, **{header: edit}))
    again = opened(bpffs)
    assert again.held() == {WEB: HELD}
    again.down()


def test_a_new_build_takes_over_between_two_packets(tmp_path: Path) -> None:
    newer = compiled(tmp_path, reply=("#define REPLY_TTL 64", "#define REPLY_TTL 65"))

    def upgrade() -> None:
        with bpf_file_system() as root:
            old = opened(root)
            old.apply([PutService(HELD, OnServerRemoved.RESET)])
            old.interfaces.attach(LOOPBACK, "lo")
            Planter(old).plant(connection(WEB, "10.0.0.1", server_port=8080))
            before = old.pins.director.id
            link = [(one.path, one.ifindex) for one in links(old.pins.directory)]
            old.close()
            new = opened(root, built=newer)
            assert new.pins.director.id != before
            assert [(one.path, one.ifindex) for one in links(new.pins.directory)] == link
            assert {one.program_id for one in links(new.pins.directory)} == {new.pins.director.id}
            assert new.held() == {WEB: HELD}
            assert len(list(new.connections())) == 1
            after = new.pins.director.id
            new.close()
            same = opened(root, built=newer)
            assert same.pins.director.id == after
            same.down()

    in_network_namespace(upgrade)


def with_a_line(body: Callable[[Path, int], None]) -> None:
    """The body, with a BPF file system and the number of a device without Ethernet."""

    def run() -> None:
        with bpf_file_system() as root, Tun("line0"):
            body(root, socket.if_nametoindex("line0"))

    in_network_namespace(run)


def programs_on(plane: XdpDataplane) -> dict[int, int]:
    return {link.ifindex: link.program_id for link in links(plane.pins.directory)}


@pytest.mark.parametrize("half", [False, True], ids=["whole", "cut-short"])
def test_a_new_build_takes_over_on_lines_too(tmp_path: Path, half: bool) -> None:
    newer = compiled(tmp_path, reply=("#define REPLY_TTL 64", "#define REPLY_TTL 65"))

    def upgrade(root: Path, line: int) -> None:
        old = opened(root)
        old.interfaces.attach(LOOPBACK, "lo")
        old.interfaces.attach(line, "line0", POINT_TO_POINT)
        before = programs_on(old)
        assert before == {LOOPBACK: old.pins.programs[ETHERNET].id, line: old.pins.programs[POINT_TO_POINT].id}
        kept = Program(unpinned(root / "one" / f"prog_{POINT_TO_POINT}"), owned=True)
        old.close()
        new = opened(root, built=newer)
        if half:  # killed with the one exchanged and the other not
            exchange(next(link for link in links(new.pins.directory) if link.ifindex == line), kept)
            new.close()
            new = opened(root, built=newer)
        kept.close()
        programs = new.pins.programs
        assert programs_on(new) == {LOOPBACK: programs[ETHERNET].id, line: programs[POINT_TO_POINT].id}
        assert not set(programs_on(new).values()) & set(before.values())
        new.down()

    with_a_line(upgrade)


def test_state_of_a_build_that_knew_no_lines_is_adopted() -> None:
    def adopt(root: Path, line: int) -> None:
        old = opened(root)
        old.interfaces.attach(LOOPBACK, "lo")
        before = programs_on(old)
        old.close()
        (root / "one" / f"prog_{POINT_TO_POINT}").unlink()
        new = opened(root)
        assert new.pins.adopted
        assert programs_on(new) == before
        new.interfaces.attach(line, "line0", POINT_TO_POINT)
        assert programs_on(new) == before | {line: new.pins.programs[POINT_TO_POINT].id}
        new.down()

    with_a_line(adopt)


def test_what_was_left_half_made_is_made_again(bpffs: Path) -> None:
    plane = opened(bpffs)
    plane.close()
    (bpffs / "one" / "prog_director").unlink()
    (bpffs / "one" / "slots").unlink()
    again = opened(bpffs)
    assert not again.pins.adopted
    assert again.held() == {}
    again.down()


def test_a_server_id_is_not_used_again_while_a_connection_names_it(bpffs: Path) -> None:
    plane = opened(bpffs)
    planter = Planter(plane)
    plane.apply([PutService(HELD, OnServerRemoved.KEEP)])
    planter.plant(connection(WEB, "10.0.0.1", server_port=8080))
    lone = next(iter(plane.connections()))
    for number in range(20):
        plane.apply([PutService(service(WEB, server(WEB, f"10.0.1.{number}", 8080)), OnServerRemoved.KEEP)])
        plane.collect()
        assert [replace(one, expires=lone.expires) for one in plane.connections()] == [lone]
    planter.forget()
    assert plane.collect() == 1
    rows = plane.pins.maps["real_servers"].read(_abi.REAL_SERVER)
    assert (rows["status"] != _abi.ServerStatus.FREE).sum() == 1
    plane.down()


@pytest.mark.parametrize("active", [True, False])
def test_a_server_is_kept_while_it_is_counted_or_named(bpffs: Path, active: bool) -> None:
    plane = opened(bpffs)
    planter = Planter(plane)
    plane.apply([PutService(HELD, OnServerRemoved.KEEP)])
    planter.plant(connection(WEB, "10.0.0.1", server_port=8080, active=active))
    plane.apply([PutService(service(WEB, server(WEB, "10.0.0.2", 8080)), OnServerRemoved.KEEP)])
    planter.forget_counts()
    assert plane.collect() == 0  # named, not counted
    planter.count(1, active)
    planter.forget_entries()
    assert plane.collect() == 0  # counted, not named
    planter.forget_counts()
    assert plane.collect() == 1
    plane.down()
