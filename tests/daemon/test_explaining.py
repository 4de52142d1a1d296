"""`vipd explain` of a running director: it reads what there is, and leaves it as it is."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from typer.testing import CliRunner, Result

from tests.daemon.conftest import VIP4, answers
from tests.support.frame_cli import capture_file
from tests.support.lan import Lan, eventually
from tests.support.mutants.building import Workshop
from vipd.cli.app import app
from vipd.rehearsal.live import live
from vipd.wire.pcap import LinkType

pytestmark = pytest.mark.root

ECHO = "10.0.0.2"
ROOT = Path(__file__).parents[2]


def explained(lan: Lan, *arguments: str) -> list[dict[str, Any]]:
    shown = lan.vipd("explain", "--json", *arguments)
    assert shown.returncode == 0, shown.stderr
    packets: list[dict[str, Any]] = json.loads(shown.stdout)["packets"]
    return packets


def remembered(lan: Lan) -> tuple[Any, Any]:
    """Whatever a packet would change; but for when a connection ends, and for rates, which time changes."""
    listed = json.loads(lan.vipd("connections", "--json").stdout)
    connections = [{key: value for key, value in each.items() if key != "expires"} for each in listed]
    status = lan.status()
    # The machines speak to each other of addresses all the while.
    outcomes = {name: count for name, count in status["outcomes"].items() if not name.startswith("pass_")}
    for service in status["services"]:
        for server in service["servers"]:
            del server["rates"]
    return connections, (outcomes, status["services"])


def test_a_known_connection_is_found_and_nothing_is_changed(
    lan: Lan, config: Path, echo: Callable[[], socket.socket]
) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        known = echo()
        assert answers(known)
        host, port = known.getsockname()
        eventually(lambda: remembered(lan) == remembered(lan))  # the last acknowledgement comes late
        before = remembered(lan)
        told, more = explained(lan, "--from", f"{host}:{port}", "--to", "web", "--flags", "ACK", "--flags", "FIN+ACK")
        [new] = explained(lan, "--from", f"{host}:1", "--to", "web")
        assert remembered(lan) == before
        [entry] = [each for each in before[0] if (each["client"], each["client_port"]) == (host, port)]
        assert entry["server"] == told["server"]["address"]
        assert told["connection"]["known"]
        assert told["connection"]["before"]["state"] == entry["state"] == "established"
        assert more["connection"]["after"]["state"] == "close_wait"
        assert (told["outcome"], told["egress"]) == ("forward_nat", "eth1")
        assert (new["connection"]["known"], new["outcome"]) == (False, "forward_nat")
        mac = bytes.fromhex(lan.server.mac("eth0").replace(":", ""))
        assert bytes.fromhex(told["sent"])[:6] == mac
        assert bytes.fromhex(told["frame"])[6:12] == bytes.fromhex(lan.client.mac("eth0").replace(":", ""))
        lan.vipd("drain", "web", ECHO)
        [drained] = explained(lan, "--from", f"{host}:2", "--to", "web")
        assert drained["server"]["address"] == "10.0.0.3"
        daemon.end(signal.SIGKILL)
        assert explained(lan, "--from", f"{host}:{port}", "--to", f"{VIP4}:80", "--flags", "ACK")[0]["server"]
        nameless = lan.vipd("explain", "--to", "web")
        assert (nameless.returncode, nameless.stdout) == (2, "")
        assert "its daemon knows, which does not run; they listen on 192.0.2.10:80/tcp" in nameless.stderr
        plain = lan.director.run(
            *("setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"),
            *lan.command("explain", "--to", f"{VIP4}:80"),
            check=False,
        )
        assert (plain.returncode, plain.stdout) == (2, "")
        assert "CAP_BPF" in plain.stderr
        assert "-c FILE" in plain.stderr


def conversation() -> Iterator[bytes]:
    """Twenty clients of the VIP and whoever answers, and frames that are nobody's."""
    out, back = (Ether(src=f"02:00:00:00:00:0{number}", dst="02:00:00:00:00:09") for number in (1, 2))
    for port in range(20):
        for flags in ("S", "A"):
            yield bytes(out / IP(src="192.0.2.2", dst=VIP4) / TCP(sport=2000 + port, dport=80, flags=flags))
            for server in (ECHO, "10.0.0.3"):
                answer = TCP(sport=80, dport=2000 + port, flags="SA" if flags == "S" else "A")
                yield bytes(back / IP(src=server, dst="192.0.2.2") / answer)
    whole = bytes(out / IP(src="192.0.2.2", dst=VIP4) / TCP(sport=3000, dport=80, flags="S"))
    yield from (whole[:size] for size in range(14, len(whole)))
    yield bytes(out / Dot1Q(vlan=7) / IP(src="192.0.2.2", dst=VIP4) / TCP(sport=3000, dport=80))
    yield bytes(out / IP(src="192.0.2.2", dst=VIP4) / UDP(sport=3000, dport=80))


def test_a_program_that_does_otherwise_than_the_specification_is_reported_as_a_bug(
    lan: Lan, config: Path, echo: Callable[[], socket.socket], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = (ROOT / "bpf" / "forward.h").read_text()
    wrong = right.replace("ttl_of(pkt) <= 1", "ttl_of(pkt) <= 99", 1)
    assert wrong != right
    defect = Workshop(tmp_path / "defect").build("forward.h", wrong)

    capture = capture_file(tmp_path / "in.pcap", LinkType.ETHERNET, list(conversation()))

    def asked(*arguments: str, command: str = "explain") -> Result:
        given = ["--instance", lan.instance.name, command, "--live", *arguments]
        return lan.director.inside(lambda: CliRunner().invoke(app, given, env={"NO_COLOR": "1"}))

    with lan.daemon(config) as daemon:
        daemon.ready()
        known = echo()
        assert answers(known)
        host, port = known.getsockname()
        question = ("--from", f"{host}:{port}", "--to", "web", "--flags", "ACK", "--flags", "FIN+ACK")
        sound = asked(*question)
        assert sound.exit_code == 0, sound.output
        assert sound.stdout.count("the BPF program does the same: forward_nat, redirect") == 2
        same = asked(capture, "--out", str(tmp_path / "out.pcap"), command="replay")
        assert same.exit_code == 0, same.output
        count = len(list(conversation()))
        assert f"the BPF program does the same with all {count}" in same.stdout
        assert "forward_nat_reply" in same.stdout
        monkeypatch.setattr("vipd.rehearsal.live.live", partial(live, program=defect))
        reported = asked(*question)
        assert reported.exit_code == 1
        assert "outcome: the program reply_time_exceeded, the specification forward_nat" in reported.stdout
        assert "which is a bug of vipd's: please report it" in reported.stdout
        [packet, _] = json.loads(asked(*question, "--json").stdout)["packets"]
        assert packet["program"]["agrees"] is False
        assert any(each.startswith("frame: the program ") for each in packet["program"]["disagreements"])
        replayed = asked(capture, command="replay")
        assert replayed.exit_code == 1
        assert f"the BPF program and the specification DISAGREE on 40 of {count}" in replayed.stdout
        assert "  frame 1, forward_nat\n    outcome: the program reply_time_exceeded, the spec" in replayed.stdout
        assert answers(known, b"nobody noticed")
