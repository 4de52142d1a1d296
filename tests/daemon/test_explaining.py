"""`vipd explain` of a running director: it reads what there is, and leaves it as it is."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.daemon.conftest import VIP4, answers
from tests.support.lan import Lan, eventually
from tests.support.mutants.building import Workshop
from vipd.cli.app import app
from vipd.rehearsal.live import live

pytestmark = pytest.mark.root

ECHO = "10.0.0.2"
ROOT = Path(__file__).parents[2]


def explained(lan: Lan, *arguments: str) -> list[dict[str, Any]]:
    shown = lan.vipd("explain", "--json", *arguments)
    assert shown.returncode == 0, shown.stderr
    packets: list[dict[str, Any]] = json.loads(shown.stdout)["packets"]
    return packets


def remembered(lan: Lan) -> tuple[Any, Any]:
    """Whatever a packet would change; but for when a connection ends, which time changes."""
    listed = json.loads(lan.vipd("connections", "--json").stdout)
    connections = [{key: value for key, value in each.items() if key != "expires"} for each in listed]
    status = lan.status()
    # The machines speak to each other of addresses all the while.
    outcomes = {name: count for name, count in status["outcomes"].items() if not name.startswith("pass_")}
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


def test_a_program_that_does_otherwise_than_the_specification_is_reported_as_a_bug(
    lan: Lan, config: Path, echo: Callable[[], socket.socket], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = (ROOT / "bpf" / "forward.h").read_text()
    wrong = right.replace("ttl_of(pkt) <= 1", "ttl_of(pkt) <= 99", 1)
    assert wrong != right
    defect = Workshop(tmp_path / "defect").build("forward.h", wrong)

    def asked(*arguments: str) -> Result:
        given = ["--instance", lan.instance.name, "explain", "--live", *arguments]
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
        monkeypatch.setattr("vipd.rehearsal.live.live", partial(live, program=defect))
        reported = asked(*question)
        assert reported.exit_code == 1
        assert "outcome: the program reply_time_exceeded, the specification forward_nat" in reported.stdout
        assert "which is a bug of vipd's: please report it" in reported.stdout
        [packet, _] = json.loads(asked(*question, "--json").stdout)["packets"]
        assert packet["program"]["agrees"] is False
        assert any(each.startswith("frame: the program ") for each in packet["program"]["disagreements"])
        assert answers(known, b"nobody noticed")
