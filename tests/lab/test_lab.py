"""Labs come up, work, and leave nothing: after `down`, after a failure, a signal, a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from tests.support.labs import traces, unique_name
from vipd.errors import DirectorError
from vipd.lab import lab as labs
from vipd.lab import namespace, process
from vipd.lab.lab import Lab, down
from vipd.lab.network import Network, namespaces_of
from vipd.lab.process import wait_until
from vipd.lab.topology import DR, FAMILIES, NAT, SWITCH, TOPOLOGIES, TUN, Topology

pytestmark = pytest.mark.root


@pytest.fixture
def name() -> Iterator[str]:
    chosen = unique_name()
    with IPRoute() as netlink:
        before = [link.get("ifname") for link in netlink.get_links()]
    yield chosen
    down(chosen)
    assert traces(chosen) == []
    with IPRoute() as netlink:
        assert [link.get("ifname") for link in netlink.get_links()] == before


@pytest.mark.parametrize("topology", TOPOLOGIES.values(), ids=TOPOLOGIES)
def test_every_host_reaches_its_neighbours_and_the_client_every_router(name: str, topology: Topology) -> None:
    Lab(topology, name).network.build()
    lab = Lab(topology, name)
    for family in FAMILIES:
        for host in topology.hosts:
            gateway = topology.gateway_address(host, family)
            if gateway is not None:
                lab.run(host.name, "ping", "-c1", "-W5", str(gateway))
        lab.run("client", "ping", "-c1", "-W5", str(topology.address(topology.director, family)))


@pytest.mark.parametrize("topology", [DR, TUN], ids=["dr", "tun"])
def test_servers_are_reached_through_the_router(name: str, topology: Topology) -> None:
    lab = Lab(topology, name)
    lab.network.build()
    for family in FAMILIES:
        for host in topology.servers:
            lab.run("client", "ping", "-c1", "-W5", str(topology.address(host, family)))


def test_no_host_leaves_checksums_to_its_device(name: str) -> None:
    lab = Lab(NAT, name)
    lab.network.build()
    for host in NAT.hosts:
        shown = lab.run(host.name, "ethtool", "-k", "eth0")
        assert "tx-checksumming: off" in shown, host.name
        assert "tx-tcp-segmentation: off" in shown, host.name


def test_the_ports_that_face_the_director_have_a_program_and_no_others(name: str) -> None:
    lab = Lab(NAT, name)
    lab.network.build()
    shown = json.loads(lab.run(SWITCH, "ip", "-j", "link", "show"))
    assert {link["ifname"] for link in shown if "xdp" in link} == {"outer-director", "inner-director"}


def test_up_is_idempotent(name: str) -> None:
    lab = Lab(NAT, name)
    assert lab.up() is True
    servers = {each.pid for each in process.recorded(lab.directory)}
    assert len(servers) == 3
    assert Lab(NAT, name).up() is False
    assert {each.pid for each in process.recorded(lab.directory)} == servers
    with pytest.raises(DirectorError, match="is up with topology nat"):
        Lab(DR, name).up()


def test_up_mends_what_is_broken(name: str) -> None:
    lab = Lab(NAT, name)
    lab.up()
    victim = next(process.recorded(lab.directory))
    process.send(victim, signal.SIGKILL)
    wait_until(lambda: not process.is_alive(victim), "the victim to die")
    assert lab.up() is True
    assert len(list(process.recorded(lab.directory))) == 3


def test_up_mends_a_missing_namespace(name: str) -> None:
    lab = Lab(NAT, name)
    lab.up()
    namespace.remove(lab.network.namespace("client"))
    assert lab.up() is True
    assert "0% packet loss" in lab.run("client", "ping", "-c1", "-W5", str(NAT.address(NAT.director, 4)))


def test_down_is_idempotent(name: str) -> None:
    Lab(NAT, name).up()
    assert down(name) is True
    assert traces(name) == []
    assert down(name) is False


def test_a_real_servers_set_up_goes_with_the_lab(name: str) -> None:
    lab = Lab(TUN, name)
    lab.up()
    assert any("real-server" in trace for trace in traces(name))
    lab.down()
    assert traces(name) == []


def test_what_vipd_kept_for_a_namespace_that_is_gone_goes_too(name: str) -> None:
    lab = Lab(DR, name)
    lab.up()
    process.stop(process.recorded(lab.directory))
    namespace.remove(lab.network.namespace("server1"))
    lab.down()
    assert traces(name) == []


def test_two_labs_of_one_topology_do_not_mix(name: str) -> None:
    other = f"{name}-b"
    try:
        Lab(NAT, name).up()
        Lab(NAT, other).up()
        assert len(traces(name)) >= 8
        down(name)
        assert traces(name) == []
        assert Lab(NAT, other).up() is False, "still whole"
    finally:
        down(other)


def test_a_failure_half_way_leaves_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no more")

    monkeypatch.setattr(Network, "_address", fail)
    with pytest.raises(RuntimeError, match="no more"):
        Lab(NAT, name).up()
    assert traces(name) == []


def vipd(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "vipd.cli.main", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def finished(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vipd.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("progress", [1, 7, 8], ids=["first namespace", "last namespace", "first process"])
def test_a_signal_while_it_comes_up_leaves_nothing(name: str, number: signal.Signals, progress: int) -> None:
    command = vipd("lab", "up", "tun", "--name", name)
    wait_until(lambda: count_of_progress(name) >= progress, "the lab to come up so far")
    os.killpg(command.pid, number)
    _, errors = command.communicate(timeout=30)
    assert command.returncode == 130, errors
    assert traces(name) == []


@pytest.mark.parametrize("progress", [1, 5, 8])
def test_a_kill_while_it_comes_up_is_mended_by_down(name: str, progress: int) -> None:
    command = vipd("lab", "up", "tun", "--name", name)
    wait_until(lambda: count_of_progress(name) >= progress, "the lab to come up so far")
    command.kill()
    command.communicate(timeout=30)
    assert traces(name) != []
    assert finished("lab", "down", name).returncode == 0
    assert traces(name) == []


KILLED_BEFORE_THE_RECORD = """
import os, signal, sys
from vipd.lab import process
from vipd.lab.lab import Lab
from vipd.lab.topology import NAT
process.remember = lambda started: (print(started.pid, flush=True), os.kill(os.getpid(), signal.SIGKILL))
Lab(NAT, sys.argv[1]).up()
"""


def test_a_process_that_a_killed_up_did_not_write_down_goes_too(name: str) -> None:
    command = [sys.executable, "-c", KILLED_BEFORE_THE_RECORD, name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = int(done.stdout)
    assert list(process.recorded(labs.DIRECTORY / name)) == []
    assert process.started(left) != -1
    assert finished("lab", "down", name).returncode == 0
    wait_until(lambda: has_ended(left), "the server to be gone")
    assert traces(name) == []


def has_ended(pid: int) -> bool:
    """A process of whom only its status may be left, for whoever inherited it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_what_was_started_in_it_goes_with_the_lab_and_nothing_else_does(name: str) -> None:
    lab = Lab(NAT, name)
    lab.network.build()
    # As a shell's background job it would not care for a polite word.
    deaf = ["sh", "-c", "trap '' TERM; echo deaf; sleep 600"]
    with (
        subprocess.Popen(["sleep", "600"]) as stranger,
        subprocess.Popen(lab.command("client", ["sleep", "600"])) as inhabitant,
        subprocess.Popen(lab.command("server1", deaf), stdout=subprocess.PIPE) as stubborn,
    ):
        try:
            assert stubborn.stdout is not None
            assert stubborn.stdout.readline() == b"deaf\n"
            home = Path(f"/proc/{inhabitant.pid}/ns/net")
            wait_until(lambda: home.samefile(namespace.path_of(lab.network.namespace("client"))), "it to live there")
            assert finished("lab", "down", name).returncode == 0
            assert inhabitant.wait(10) == -signal.SIGTERM
            assert stubborn.wait(10) == -signal.SIGKILL
            assert stranger.poll() is None
        finally:
            for each in (stranger, inhabitant, stubborn):
                each.kill()


def test_a_lab_can_be_taken_down_from_a_shell_inside_it(name: str) -> None:
    lab = Lab(NAT, name)
    lab.network.build()
    words = f"{sys.executable} -m vipd.cli.main lab down {name}; echo still here"
    command = lab.command("client", ["sh", "-c", words])
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == f"lab {name}: removed\nstill here\n", done.stderr


def count_of_progress(name: str) -> int:
    """Namespaces made, then processes started."""
    return len(namespaces_of(name)) + len(list((labs.DIRECTORY / name).glob("*.process")))


def test_exec_carries_out_a_command_on_a_host(name: str) -> None:
    Lab(NAT, name).up()
    done = finished("lab", "exec", "--name", name, "server2", "--", "ip", "-o", "-4", "addr", "show", "eth0")
    assert "10.0.0.12/24" in done.stdout
    assert done.returncode == 0


def test_exec_passes_the_exit_code_on(name: str) -> None:
    Lab(NAT, name).up()
    assert finished("lab", "exec", "--name", name, "client", "--", "sh", "-c", "exit 7").returncode == 7


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("up", "star"), "no topology 'star'; there are nat, dr, tun"),
        (("exec", "--name", "absent", "client", "--", "true"), "there is no lab 'absent'"),
        (("up", "nat", "--name", "No Such Name"), "a lab cannot be called 'No Such Name'"),
    ],
)
def test_a_mistake_is_answered_with_what_there_is(arguments: tuple[str, ...], told: str) -> None:
    done = finished("lab", *arguments)
    assert done.returncode in (1, 2)
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_stranger_with_a_recorded_number_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            record = tmp_path / f"{stranger.pid}.process"
            record.touch()
            process.stop([process.Process(stranger.pid, 1, "vipd-none-none", ("sleep",), record, tmp_path / "log")])
            assert stranger.poll() is None
            assert not record.exists()
        finally:
            stranger.kill()
