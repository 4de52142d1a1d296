"""The demo as a user runs it: all twelve combinations, its files, its end in every way."""

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
        command(*options, "--connections", str(CONNECTIONS)), capture_output=True, text=True, check=False, timeout=240
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [left for topology in TOPOLOGIES for left in traces(f"{name}-{topology}")] == []
    return Done(ended.stdout, json.loads((files / "out" / "demo.json").read_text()), files / "captures")


@pytest.mark.root
def test_all_twelve_combinations_are_told_and_right(done: Done) -> None:
    combinations = [(each["method"], each["transport"], each["family"]) for each in done.told]
    assert sorted(combinations) == sorted(
        (method, transport, family)
        for method in ("nat", "dr", "tun")
        for transport in ("tcp", "udp")
        for family in ("ipv4", "ipv6")
    )
    for each in done.told:
        assert each.keys() >= KEYS
        assert each["sent"] == each["answered"] == CONNECTIONS
        assert each["servers"] == {f"server{number}": CONNECTIONS // 3 for number in (1, 2, 3)}
        assert each["client_address_seen"] is True
        assert each["replies_through_director"] is (each["method"] == "nat")
        assert each["problems"] == []


@pytest.mark.root
def test_the_output_is_readable_without_a_terminal(done: Done) -> None:
    assert "\x1b" not in done.output
    assert done.output.count("there  client ──▶ router ──▶ director") == 12
    assert done.output.count("back ") == 12
    assert "all of it is right" in done.output
    # Not wrapped anywhere: each combination has its row.
    assert len(re.findall(r"^(NAT|DR|TUN) +(tcp|udp) +ipv[46] +60 +60 ", done.output, re.MULTILINE)) == 12


@pytest.mark.root
def test_the_drawings_show_addresses_before_and_after(done: Done) -> None:
    ways = {(each["method"], each["family"], each["transport"]): "\n".join(each["drawing"]) for each in done.told}
    assert re.search(
        r"director ──▶ server\d +198\.51\.100\.2:\d+ → 10\.0\.0\.1\d:8080$", ways["nat", "ipv4", "tcp"], re.MULTILINE
    )
    assert re.search(r"server\d ──▶ router ──▶ client +203\.0\.113\.10:7 → 198\.51\.100\.2:", ways["dr", "ipv4", "udp"])
    assert re.search(r"172\.16\.\d+\.\d+ → 10\.0\.\d\.1\d \[ 198\.51\.100\.2:", ways["tun", "ipv4", "tcp"])
    assert re.search(r"100::[0-9a-f:]+ → 2001:db8:1\d::1\d \[ \[2001:db8:100::2\]:", ways["tun", "ipv6", "udp"])


@pytest.mark.root
@pytest.mark.parametrize("topology", TOPOLOGIES.values(), ids=TOPOLOGIES)
def test_there_is_a_capture_for_each_hop(done: Done, topology: Any) -> None:
    folder = done.captures / topology.name
    assert {path.name for path in folder.iterdir()} == {f"{port}.pcap" for port, _, _ in topology.ports()}
    packets = rdpcap(str(folder / "far-client.pcap"))
    sent = {packet[TCP].sport for packet in packets if TCP in packet and IP in packet and packet[TCP].flags == "S"}
    assert len(sent) == CONNECTIONS + 1, "all of them, and curl's"


@pytest.mark.root
@pytest.mark.parametrize(
    ("moment", "number"),
    [("director.log", signal.SIGTERM), ("replies.nft", signal.SIGINT)],
    ids=["at the start", "under load"],
)
def test_a_signal_ends_it_and_leaves_nothing(name: str, moment: str, number: signal.Signals) -> None:
    with subprocess.Popen(
        command("--name", name, "--method", "dr", "--connections", "30000"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        wait_until(lambda: Path(f"/run/vipd-lab/{name}-dr/{moment}").exists(), "the demo to come so far", 60)
        os.killpg(running.pid, number)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    assert "Traceback" not in errors
    assert traces(f"{name}-dr") == []


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
        assert next(combinations).answered == 9
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
