"""`vipd trace` as people use it, on a data plane without a daemon or a network."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from tests.support.planes import SECRET, SMALL
from tests.support.services import endpoint, server, service
from tests.support.tracing import VIPD, trace
from vipd.dataplane import _abi, _abi_trace
from vipd.dataplane.port import PutService
from vipd.dataplane.xdp import XdpDataplane, open_xdp
from vipd.lab.process import wait_until
from vipd.model.director import OnServerRemoved
from vipd.model.instance import Instance

pytestmark = pytest.mark.root

WEB: Final = endpoint()
ARP: Final = bytes(12) + b"\x08\x06" + bytes(46)
_numbers: Final = count()


def forwarding() -> XdpDataplane:
    made = open_xdp(Instance(f"trace-{os.getpid()}-{next(_numbers)}").pins, SECRET, SMALL)
    made.apply([PutService(service(WEB, server(WEB, "10.0.0.1")), OnServerRemoved.RESET)])
    return made


@pytest.fixture
def plane() -> Iterator[XdpDataplane]:
    made = forwarding()
    try:
        yield made
    finally:
        made.down()


def vipd(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*VIPD, *arguments], capture_output=True, text=True, check=False, timeout=60)


def name_of(plane: XdpDataplane) -> str:
    return plane.pins.directory.name


def is_on(plane: XdpDataplane) -> bool:
    return bool(plane.pins.maps["tracer"].memory(_abi_trace.TRACER)["on"][0])


def test_a_packet_is_a_line_and_ctrl_c_ends_it_with_a_summary(plane: XdpDataplane) -> None:
    with trace(name_of(plane)) as running:
        assert is_on(plane)
        plane.pins.director.run(ARP, repeat=2)
        line = running.out.until("pass_not_ip")
        ending = running.end()
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{6} lo  no IP  pass_not_ip: ARP and whatever else .*\n", line)
    assert (ending.status, len(ending.out.splitlines())) == (0, 2)
    assert "2 packets told in " in ending.err
    assert "2 fitted, of 2 that passed the director" in ending.err
    assert not is_on(plane)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_end_it_alike(plane: XdpDataplane, number: signal.Signals) -> None:
    with trace(name_of(plane)) as running:
        ending = running.end(number)
    assert (ending.status, is_on(plane)) == (0, False)
    assert "0 packets told" in ending.err


def test_json_has_a_line_for_each_packet_and_the_sum(plane: XdpDataplane) -> None:
    with trace(name_of(plane), "--json") as running:
        plane.pins.director.run(ARP)
        running.out.until("packet")
        ending = running.end()
    [packet, summary] = ending.told
    assert (packet["type"], packet["outcome"], packet["stage"]) == ("packet", "pass_not_ip", "parse")
    assert (packet["ingress"], packet["flow"], packet["frame"]) == ("lo", None, None)
    assert summary == {
        "type": "summary",
        "passed": 1,
        "matched": 1,
        "sampled_out": 0,
        "limited": 0,
        "lost": 0,
        "told": 1,
        "outcomes": {"pass_not_ip": 1},
    }


def test_it_ends_after_as_many_packets_as_were_asked_for(plane: XdpDataplane) -> None:
    with trace(name_of(plane), "--count", "3", "--json") as running:
        plane.pins.director.run(ARP, repeat=10)
        ending = running.end(None)
    assert (ending.status, len(ending.packets), ending.summary["told"]) == (0, 3, 3)
    assert "7 not shown" in ending.err


def test_it_ends_after_as_much_time_as_was_asked_for(plane: XdpDataplane) -> None:
    with trace(name_of(plane), "--for", "0.2") as running:
        ending = running.end(None)
    assert ending.status == 0
    told = re.search(r"0 packets told in ([\d.]+) s", ending.err)
    assert told
    assert float(told[1]) >= 0.2


def test_what_was_left_out_is_counted(plane: XdpDataplane) -> None:
    with trace(name_of(plane), "--sample", "5", "--rate", "10", "--outcome", "pass", "--json") as running:
        plane.pins.director.run(ARP, repeat=100)
        running.out.until("packet")
        ending = running.end()
    found = ending.summary
    assert (found["matched"], found["sampled_out"], found["lost"]) == (100, 80, 0)
    assert found["limited"] == 20 - found["told"] > 0
    assert "80 left out by --sample" in ending.err
    assert f"{found['limited']} over --rate" in ending.err


def test_what_does_not_fit_is_not_shown(plane: XdpDataplane) -> None:
    with trace(name_of(plane), "--outcome", "drop*", "--json") as running:
        plane.pins.director.run(ARP)
        ending = running.end()
    assert (ending.packets, ending.summary["passed"], ending.summary["matched"]) == ([], 1, 0)
    assert f"{len([each for each in _abi.Outcome if each.name.startswith('DROP')])} of " in ending.err


def test_lost_packets_are_said_where_they_were_lost(plane: XdpDataplane) -> None:
    """Stopped, it reads nothing, and the kernel's buffer is soon full."""
    many = 2 * _abi_trace.TraceLimits.ROOM // _abi_trace.TRACED.itemsize
    with trace(name_of(plane), "--rate", "0", "--json") as running:
        running.process.send_signal(signal.SIGSTOP)
        cell = plane.pins.maps["tracer"].memory(_abi_trace.TRACER)
        # As if it gave signs of life: how long this machine takes shall not matter.
        cell["heard"] = cell["beat"] - 1
        plane.pins.director.run(ARP, repeat=int(many))
        running.process.send_signal(signal.SIGCONT)
        said = running.out.until('"lost","packets"')
        ending = running.end()
    lost = json.loads(said)["packets"]
    assert lost == ending.summary["lost"] > 0
    assert len(ending.packets) == ending.summary["told"] == many - lost
    assert f"{lost:,} packets were lost here" in ending.err


def test_one_that_stood_still_says_so_and_goes_on(plane: XdpDataplane) -> None:
    with trace(name_of(plane)) as running:
        running.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: not is_on(plane), "the data plane to miss the tracer", 20)
        running.process.send_signal(signal.SIGCONT)
        running.err.until("stood still")
        plane.pins.director.run(ARP)
        running.out.until("pass_not_ip")
        assert running.end().status == 0


def test_a_second_one_is_refused_and_disturbs_nothing(plane: XdpDataplane) -> None:
    with trace(name_of(plane)) as running:
        refused = vipd("--instance", name_of(plane), "trace")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr == (
            f"vipd: process {running.process.pid} traces this instance already, and only one can: end that one first\n"
        )
        plane.pins.director.run(ARP)
        running.out.until("pass_not_ip")
        assert running.end().status == 0


def test_where_nothing_is_forwarded_that_is_said() -> None:
    refused = vipd("--instance", "none-at-all", "trace")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("vipd: nothing is forwarded for instance 'none-at-all'")


def test_without_root_that_is_said(plane: XdpDataplane) -> None:
    command = ("setpriv", "--bounding-set=-all", *VIPD, "--instance", name_of(plane), "trace")
    refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("vipd: vipd trace needs CAP_BPF CAP_NET_ADMIN, which root does not have here")
    assert not is_on(plane)


def test_one_whose_data_plane_is_taken_down_ends_and_says_why() -> None:
    plane = forwarding()
    with trace(name_of(plane)) as running:
        plane.down()
        ending = running.end(None)
    assert ending.status == 1
    assert "the data plane that was traced is gone" in ending.err


def test_who_has_read_enough_ends_it(plane: XdpDataplane) -> None:
    shown = subprocess.Popen(
        [*VIPD, "--instance", name_of(plane), "trace"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert shown.stdout
    assert shown.stderr
    shown.stderr.readline()
    shown.stdout.close()
    plane.pins.director.run(ARP)
    assert shown.wait(30) == 1
    assert shown.stderr.read() == ""
    shown.stderr.close()
    assert not is_on(plane)


def test_a_service_is_known_by_its_place_without_a_daemon(plane: XdpDataplane) -> None:
    refused = vipd("--instance", name_of(plane), "trace", "--service", "192.0.2.11")
    assert refused.returncode == 2
    assert refused.stderr == f"--service: no service listens on 192.0.2.11; there is {WEB}\n"
    with trace(name_of(plane), "--service", str(WEB), "--server", "10.0.0.1") as running:
        assert running.end().status == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--outcome", "dorp"), "--outcome: no outcome is called 'dorp'; did you mean drop"),
        (("--client", "x"), "--client: 'x' does not appear to be"),
        (("--sample", "0"), "--sample"),
        (("--rate", "-1"), "--rate"),
        (("--for", "nan"), "--for"),
        (("--snaplen", "13"), "--snaplen"),
        (("--pcap", "-", "--json"), "'-' needs stdout for itself"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(options: tuple[str, ...], told: str) -> None:
    refused = vipd("--instance", "none-at-all", "trace", *options)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert told in refused.stderr


def test_a_capture_that_cannot_be_written_is_said(plane: XdpDataplane, tmp_path: Path) -> None:
    for path, why in ((tmp_path / "no" / "such.pcapng", "No such file or directory"), (tmp_path, "Is a directory")):
        refused = vipd("--instance", name_of(plane), "trace", "--pcap", str(path))
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr == f"vipd: {path}: the capture cannot be written: {why}\n"
    full = vipd("--instance", name_of(plane), "trace", "--pcap", "/dev/full")
    assert full.returncode == 2
    assert "/dev/full: the capture ends here: No space left on device" in full.stderr


def test_a_capture_holds_each_frame_with_what_became_of_it(plane: XdpDataplane, tmp_path: Path) -> None:
    path = tmp_path / "out.pcapng"
    with trace(name_of(plane), "--pcap", str(path), "--snaplen", "20") as running:
        plane.pins.director.run(ARP)
        running.out.until("pass_not_ip")
        running.end()
    assert path.stat().st_mode & 0o777 == 0o600
    fields = ("frame.interface_name", "frame.cap_len", "frame.len", "frame.comment")
    shown = subprocess.run(
        ["tshark", "-r", str(path), "-T", "fields", *(word for name in fields for word in ("-e", name))],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.startswith(f"lo\t20\t{len(ARP)}\tvipd: pass_not_ip: ARP and")


def test_a_capture_goes_down_a_pipe(plane: XdpDataplane) -> None:
    reading = ("tshark", "-l", "-r", "-", "-T", "fields", "-e", "frame.comment")
    traced = (*VIPD, "--instance", name_of(plane), "trace", "--count", "1", "--pcap", "-")
    with (
        subprocess.Popen(traced, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as writer,
        subprocess.Popen(
            reading, stdin=writer.stdout, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as reader,
    ):
        wait_until(lambda: is_on(plane), "the tracer to start", 30)
        plane.pins.director.run(ARP)
        out, _ = reader.communicate(timeout=30)
    assert out.startswith("vipd: pass_not_ip")
