"""Links for real, between two namespaces, over every kind of line."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.lan import DEADLINE, eventually
from tests.support.links import Pair, ping, transfer, vipd

MEGABYTES: Final = 10 * 1_000_000


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with Pair(tmp_path) as made:
        yield made


def over_pty(pair: Pair, *options: str) -> None:
    pair.a.carry("pty", *options)
    pair.b.carry(f"serial:{pair.a.pty()}", *options)


def over_tcp(pair: Pair, *options: str) -> None:
    """By a cable between the two namespaces."""
    cable(pair)
    pair.a.carry("tcp-listen:192.0.2.1:7000", *options)
    pair.a.says("interface")
    pair.b.carry("tcp:192.0.2.1:7000", *options)


def over_stdio(pair: Pair, *options: str) -> None:
    """One is the other's program, as by ssh; socat stands between."""
    pair.a.carry("pty", *options)
    pair.b.adopt(pair.a.pty(), "--ipv4", "10.9.0.2:10.9.0.1", "--ipv6", *options)


def cable(pair: Pair) -> None:
    pair.a.host.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", pair.b.name)
    for end, address in ((pair.a, "192.0.2.1/24"), (pair.b, "192.0.2.2/24")):
        end.host.ip("addr", "add", address, "dev", "eth0")
        end.host.ip("link", "set", "eth0", "up")


LINES: Final[dict[str, Callable[..., None]]] = {"pty": over_pty, "tcp": over_tcp, "stdio": over_stdio}


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("framing", ["async", "bit"])
def test_both_families_pass_both_ways_whole_and_leave_nothing(pair: Pair, line: str, framing: str) -> None:
    LINES[line](pair, "--framing", framing)
    pair.up()
    for source, target in pair.ways():
        for version in (4, 6):
            ping(source, target, version)
    transfer(pair.a, pair.b, 4, MEGABYTES)
    transfer(pair.b, pair.a, 6, MEGABYTES)
    for end in (pair.a, pair.b):
        assert end.status().faults == {}
    assert pair.a.end(signal.SIGTERM) == 0
    pair.b.says("the peer ended it")
    pair.b.end(signal.SIGINT)
    pair.leave_nothing()


@pytest.mark.parametrize("framing", ["async", "bit"])
def test_cisco_hdlc_carries_both_families_and_notices_silence(pair: Pair, framing: str) -> None:
    options = ["--encapsulation", "cisco-hdlc", "--framing", framing, "--fcs", "32"]
    options += ["--echo-interval", "0.2", "--echo-failures", "10"]
    over_pty(pair, *options)
    pair.up()
    ping(pair.a, pair.b, 4)
    transfer(pair.b, pair.a, 4, MEGABYTES // 10)
    pair.b.end()
    pair.a.says("IPv6 down")
    eventually(lambda: pair.a.host.addresses(pair.a.name) == set())


def test_a_line_that_is_cut_and_restored_carries_again(pair: Pair) -> None:
    over_tcp(pair)
    pair.up()
    for number in (2, 3):
        pair.a.host.run("ss", "-K", "sport", "=", "7000")
        pair.b.says(": up, ", 2 * number)
        pair.up()
        ping(pair.a, pair.b, 4)
        assert pair.b.status().opened == number


def test_a_killed_end_leaves_no_interface_and_the_next_takes_its_place(pair: Pair) -> None:
    over_pty(pair)
    pair.up()
    assert pair.b.end(signal.SIGKILL) == -signal.SIGKILL
    assert [each["ifname"] for each in json.loads(pair.b.host.ip("-j", "link"))] == ["lo"]
    assert vipd("link", "status", pair.b.name).returncode == 1
    pair.b.carry(f"serial:{pair.a.pty()}")
    pair.up()
    ping(pair.b, pair.a, 6)


def test_garbage_on_the_line_hurts_nobody(pair: Pair) -> None:
    near, far = socket.socketpair()
    with near, far:
        pair.a.carry("stdio", stdin=near, stdout=near)
        pair.a.says("is open")
        far.settimeout(DEADLINE)
        for _ in range(200):
            far.sendall(os.urandom(5000))
        eventually(lambda: sum(pair.a.status().faults.values()) > 1000)
        pair.b.carry("stdio", stdin=far, stdout=far)
        near.close()
        far.close()
        pair.up()
        ping(pair.a, pair.b, 4)


@pytest.mark.parametrize("method", ["chap", "pap"])
def test_each_end_proves_who_it_is(pair: Pair, method: str) -> None:
    ours, theirs = {"VIPD_LINK_SECRET": "of a", "VIPD_LINK_PEER_SECRET": "of b"}, {"VIPD_LINK_SECRET": "of b"}
    pair.a.carry("pty", "--auth", method, "--user", "a", "--peer-user", "b", "--allow-pap", environment=ours)
    options = ["--auth", method, "--user", "b", "--peer-user", "a", "--allow-pap"]
    theirs["VIPD_LINK_PEER_SECRET"] = "of a"
    pair.b.carry(f"serial:{pair.a.pty()}", *options, environment=theirs)
    pair.up()
    ping(pair.a, pair.b, 4)
    environment = Path(f"/proc/{pair.a.process_id}/environ").read_bytes()
    assert b"VIPD_LINK" in environment  # the kernel's copy of the beginning, root's alone to read
    assert "of a" not in pair.a.log + pair.b.log


def test_with_the_wrong_secret_no_packet_passes_and_the_caller_ends(pair: Pair) -> None:
    pair.a.carry("pty", "--auth", "chap", "--peer-user", "b", environment={"VIPD_LINK_PEER_SECRET": "the-right-0ne"})
    pair.b.carry(f"serial:{pair.a.pty()}", "--user", "b", environment={"VIPD_LINK_SECRET": "an0ther"})
    said = pair.b.refused()
    assert "Traceback" not in said
    assert "an0ther" not in said
    assert pair.a.running
    assert pair.a.status().families == []
    pair.b.carry(f"serial:{pair.a.pty()}", "--user", "b", environment={"VIPD_LINK_SECRET": "the-right-0ne"})
    pair.up()


def test_several_links_live_side_by_side_in_one_namespace(tmp_path: Path) -> None:
    with Pair(tmp_path) as one, Pair(tmp_path) as two:
        for number, pair in enumerate((one, two)):
            for end in (pair.a, pair.b):
                end.host = (one.a if end is pair.a else one.b).host
            ends = f"10.9.{number}.1:10.9.{number}.2", f"10.9.{number}.2:10.9.{number}.1"
            pair.a.start("--over", "pty", "--ipv4", ends[0])
            pair.b.start("--over", f"serial:{pair.a.pty()}", "--ipv4", ends[1])
        for pair in (one, two):
            pair.up((4,))
            ping(pair.a, pair.b, 4)
        listed = vipd("link", "status").stdout
        assert all(end.name in listed for pair in (one, two) for end in (pair.a, pair.b))
        assert vipd("link", "down", two.a.name).stdout == f"link {two.a.name}: ended\n"
        assert not two.a.peer.directory.exists()
        ping(one.a, one.b, 4)


def test_a_name_is_taken_once(pair: Pair) -> None:
    pair.a.carry("pty")
    pair.a.is_running()
    second = subprocess.run(pair.a.command("--over", "pty", "--ipv4", ":"), capture_output=True, text=True, check=False)
    assert second.returncode == 2
    assert "a link of this name runs already" in second.stderr
    assert pair.a.running


def test_down_without_a_link_says_so_and_after_a_kill_removes_what_is_left(pair: Pair) -> None:
    assert vipd("link", "down", pair.a.name).stdout == f"link {pair.a.name}: did not run\n"
    pair.a.carry("pty")
    pair.a.is_running()
    pair.a.end(signal.SIGKILL)
    assert pair.a.peer.directory.exists()
    assert vipd("link", "down", pair.a.name).stdout == f"link {pair.a.name}: did not run\n"
    pair.leave_nothing()


def test_a_refused_call_is_tried_again_later_and_later(pair: Pair) -> None:
    pair.b.carry("tcp:127.0.0.1:7000", "--verbose")
    pair.b.says("Connection refused", 3)
    pauses = [float(line.rsplit("again in ", 1)[1].split()[0]) for line in pair.b.log.splitlines() if "again" in line]
    assert 0.35 <= pauses[0] <= 0.65
    assert 1.45 <= pauses[2] <= 2.55
    assert pair.b.end() == 0


def test_told_to_stop_twice_it_does_not_wait_for_a_dead_peer(pair: Pair) -> None:
    over_pty(pair)
    pair.up()
    assert pair.a.process is not None
    assert pair.b.process is not None
    pair.b.process.send_signal(signal.SIGSTOP)
    pair.a.process.send_signal(signal.SIGTERM)
    pair.a.says("the peer is told")
    assert pair.a.end(signal.SIGTERM) == 0
    pair.b.process.send_signal(signal.SIGCONT)
    pair.b.end()
    pair.leave_nothing()


def test_a_second_ctrl_c_finds_it_closing_already(pair: Pair, tmp_path: Path) -> None:
    """While it calls there is no peer to tell, so the first one closes at once."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "told"))
        told.settimeout(DEADLINE)
        pair.a.carry("tcp:127.0.0.1:7000", environment={"NOTIFY_SOCKET": str(tmp_path / "told")})
        assert told.recv(100) == b"READY=1"
        assert pair.a.process is not None
        pair.a.process.send_signal(signal.SIGINT)
        while told.recv(100) != b"STOPPING=1":
            pass
    assert pair.a.end(signal.SIGINT) == 0, pair.a.log
    assert "mistake" not in pair.a.log
    pair.leave_nothing()


def test_an_end_that_hangs_is_told_and_hides_no_other(pair: Pair) -> None:
    over_pty(pair)
    pair.up()
    assert pair.b.process is not None
    pair.b.process.send_signal(signal.SIGSTOP)
    lines = vipd("link", "status").stdout.splitlines()
    assert any(line.startswith(pair.a.name) for line in lines)
    assert f"! the daemon of link '{pair.b.name}' does not answer in time" in "\n".join(lines)
    down = vipd("link", "down", pair.b.name)
    assert down.returncode == 2
    assert f"'kill -9 {pair.b.process_id}' ends it" in down.stderr
    pair.b.process.send_signal(signal.SIGKILL)
    pair.b.process.wait()
    assert vipd("link", "down", pair.b.name).returncode == 0
    assert pair.a.end() == 0
    pair.leave_nothing()


def test_signals_that_come_after_its_last_word_do_not_kill_it(pair: Pair) -> None:
    pair.a.carry("pty")
    pair.a.is_running()
    assert pair.a.process is not None
    pair.a.process.send_signal(signal.SIGINT)
    pair.a.says("ended")
    while pair.a.running:
        pair.a.process.send_signal(signal.SIGINT)
    assert pair.a.end() == 0
    pair.leave_nothing()


def test_afterwards_it_has_no_power_but_over_the_network(pair: Pair) -> None:
    pair.a.carry("pty")
    pair.a.is_running()
    lines = Path(f"/proc/{pair.a.process_id}/status").read_text().splitlines()
    powers = {line.split()[0]: int(line.split()[1], 16) for line in lines if line.startswith("Cap")}
    assert powers == {"CapInh:": 0, "CapPrm:": 1 << 12, "CapEff:": 1 << 12, "CapBnd:": 1 << 12, "CapAmb:": 0}


def test_extra_addresses_and_routes_come_and_go_with_the_link(pair: Pair) -> None:
    extras = ["--address", "2001:db8:a::1/64", "--route", "10.20.0.0/16", "--route", "2001:db8:b::/48"]
    pair.a.carry("pty", *extras)
    pair.b.carry(f"serial:{pair.a.pty()}")
    pair.up()
    name = pair.a.name
    assert "2001:db8:a::1/64" in pair.a.host.addresses(name)
    assert "10.20.0.0/16" in pair.a.host.ip("route", "show", "dev", name)
    assert "2001:db8:b::/48" in pair.a.host.ip("-6", "route", "show", "dev", name)
    pair.b.end()
    pair.a.says("IPv6 down")
    eventually(lambda: pair.a.host.addresses(name) == set())
    assert pair.a.host.ip("route", "show", "dev", name) == ""


def test_the_mtu_is_what_both_ends_take(pair: Pair) -> None:
    pair.a.carry("pty", "--mru", "1400")
    pair.b.carry(f"serial:{pair.a.pty()}", "--mru", "1300")
    pair.up()
    mtus = [json.loads(end.host.ip("-j", "link", "show", end.name))[0]["mtu"] for end in (pair.a, pair.b)]
    assert mtus == [1300, 1300]
    transfer(pair.a, pair.b, 4, MEGABYTES // 10)
    transfer(pair.b, pair.a, 6, MEGABYTES // 10)


def test_both_ends_told_nothing_agree_on_nothing_and_say_so(pair: Pair) -> None:
    pair.a.start("--over", "pty", "--ipv4", ":", "--ipv6")
    pair.b.start("--over", f"serial:{pair.a.pty()}", "--ipv4", ":", "--ipv6")
    pair.up((6,))
    ping(pair.a, pair.b, 6)


def test_one_end_gives_the_other_its_address(pair: Pair) -> None:
    pair.a.start("--over", "pty", "--ipv4", "10.9.0.1:10.9.0.2")
    pair.b.start("--over", f"serial:{pair.a.pty()}", "--ipv4", ":")
    pair.up((4,))
    [found] = pair.b.status().families
    assert (str(found.local), str(found.remote), found.mtu) == ("10.9.0.2", "10.9.0.1", 1500)


def test_who_removes_the_interface_ends_the_link_which_says_so(pair: Pair) -> None:
    over_pty(pair)
    pair.up()
    pair.a.host.ip("link", "delete", pair.a.name)
    assert pair.a.process is not None
    assert pair.a.process.wait(DEADLINE) == 1
    assert f"vipd: interface {pair.a.name} is gone" in pair.a.log
    assert "Traceback" not in pair.a.log
    pair.b.says("again in")
