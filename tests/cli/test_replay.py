"""`vipd replay`: a capture in, a capture, tables, JSON and a picture out; and captures that are broken."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import rdpcap
from typer.testing import CliRunner, Result

from tests.support.frame_cli import capture_file
from tests.support.scenes import SERVICES
from vipd.cli.app import app
from vipd.cli.frame.source import Capture
from vipd.errors import ConfigError
from vipd.wire.pcap import LinkType


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vipd.yaml").write_text(SERVICES)
    packets = [
        bytes(
            Ether(src="02:00:00:00:99:01", dst="02:00:00:00:99:02")
            / IP(src=f"203.0.113.{number}", dst="192.0.2.11")
            / TCP(sport=number, dport=80, flags=flags)
        )
        for number in range(1, 11)
        for flags in ("S", "A")
    ]
    capture_file(tmp_path / "in.pcap", LinkType.ETHERNET, packets)
    return tmp_path


def replay(folder: Path, *options: str, source: str = "in.pcap") -> Result:
    arguments = ["replay", str(folder / source), "-c", str(folder / "vipd.yaml"), *options]
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "80", "NO_COLOR": "1"})


def test_what_came_out_is_a_capture_that_others_read(folder: Path) -> None:
    result = replay(folder, "--out", str(folder / "out.pcap"))
    assert result.exit_code == 0, result.output
    sent = rdpcap(str(folder / "out.pcap"))
    assert len(sent) == 20
    assert {packet[IP].dst for packet in sent} == {"10.0.0.11", "10.0.0.12"}
    assert {packet[TCP].dport for packet in sent} == {8080}


def test_shares_and_outcomes_are_told(folder: Path) -> None:
    text = replay(folder).stdout
    assert text.startswith("20 frames of 0.000 s, 20 came out\n")
    assert "10.0.0.11:8080  nat          1            5  50.0 %" in text
    assert "       20  forward_nat\n" in text
    assert "no packet for web 192.0.2.10:80/tcp, " in text


def test_json_has_them_too(folder: Path) -> None:
    found = json.loads(replay(folder, "--json").stdout)
    [shop] = [each for each in found["services"] if each["name"] == "shop"]
    assert [(each["connections"], each["share"]) for each in shop["servers"]] == [(5, 0.5), (5, 0.5)]
    assert (found["frames"], found["sent"], found["outcomes"]) == (20, 20, {"forward_nat": 20})


@pytest.mark.parametrize(("name", "begin"), [("a.svg", b"<?xml"), ("a.png", b"\x89PNG")])
def test_the_picture_is_drawn(folder: Path, name: str, begin: bytes) -> None:
    assert replay(folder, "--picture", str(folder / name)).exit_code == 0
    drawn = (folder / name).read_bytes()
    assert drawn.startswith(begin)
    if name.endswith("svg"):
        assert b"shop 10.0.0.11:8080" in drawn


def test_a_capture_with_nothing_in_it_has_a_picture_too(folder: Path) -> None:
    capture_file(folder / "empty.pcap", LinkType.ETHERNET, [])
    result = replay(folder, "--picture", str(folder / "a.svg"), source="empty.pcap")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("0 frames of 0.000 s, 0 came out\n")
    assert (folder / "a.svg").exists()


def test_a_capture_that_ends_too_early_is_told_with_what_it_came_to(folder: Path) -> None:
    whole = (folder / "in.pcap").read_bytes()
    (folder / "cut.pcap").write_bytes(whole[:-5])
    result = replay(folder, "--out", str(folder / "out.pcap"), source="cut.pcap")
    assert isinstance(result.exception, ConfigError)
    assert "ends too early" in str(result.exception)
    assert result.stdout.startswith("19 frames of")
    assert len(rdpcap(str(folder / "out.pcap"))) == 19


def test_of_a_ppp_link_packets_count_and_the_rest_is_left_out(folder: Path) -> None:
    packet = bytes(IP(src="203.0.113.7", dst="192.0.2.11") / TCP(sport=7, dport=80, flags="S"))
    capture_file(folder / "ppp.pcap", LinkType.PPP, [bytes.fromhex("ff03c02101010004"), b"\xff\x03\0\x21" + packet])
    text = replay(folder, source="ppp.pcap").stdout
    assert text.startswith("2 frames of 0.000 s, 1 came out\n")
    assert "1 frame left out: LCP of PPP, no IP packet" in text


@pytest.mark.parametrize("option", [("--secret", "/dev/null"), ("--mtu", "1400")], ids=lambda each: each[0])
def test_what_only_a_file_leaves_open_is_refused_of_a_running_director(folder: Path, option: tuple[str, str]) -> None:
    result = CliRunner().invoke(app, ["replay", str(folder / "in.pcap"), *option])
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception) == f"{option[0]}: goes with -c FILE: a running director has its own"


def test_ctrl_c_ends_it_with_what_there_is_so_far(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = Capture.frames

    def interrupted(source: Capture):  # type: ignore[no-untyped-def]
        for number, frame in enumerate(frames(source)):
            if number == 7:
                raise KeyboardInterrupt
            yield frame

    monkeypatch.setattr(Capture, "frames", interrupted)
    result = replay(folder, "--out", str(folder / "out.pcap"))
    assert result.exit_code == 130
    assert result.stdout.startswith("7 frames of 0.000 s, 7 came out so far; interrupted")
    assert len(rdpcap(io.BytesIO((folder / "out.pcap").read_bytes()))) == 7


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--out", "in.pcap"), "is the capture that is read"),
        (("--out", "none/out.pcap"), "cannot be written: No such file"),
        (("--picture", "a.gif"), "'a.gif' is no kind of picture; .svg, .png, .pdf"),
        (("--interface", "eth9"), "'eth9' is no interface of this director"),
        (("--mtu", "5"), "--mtu: 5 is none"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(folder: Path, options: tuple[str, ...], said: str) -> None:
    names = [
        str(folder / each) if options[0] in ("--out", "--picture") and each != options[0] else each for each in options
    ]
    result = replay(folder, *names)
    assert isinstance(result.exception, ConfigError), result.output
    assert said in str(result.exception)
    assert result.stdout == ""
    assert (folder / "in.pcap").stat().st_size > 1000
