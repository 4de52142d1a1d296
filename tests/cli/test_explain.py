"""`vipd explain -c FILE`, without root: what people type, and what they read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.support.frame_cli import capture_file
from tests.support.scenes import SECRET, SERVICES, ask, scene_of
from vipd.cli.app import app
from vipd.errors import ConfigError
from vipd.wire.pcap import LinkType

_STYLE = re.compile(r"\x1b\[[0-9;]*m")
FROM = ("--from", "203.0.113.7:4711")


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "vipd.yaml"
    path.write_text(SERVICES)
    return str(path)


def explain(file: str, *arguments: str, columns: int = 80) -> Result:
    env = {"COLUMNS": str(columns), "NO_COLOR": "1", "TTY_COMPATIBLE": "1"}
    return CliRunner().invoke(app, ["explain", "-c", file, *arguments], env=env)


def shown(file: str, *arguments: str) -> str:
    result = explain(file, *arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return _STYLE.sub("", result.stdout)


def told(file: str, *arguments: str) -> list[dict[str, Any]]:
    packets: list[dict[str, Any]] = json.loads(shown(file, *arguments, "--json"))["packets"]
    return packets


def refused(file: str, *arguments: str) -> str:
    result = explain(file, *arguments)
    assert isinstance(result.exception, ConfigError), (result.output, result.exception)
    assert result.stdout == ""
    return str(result.exception)


def test_one_reads_which_service_which_server_why_and_what_was_rewritten(file: str) -> None:
    text = shown(file, *FROM, "--to", "web")
    for said in (
        "TCP SYN 203.0.113.7:4711 > 192.0.2.10:80: forward_dr, to 10.0.0.11 by dr, out of eth1",
        "connection  no connection of this flow is known",
        "scheduler wlc, 3 servers; new connections go to 2",
        "service     the service 192.0.2.10:80/tcp listens there",
        "wlc: 10.0.0.11 has the least for its weight",
        "44 bytes fit into 1500",
        "02:00:00:02:00:01  changed",
        "outcome     Sent to a real server by direct routing: only the MAC addresses",
        "assumed     every real server is up, undrained and a neighbour on eth1",
    ):
        assert said in text


@pytest.mark.parametrize("more", [(), ("--rules",), ("--bytes",), ("--flags", "SYN", "--flags", "reply:SYN+ACK")])
def test_eighty_columns_are_enough(file: str, more: tuple[str, ...]) -> None:
    text = shown(file, *FROM, "--to", "shop", *more)
    headlines = [line for line in text.splitlines() if line.startswith("TCP")]
    assert headlines
    assert not [line for line in text.splitlines() if len(line) > 80 and line not in headlines]


@pytest.mark.parametrize(("scheduler", "weighed"), [("wlc", True), ("lc", False)])
def test_only_wlc_has_a_column_for_what_it_goes_by(tmp_path: Path, scheduler: str, weighed: bool) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(SERVICES.replace("wlc", scheduler))
    assert ("/ WEIGHT" in shown(str(path), *FROM, "--to", "web")) == weighed


def test_what_if_a_server_were_drained(file: str) -> None:
    text = explain(file, *FROM, "--to", "web", "--drained", "web 10.0.0.11", columns=120).stdout
    assert "forward_dr, to 10.0.0.12 by dr" in text
    assert "every real server is up, undrained but for web 10.0.0.11, and a neighbour on eth1" in text


@pytest.mark.parametrize(
    "option", [("--drained", "web 10.0.0.11"), ("--secret", "/dev/null"), ("--mtu", "1400")], ids=lambda each: each[0]
)
def test_what_only_a_file_leaves_open_is_refused_of_a_running_director(option: tuple[str, str]) -> None:
    result = CliRunner().invoke(app, ["explain", "--to", "web", *option])
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception) == f"{option[0]}: goes with -c FILE: a running director has its own"


def test_json_has_everything_that_people_read(file: str) -> None:
    [packet] = told(file, *FROM, "--to", "shop")
    assert packet["service"] == {"name": "shop", "listen": "192.0.2.11:80/tcp", "scheduler": "rr"}
    assert packet["server"]["address"] == "10.0.0.11"
    assert packet["connection"]["known"] is False
    assert packet["connection"]["after"]["state"] == "syn_recv"
    assert (packet["outcome"], packet["action"], packet["egress"]) == ("forward_nat", "forward", "eth1")
    assert [each["field"] for each in packet["changes"]][:2] == ["destination", "source"]
    assert all(reason["source"] for reason in packet["reasons"])
    assert bytes.fromhex(packet["sent"])[30:34] == bytes((10, 0, 0, 11))


def test_every_rule_is_shown_with_its_source(file: str) -> None:
    text = shown(file, *FROM, "--to", "web", "--rules")
    assert "schedule.least" in text
    assert "LVS, ip_vs_wlc.c" in text


def test_bytes_are_shown_before_and_after(file: str) -> None:
    text = shown(file, *FROM, "--to", "web", "--bytes")
    assert text.count("58 octets") == 2
    assert "^^" in text


def test_an_answer_of_the_directors_own_is_told_as_the_packet_that_it_is(file: str) -> None:
    text = shown(file, *FROM, "--to", "dns", "--payload", "1453")
    assert "sent back   ICMP type 3 code 4 192.0.2.53 > 203.0.113.7, " in text
    assert "rewritten" not in text
    assert "sent back   TCP RST+ACK 192.0.2.12:80 > 203.0.113.7:4711" in shown(file, *FROM, "--to", "idle")


def test_no_reason_is_told_twice(file: str) -> None:
    lines = [line.strip() for line in shown(file, *FROM, "--to", "idle").splitlines() if line.strip()]
    assert sorted(set(lines)) == sorted(lines)


def test_datagrams_of_both_sides_are_told_of(file: str) -> None:
    first, second = told(file, *FROM, "--to", "192.0.2.53:53/UDP", "--flags", "none", "--flags", "none")
    assert (first["connection"]["known"], second["connection"]["known"]) == (False, True)


def test_brief_is_one_line_for_each_packet(file: str) -> None:
    assert len(shown(file, "--to", "shop", "--flags", "SYN", "--flags", "reply:SYN+ACK", "--brief").splitlines()) == 2


def test_a_secret_gives_the_directors_own_choice(file: str, tmp_path: Path) -> None:
    key = tmp_path / "secret"
    key.write_bytes(SECRET)
    scene = scene_of()
    for last in range(8):
        [expected] = ask(scene, "dns", source=f"203.0.113.{last}:53")
        [found] = told(file, "--from", f"203.0.113.{last}:53", "--to", "dns", "--secret", str(key))
        assert bytes.fromhex(found["sent"]) == expected.sent


def test_a_packet_in_hex_and_a_frame_of_a_capture_are_told_of_alike(file: str, tmp_path: Path) -> None:
    [asked] = told(file, *FROM, "--to", "shop")
    octets = bytes.fromhex(asked["frame"])
    capture = capture_file(tmp_path / "a.pcap", LinkType.ETHERNET, [b"\0" * 60, octets])
    raw = capture_file(tmp_path / "b.pcap", LinkType.RAW_IP, [octets[14:]])
    for more in (("--packet", octets.hex()), ("--packet", octets[14:].hex(":")), ("--pcap", raw)):
        assert told(file, *more)[0]["sent"] == asked["sent"]
    assert told(file, "--pcap", capture, "--frame", "2")[0]["sent"] == asked["sent"]
    assert [each["outcome"] for each in told(file, "--pcap", capture, "--frame", "2", "--frame", "1")] == [
        "forward_nat",
        "pass_not_ip",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "which packet is it about?"),
        (("--to", "wbe"), "--to: 'wbe' is neither a service nor VIP:PORT/TRANSPORT, .* did you mean 'web'?"),
        (("--to", "web", "--from", "203.0.113"), "--from: '203.0.113' is no address"),
        (("--to", "web", "--from", "203.0.113.7:99999"), "--from: '99999' is no port; 0 to 65535 are"),
        (("--to", "web", "--from", "2001:db8::7"), "2001:db8::7 is IPv6, and a packet has one family"),
        (("--to", "192.0.2.10:99999/tcp"), "--to: '99999' is no port; 0 to 65535 are"),
        (("--to", "web", "--from", "[2001:db8::7"), r"'\[2001:db8::7' is no address"),
        (("--to", "192.0.2.10:80/sctp"), "'sctp' is no transport; tcp and udp are"),
        (("--to", "192.0.2.99"), "has no port, .* and 192.0.2.99 is no VIP here"),
        (("--to", "web", "--flags", "FOO"), "--flags: 'FOO' are no flags of TCP"),
        (("--to", "shop", "--flags", "reply:ACK"), "the client's packet comes first"),
        (("--to", "idle", "--flags", "SYN", "--flags", "reply:ACK"), "no server has the packet before it"),
        (("--to", "web", "--interface", "eth9"), "'eth9' is no interface of this director; it looks at eth0, eth1"),
        (("--to", "web", "--packet", "00"), "--packet: --to tells already which packet it is about"),
        (("--packet", "00", *FROM), "the packet is whole already"),
        (("--to", "dns", "--flags", "SYN"), "--flags: 'SYN' is TCP's, and this is UDP; 'none' is a datagram"),
        (("--packet", "zz"), "--packet: 'z' at offset 0 is no hex digit"),
        (("--to", "web", "--frame", "1"), "--frame: counts the frames of --pcap FILE"),
        (("--to", "web", "--payload", "70000"), "70000 bytes do not fit into a packet"),
        (("--to", "web", "--mtu", "9"), "--mtu: 9 is none; 1280 to 65535 are"),
        (("--to", "web", "--drained", "wbe 10.0.0.11"), "--drained: 'wbe 10.0.0.11' names no service"),
        (("--to", "web", "--drained", "web 10.0.0.99"), "--drained: 10.0.0.99 is no server of web; these are: 10.0.0"),
        (("--to", "web", "--source-mac", "1"), "--source-mac: '1' is no MAC address"),
        (("--to", "web", "--secret", "/nowhere"), "--secret: /nowhere: cannot be read: No such file"),
        (("--pcap", "/nowhere"), "/nowhere: cannot be read: No such file"),
    ],
)
def test_a_wrong_question_gets_one_clear_answer(file: str, arguments: tuple[str, ...], said: str) -> None:
    assert re.search(said, refused(file, *arguments)), refused(file, *arguments)


def test_captures_that_cannot_be_asked_about_say_why(file: str, tmp_path: Path) -> None:
    lcp = capture_file(tmp_path / "ppp.pcap", LinkType.PPP, [bytes.fromhex("ff03c02101010004")])
    assert "frame 1: LCP of PPP, no IP packet" in refused(file, "--pcap", lcp)
    assert "has no frame 7, but 1 frame" in refused(file, "--pcap", lcp, "--frame", "7")
    wifi = capture_file(tmp_path / "wifi.pcap", 105, [bytes(60)])
    assert "link type 105 is none that can be read" in refused(file, "--pcap", wifi)
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(Path(lcp).read_bytes()[:-2])
    assert "ends too early" in refused(file, "--pcap", str(cut))
    empty = tmp_path / "empty"
    empty.touch()
    assert refused(file, "--pcap", str(empty)) == f"{empty}: it is empty"
    text = tmp_path / "text"
    text.write_text("no capture")
    assert "no capture file" in refused(file, "--pcap", str(text))


@pytest.mark.parametrize("columns", [30, 50, 80])
def test_the_servers_that_a_scheduler_chose_from_are_never_cut(file: str, columns: int) -> None:
    rows = _STYLE.sub("", explain(file, *FROM, "--to", "web", columns=columns).stdout).splitlines()
    [heading] = [row for row in rows if "WEIGHT" in row]
    assert heading.split() == ["server", "SERVER", "WEIGHT", "ACTIVE", "INACTIVE", "OVERHEAD", "/", "WEIGHT"]
    assert [row.split() for row in rows if row.strip().startswith("> ")] == [
        [">", "10.0.0.11", "1", "0", "0", "0", "0"]
    ]
