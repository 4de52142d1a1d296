"""`up` and `down` as a whole: what they leave behind, what a crash leaves, and what --print is worth."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import pytest

from tests.realserver.lan import VIP, Lan, execute, lan
from vipd.errors import DirectorError, EnvironmentProblem
from vipd.lab.namespace import inside
from vipd.model.director import Method
from vipd.realserver import journal, run
from vipd.realserver.observe import observe
from vipd.realserver.options import Decapsulation, Options, Via

pytestmark = pytest.mark.root

SETUPS: Final[dict[str, dict[str, Any]]] = {
    "dr-loopback": {"method": Method.DR, "via": Via.LOOPBACK},
    "dr-redirect": {"method": Method.DR, "via": Via.REDIRECT},
    "dr-redirect-port": {"method": Method.DR, "via": Via.REDIRECT, "ports": (80, 443)},
    "tun-loopback": {"method": Method.TUN, "via": Via.LOOPBACK, "decapsulation": Decapsulation.BPF},
    "tun-redirect": {"method": Method.TUN, "via": Via.REDIRECT, "decapsulation": Decapsulation.BPF},
}
each_setup: Final = pytest.mark.parametrize("fields", SETUPS.values(), ids=SETUPS)


@pytest.fixture
def host() -> Iterator[Lan]:
    with lan() as made:
        execute(made.server, "sysctl -qw net.ipv4.conf.lan-s.rp_filter=1")
        yield made
        with inside(made.server):
            run.down(made.instance)


def options(host: Lan, **fields: Any) -> Options:
    given = {"vips": tuple(map(ip_address, VIP.values())), "instance": host.instance, **fields}
    return Options(**given)


def up(host: Lan, **fields: Any) -> run.Report:
    with inside(host.server):
        return run.up(options(host, **fields))


def down(host: Lan) -> tuple[str, ...]:
    with inside(host.server):
        return run.down(host.instance)


def status(host: Lan) -> run.Report:
    with inside(host.server):
        report = run.status(host.instance)
    assert report
    return report


def lacks(report: run.Report) -> dict[str, str]:
    return {item.step.key: item.lack for item in report.items if item.lack}


def command_line(host: Lan, *arguments: str) -> list[str]:
    python = [sys.executable, "-m", "vipd.cli.main", "--instance", host.instance, "real-server", *arguments]
    return ["nsenter", f"--net=/run/netns/{host.server}", *python]


def vipd(host: Lan, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command_line(host, *arguments), capture_output=True, text=True, check=False)


@each_setup
def test_down_undoes_what_up_did_every_time(host: Lan, fields: dict[str, Any]) -> None:
    before = host.snapshot()
    up(host, **fields)
    during = host.snapshot()
    assert during != before
    assert up(host, **fields).complete, "a second time changes nothing"
    assert without_ids(host.snapshot()) == without_ids(during)
    assert down(host) == ()
    assert host.snapshot() == before
    up(host, **fields)
    assert without_ids(host.snapshot()) == without_ids(during)
    assert down(host) == ()
    assert host.snapshot() == before


def without_ids(snapshot: dict[str, Any]) -> dict[str, Any]:
    """The number that the kernel gave the program is another one each time; its mode is not."""
    links = [{**link, "xdp": (link.get("xdp") or {}).get("mode")} for link in snapshot["address"]]
    return {**snapshot, "address": links}


@each_setup
def test_another_set_of_options_replaces_the_first(host: Lan, fields: dict[str, Any]) -> None:
    before = host.snapshot()
    up(host, **fields)
    alone = host.snapshot()
    down(host)
    for first in SETUPS.values():
        up(host, **first)
        up(host, **fields)
        assert without_ids(host.snapshot()) == without_ids(alone)
    down(host)
    assert host.snapshot() == before


@each_setup
def test_the_printed_commands_do_what_up_does(host: Lan, fields: dict[str, Any]) -> None:
    before = host.snapshot()
    with inside(host.server):
        printed = "\n".join(run.commands(options(host, **fields)))
    assert host.snapshot() == before, "printing changes nothing"
    up(host, **fields)
    with inside(host.server):
        made, undoing = observe(host.instance), "\n".join(run.undoing(host.instance))
        assert run.commands(options(host, **fields)) == ()
    shown = host.snapshot()["address"]
    execute(host.server, undoing)
    run_files = [str(path) for path in (journal.DIRECTORY / host.instance).iterdir()]
    assert {**host.snapshot(), "files": []} == {**before, "files": []}
    down(host)
    assert run_files
    execute(host.server, printed)
    with inside(host.server):
        assert observe(host.instance) == made
    assert without_ids({"address": host.snapshot()["address"]}) == without_ids({"address": shown})
    execute(host.server, undoing)
    assert host.snapshot() == before


@pytest.mark.parametrize("step", range(9))
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_in_the_middle_of_up_is_undone_by_down(host: Lan, step: int, moment: str) -> None:
    """Killed at every step: right before the kernel is changed, and right after."""
    before = host.snapshot()
    killed = subprocess.run(
        ["nsenter", f"--net=/run/netns/{host.server}", sys.executable, "-c", _KILLED, host.instance, str(step), moment],
        capture_output=True,
        text=True,
        check=False,
    )
    total = 4 + 2 + 1 + 1
    assert killed.returncode == (-signal.SIGKILL if step < total else 0), killed.stderr
    assert down(host) == ()
    assert host.snapshot() == before


_KILLED: Final = """
import os, signal, sys
from ipaddress import ip_address
from vipd.model.director import Method
from vipd.realserver import run
from vipd.realserver.options import Decapsulation, Options, Via

instance, last, moment = sys.argv[1], int(sys.argv[2]), sys.argv[3]
do, count = run.do, 0

def killing(step):
    global count
    if moment == "after":
        do(step)
    if count == last:
        os.kill(os.getpid(), signal.SIGKILL)
    count += 1
    if moment == "before":
        do(step)

run.do = killing
vips = ip_address("192.0.2.10"), ip_address("2001:db8::10")
run.up(Options(vips, Method.TUN, instance, Via.LOOPBACK, decapsulation=Decapsulation.BPF))
"""


@pytest.mark.parametrize("delay", range(6))
def test_a_kill_at_any_instant_is_undone_by_down(host: Lan, delay: int) -> None:
    before = host.snapshot()
    arguments = (
        "up",
        "--vip",
        VIP[4],
        "--vip",
        VIP[6],
        "--method",
        "tun",
        "--via",
        "redirect",
        "--decapsulation",
        "bpf",
    )
    process = subprocess.Popen(command_line(host, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        try:
            process.wait(0.3 + 0.1 * delay)
        except subprocess.TimeoutExpired:
            process.kill()
    assert down(host) == ()
    assert host.snapshot() == before


def test_what_was_there_before_stays(host: Lan) -> None:
    execute(host.server, f"sysctl -qw net.ipv4.conf.all.arp_ignore=2; ip address add {VIP[4]}/32 dev lo")
    before = host.snapshot()
    report = up(host, method=Method.DR, via=Via.LOOPBACK)
    ours = {item.step.key: item.ours for item in report.items}
    assert not ours["sysctl net/ipv4/conf/all/arp_ignore"]
    assert not ours[f"address {VIP[4]} on lo"]
    assert ours[f"address {VIP[6]} on lo"]
    down(host)
    assert host.snapshot() == before


def test_status_tells_what_is_missing_and_up_mends_it(host: Lan) -> None:
    up(host, method=Method.DR, via=Via.LOOPBACK)
    assert vipd(host, "status").returncode == 0
    execute(host.server, f"ip address delete {VIP[6]}/128 dev lo; sysctl -qw net.ipv4.conf.all.arp_ignore=0")
    assert lacks(status(host)) == {
        "sysctl net/ipv4/conf/all/arp_ignore": "is 0, not 1",
        f"address {VIP[6]} on lo": "missing",
    }
    shown = vipd(host, "status", "--json")
    assert (shown.returncode, json.loads(shown.stdout)["complete"]) == (1, False)
    assert up(host, method=Method.DR, via=Via.LOOPBACK).complete


def test_status_tells_of_a_changed_table(host: Lan) -> None:
    up(host, method=Method.DR, via=Via.REDIRECT)
    execute(host.server, f"nft add rule inet vipd_{host.instance} take tcp dport 1 drop")
    assert lacks(status(host)) == {f"table inet vipd_{host.instance}": "was changed by somebody else"}
    assert up(host, method=Method.DR, via=Via.REDIRECT).complete


def test_status_tells_of_a_program_that_was_taken_off(host: Lan) -> None:
    fields = SETUPS["tun-redirect"]
    up(host, **fields)
    pins = f"/sys/fs/bpf/vipd-real-server/{host.instance}"
    execute(host.server, f"bpftool link detach pinned {pins}/link_*")
    assert lacks(status(host)) == {"decapsulation": "is not on lan-s"}
    assert up(host, **fields).complete
    execute(
        host.server, f"bpftool map delete pinned {pins}/vips key hex 00 00 00 00 00 00 00 00 00 00 ff ff c0 00 02 0a"
    )
    assert lacks(status(host)) == {"decapsulation": "its tables were changed by somebody else"}
    assert up(host, **fields).complete


def test_a_setting_that_others_changed_since_is_left_to_them(host: Lan) -> None:
    up(host, method=Method.DR, via=Via.LOOPBACK)
    execute(host.server, "sysctl -qw net.ipv4.conf.all.arp_ignore=8")
    [left] = down(host)
    assert "is 8, neither ours (1) nor as it was (0)" in left
    assert execute(host.server, "sysctl -n net.ipv4.conf.all.arp_ignore").strip() == "8"


def test_what_two_instances_share_goes_with_the_last(host: Lan) -> None:
    before = host.snapshot()
    second = f"{host.instance}-b"
    up(host, method=Method.DR, via=Via.LOOPBACK)
    with inside(host.server):
        run.up(options(host, vips=(ip_address("192.0.2.20"),), instance=second, method=Method.DR, via=Via.LOOPBACK))
    down(host)
    with inside(host.server):
        report = run.status(second)
        assert report
        assert report.complete, "the first one's end must not make the VIP answer ARP"
        run.down(second)
    assert host.snapshot() == before


def test_a_table_of_somebody_else_is_left_alone(host: Lan) -> None:
    execute(host.server, f"nft add table inet vipd_{host.instance}")
    before = host.snapshot()
    with pytest.raises(EnvironmentProblem, match="is there and not ours"):
        up(host, method=Method.DR, via=Via.REDIRECT)
    assert host.snapshot() == before


def test_the_journal_is_for_root_alone_and_follows_no_link(host: Lan, tmp_path: Path) -> None:
    up(host, method=Method.DR, via=Via.LOOPBACK)
    place = journal.DIRECTORY / host.instance
    path = place / "state.json"
    assert [stat.S_IMODE(p.stat().st_mode) for p in (place, path)] == [0o700, 0o600]
    kept = tmp_path / "kept.json"
    path.rename(kept)
    path.symlink_to(kept)
    with pytest.raises(EnvironmentProblem, match="cannot read"):
        down(host)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(EnvironmentProblem, match="no file of root's alone"):
        down(host)
    path.unlink()
    for garbage in ("", "{", '{"version": 9}', "[]", kept.read_text()[:-40]):
        path.write_text(garbage)
        with pytest.raises(DirectorError, match="not readable as ours"):
            down(host)
    path.unlink()
    kept.rename(path)
    assert down(host) == ()


def test_another_network_namespace_is_not_touched(host: Lan) -> None:
    up(host, method=Method.DR, via=Via.LOOPBACK)
    with inside(host.client), pytest.raises(EnvironmentProblem, match="another network namespace"):
        run.down(host.instance)


def test_a_missing_dummy_is_said_with_exit_status_2(host: Lan) -> None:
    tried = subprocess.run(
        ["ip", "-n", host.client, "link", "add", "try", "type", "dummy"], check=False, capture_output=True
    )
    done = vipd(host, "up", "--vip", VIP[4], "--method", "dr", "--via", "dummy")
    if tried.returncode:
        assert done.returncode == 2
        assert "--via loopback and --via redirect would work" in done.stderr
    else:
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--vip", "192.0.2.10;touch /tmp/x", "--method", "dr"),
        ("--vip", "$(id)", "--method", "dr"),
        ("--vip", "192.0.2.10\n", "--method", "dr"),
        ("--vip", "1" * 10_000, "--method", "dr"),
        ("--vip", "192.0.2.10", "--method", "nat"),
        ("--vip", "192.0.2.10", "--method", "dr", "--interface", "$(id)"),
        ("--vip", "192.0.2.10", "--method", "tun", "--director", "10.0.0.1/8"),
        ("--vip", "192.0.2.10", "--method", "dr", "--port", "80"),
        ("--vip", "192.0.2.10", "--method", "dr", "--instance", "../../tmp/x"),
    ],
)
def test_bad_input_is_refused_with_exit_status_2_and_nothing_done(host: Lan, arguments: tuple[str, ...]) -> None:
    before = host.snapshot()
    done = vipd(host, "up", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert host.snapshot() == before
