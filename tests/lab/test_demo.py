"""The demo as a user runs it: all combinations, its files, its end in every way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from scapy.layers.inet import IP, TCP
from scapy.utils import rdpcap
from typer.testing import CliRunner

from tests.lab.test_verdict import right
from tests.support.labs import traces, unique_name
from vipd.cli.demo import demo
from vipd.lab import demo as demonstration
from vipd.lab.demo import Settings, demonstrate
from vipd.lab.lab import down
from vipd.lab.process import wait_until
from vipd.lab.topology import TOPOLOGIES
from vipd.lab.verdict import Observed
from vipd.model.director import Transport

# All of it, shown once, is the longest that anything takes here.
pytestmark = pytest.mark.timeout(900)
KEYS = {
    "method", "family", "transport", "sent", "answered", "servers", "client_address_seen", "replies_through_director"
}  # fmt: skip
CONNECTIONS = 60


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "vipd.cli.main", "demo", *arguments]


@pytest.fixture
def name() -> Iterator[str]:
    chosen = unique_name()
    yield chosen
    for topology in TOPOLOGIES:
        down(f"{chosen}-{topology}")
        assert traces(f"{chosen}-{topology}") == []


class Done(NamedTuple):
    output: str
    told: list[dict[str, Any]]
    captures: Path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """One run of all of it, into a pipe."""
    files = tmp_path_factory.mktemp("demo")
    name = unique_name()
    options = ["--name", name, "--json", str(files / "out" / "demo.json"), "--pcap", str(files / "captures")]
    ended = subprocess.run(
        command(*options, "--connections", str(CONNECTIONS)), capture_output=True, text=True, check=False, timeout=600
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [left for topology in TOPOLOGIES for left in traces(f"{name}-{topology}")] == []
    return Done(ended.stdout, json.loads((files / "out" / "demo.json").read_text()), files / "captures")


@pytest.mark.root
def test_all_twenty_combinations_are_told_and_right(done: Done) -> None:
    told = [each for each in done.told if "method" in each]
    combinations = [(each["topology"], each["method"], each["transport"], each["family"]) for each in told]
    assert sorted(combinations) == sorted(
        (topology, method, transport, family)
        for topology, method in (("nat", "nat"), ("dr", "dr"), ("tun", "tun"), ("p2p", "nat"), ("p2p", "tun"))
        for transport in ("tcp", "udp")
        for family in ("ipv4", "ipv6")
    )
    for each in told:
        assert each.keys() >= KEYS
        assert each["sent"] == each["answered"] == CONNECTIONS
        assert each["servers"] == {f"server{number}": CONNECTIONS // 3 for number in (1, 2, 3)}
        assert each["client_address_seen"] is True
        assert each["replies_through_director"] is (each["method"] == "nat")
        assert each["problems"] == []


@pytest.mark.root
def test_the_output_is_readable_without_a_terminal(done: Done) -> None:
    assert "\x1b" not in done.output
    assert done.output.count("there  client ──▶ router ──▶ director") == 20
    assert done.output.count("back ") == 20
    assert "all of it is right" in done.output
    # Not wrapped anywhere: each combination has its row.
    assert len(re.findall(r"^(NAT|DR|TUN)(?: p2p)? +(tcp|udp) +ipv[46] +60 +60 ", done.output, re.MULTILINE)) == 20


@pytest.mark.root
def test_the_drawings_show_addresses_before_and_after(done: Done) -> None:
    ways = {
        (each["topology"], each["family"], each["transport"]): "\n".join(each["drawing"])
        for each in done.told
        if each["topology"] != "p2p"
    }
    assert re.search(
        r"director ──▶ server\d +198\.51\.100\.2:\d+ → 10\.0\.0\.1\d:8080$", ways["nat", "ipv4", "tcp"], re.MULTILINE
    )
    assert re.search(r"server\d ──▶ router ──▶ client +203\.0\.113\.10:7 → 198\.51\.100\.2:", ways["dr", "ipv4", "udp"])
    assert re.search(r"172\.16\.\d+\.\d+ → 10\.0\.\d\.1\d \[ 198\.51\.100\.2:", ways["tun", "ipv4", "tcp"])
    assert re.search(r"100::[0-9a-f:]+ → 2001:db8:1\d::1\d \[ \[2001:db8:100::2\]:", ways["tun", "ipv6", "udp"])


@pytest.mark.root
def test_a_server_across_a_line_is_reached_by_nat_and_tun_and_not_by_dr(done: Done) -> None:
    ways = {
        (each["method"], each["family"]): "\n".join(each["drawing"])
        for each in done.told
        if each["topology"] == "p2p" and each.get("transport") == "udp"
    }
    assert "director ──▶ server3            198.51.100.2:" in ways["nat", "ipv4"]
    assert re.search(r"server3 ──▶ director +\[2001:db8:30::13\]:7007 → \[2001:db8:100::2\]:", ways["nat", "ipv6"])
    assert re.search(r"director ──▶ server3 +172\.16\.\d+\.\d+ → 10\.3\.0\.13 \[ 198", ways["tun", "ipv4"])
    assert re.search(r"server3 ──▶ router ──▶ client +\[2001:db8:113::10\]:17 → ", ways["tun", "ipv6"])
    [line] = [each for each in done.told if "refusal" in each]
    assert line["refusal"].startswith("services.web4.servers[2]: 10.3.0.13 is behind a point-to-point link")
    assert line["refusal"].endswith("here nat and tun would work")
    assert line["carried"] == line["routed"] >= 8 * CONNECTIONS // 3
    assert line["refusal"] in done.output


@pytest.mark.root
def test_the_frames_on_the_line_are_shown_with_their_flags(done: Done) -> None:
    [line] = [each for each in done.told if "refusal" in each]
    kinds = [re.sub(r"[\d.]+|[\da-f]*:[\da-f:]+", "", shown).split()[1:4] for shown in line["frames"]]
    assert kinds[:3] == [[protocol, "Configure-Request"] for protocol in ("LCP", "IPCP", "IPVCP")]
    assert (
        len([shown for shown in line["frames"] if re.search("IPv4 172.16.*IPv4 198.51.100.2 to 203.0.113.10", shown)])
        == 2
    )
    assert line["bits"].split()[1] == "01111110"
    assert line["bits"].splitlines()[1].split()[0] == "flag"
    assert all(shown in done.output for shown in (*line["frames"], line["bits"]))


@pytest.mark.root
@pytest.mark.parametrize("topology", TOPOLOGIES.values(), ids=TOPOLOGIES)
def test_there_is_a_capture_for_each_hop(done: Done, topology: Any) -> None:
    folder = done.captures / topology.name
    hops = [*(port for port, _, _ in topology.ports()), *(line.name for line in topology.lines)]
    assert {path.name for path in folder.iterdir()} == {f"{hop}.pcap" for hop in hops}
    syns = {
        (packet[TCP].sport, packet[TCP].dport)
        for packet in rdpcap(str(folder / "far-client.pcap"))
        if TCP in packet and IP in packet and packet[TCP].flags == "S"
    }
    ports = [each.port for each in topology.services if each.transport is Transport.TCP]
    # All of them, and curl's: one, or as many as it takes until one goes over the line.
    curls = 3 if topology.lines else 1
    for port in ports:
        assert CONNECTIONS < len([each for each in syns if each[1] == port]) <= CONNECTIONS + curls


@pytest.mark.root
@pytest.mark.parametrize(
    ("topology", "moment", "number"),
    [
        ("dr", "director.log", signal.SIGTERM),
        ("dr", "replies.nft", signal.SIGINT),
        ("p2p", "line-server3.log", signal.SIGINT),
        ("p2p", "replies.nft", signal.SIGINT),
    ],
    ids=["at the start", "under load", "while a line comes up", "with a line under load"],
)
def test_a_signal_ends_it_and_leaves_nothing(name: str, topology: str, moment: str, number: signal.Signals) -> None:
    with subprocess.Popen(
        command("--name", name, "--topology", topology, "--connections", "30000"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        wait_until(lambda: Path(f"/run/vipd-lab/{name}-{topology}/{moment}").exists(), "the demo to come so far", 60)
        os.killpg(running.pid, number)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    assert "Traceback" not in errors
    assert traces(f"{name}-{topology}") == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--topology", "ring"], "'ring' is none of nat, dr, tun, p2p"),
        (["--topology", "p2p", "--method", "dr"], "p2p shows nat and tun only"),
    ],
)
def test_what_cannot_be_shown_is_refused(wrong: list[str], told: str) -> None:
    app = typer.Typer()
    app.command()(demo)
    ended = CliRunner().invoke(app, wrong)
    assert ended.exit_code == 2
    assert told in " ".join(ended.output.replace("│", " ").split())


@pytest.mark.root
def test_keep_leaves_a_lab_that_works_as_told(name: str) -> None:
    ended = subprocess.run(
        command("--name", name, "--method", "nat", "--connections", "9", "--keep"),
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    steps = [line.split() for line in ended.stdout.splitlines() if line.startswith("  vipd lab ")]
    asking = next(step for step in steps if "curl" in step)
    assert asking[:5] == ["vipd", "lab", "exec", "--name", f"{name}-nat"]
    answer = subprocess.run(
        [sys.executable, "-m", "vipd.cli.main", *asking[1:]], capture_output=True, text=True, check=True, timeout=30
    )
    assert json.loads(answer.stdout)["client"] == "198.51.100.2"


@pytest.mark.root
def test_an_unfinished_look_removes_the_lab(name: str) -> None:
    settings = Settings(connections=9, name=name)
    with closing(demonstrate(TOPOLOGIES["nat"], settings, lambda _: None)) as combinations:
        first = next(combinations)
        assert isinstance(first, Observed)
        assert first.answered == 9
        assert traces(f"{name}-nat") != []
    assert traces(f"{name}-nat") == []


def test_what_went_wrong_is_told_and_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The judge is tested elsewhere; here, that its verdict reaches the user."""

    def one_lost(topology: Any, *_: object) -> Iterator[Any]:
        yield replace(right(topology), answered=299, errors={"timeout": 1})

    monkeypatch.setattr(demonstration, "demonstrate", one_lost)
    app = typer.Typer()
    app.command()(demo)
    ended = CliRunner().invoke(app, ["--method", "nat", "--json", str(tmp_path / "demo.json")])
    assert ended.exit_code == 1
    assert "WRONG: 1 of 300 requests were lost (1 timeout)" in ended.stdout
    assert "something is WRONG" in ended.stdout
    assert json.loads((tmp_path / "demo.json").read_text())[0]["problems"] == [
        "1 of 300 requests were lost (1 timeout)"
    ]
