"""`vipd simulate` as people use it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.support.fleets import TEXT, capture
from vipd.cli.app import app
from vipd.errors import ConfigError
from vipd.wire.transport import SYN

VIPD = (sys.executable, "-m", "vipd.cli.main")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vipd.yaml"
    path.write_text(TEXT)
    return path


def simulate(file: Path, *arguments: str) -> Result:
    environment = {"COLUMNS": "120", "NO_COLOR": "1"}
    return CliRunner().invoke(app, ["simulate", "-c", str(file), *arguments], env=environment)


def shown(file: Path, *arguments: str) -> str:
    result = simulate(file, *arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def told(file: Path, *arguments: str) -> Any:
    return json.loads(shown(file, *arguments, "--json"))


def refused(file: Path, *arguments: str) -> str:
    result = simulate(file, *arguments)
    assert isinstance(result.exception, ConfigError), (result.output, result.exception)
    assert result.stdout == ""
    return str(result.exception)


def test_the_tables_tell_what_moves_and_what_each_server_gets(file: Path) -> None:
    output = shown(file, "--flows", "zipf:5k", "--change", "remove web 10.0.0.12")
    assert output.startswith("5,000 flows of ")
    assert "web 192.0.2.10:80/tcp, wlc, after 'remove web 10.0.0.12' at 5 min" in output
    gone = next(line for line in output.splitlines() if line.startswith("10.0.0.12") and "gone" in line)
    assert gone.split()[2:] == ["0.0%", "0.0%", "0", "0", "0"]
    assert "sh = mh" in output


def test_json_has_the_same_with_every_figure(file: Path) -> None:
    found = told(file, "--flows", "uniform:5k", "--change", "remove web 10.0.0.12", "--directors", "2")
    assert set(found["schedulers"]) == {"rr", "wrr", "lc", "wlc", "sh", "mh"}
    for verdict in found["schedulers"].values():
        [upset] = verdict["upsets"]
        assert upset["open"] == upset["stayed"] + upset["moved"] + upset["ended"]
        assert upset["unavoidable"] == upset["moved"] + upset["ended"] > 0
    assert [each["director"] for each in found["configured"]["directors"]] == [1, 2]
    assert found["configured"]["flows"] == 5000


def test_who_shares_the_secret_keeps_connections_when_a_director_is_lost(file: Path) -> None:
    arguments = ("--flows", "uniform:5k", "--directors", "4", "--change", "remove director 2", "--scheduler", "mh")
    [own] = told(file, *arguments, "--scheduler", "rr")["schedulers"]["mh"]["upsets"]
    file.write_text(TEXT + "secret_file: /etc/vipd/secret\n")
    shared = told(file, *arguments, "--scheduler", "rr")["schedulers"]
    assert own["moved"] > own["open"] / 10
    assert shared["mh"]["upsets"][0]["moved"] == 0
    assert shared["rr"]["upsets"][0]["moved"] > own["open"] / 10


def test_a_fleet_is_told_what_directors_do_not_tell_each_other(file: Path) -> None:
    output = shown(file, "--flows", "uniform:2k", "--directors", "2", "--change", "remove director 1")
    assert "Directors do not tell each other their connections" in output
    assert "secret_file" in output


def test_flows_of_a_capture_are_simulated(file: Path, tmp_path: Path) -> None:
    path = capture(tmp_path, *((n / 10, "198.51.100.1", 4000 + n, "192.0.2.10", 80, SYN) for n in range(40)))
    found = told(file, "--flows", str(path), "--scheduler", "wrr")
    assert found["configured"]["flows"] == 40
    assert found["source"] == f"{path}: 40 frames, 40 of them to the VIPs"


@pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
def test_a_picture_is_drawn_and_the_same_again(file: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"fleet.{kind}"
    drawn = []
    for _ in range(2):
        shown(file, "--flows", "zipf:2k", "--change", "drain web 10.0.0.12", "--plot", str(path))
        drawn.append(path.read_bytes())
    assert drawn[0] == drawn[1]
    assert drawn[0].startswith({"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[kind])
    if kind == "svg":
        assert b"drain web 10.0.0.12" in drawn[0]
        assert b"sh = mh" in drawn[0]
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(["vipd.yaml", path.name])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--flows", "zipf:"), "--flows: '' is not a number; 5000, 200k, 10M"),
        (("--flows", "zipf:0"), "--flows: '0' is below what can be"),
        (("--flows", "zipf:1k:x"), "--flows: 'x' is no exponent of Zipf's law"),
        (("--flows", "uniform:1k:1"), "--flows: 'uniform:1k:1' has one number too many"),
        (("--flows", "nowhere.csv"), "nowhere.csv: cannot be read: No such file or directory"),
        (("--directors", "0"), "--directors: 0 directors; 1 to 250"),
        (("--ecmp", "modul"), "--ecmp: 'modul' is no way to spread flows; did you mean 'modulo'?"),
        (("--clients", "many"), "--clients: 'many' is not a number"),
        (("--rate", "0"), "--rate: '0' is below what can be"),
        (("--duration", "long:1s"), "--duration: 'long' is not a law of durations; exponential, lognormal, fixed"),
        (("--duration", "x"), "--duration: 'x' is not a duration"),
        (("--change", "remove web 10.0.0.99"), "--change 'remove web 10.0.0.99':1:12: service web has no server"),
        (("--plot", "fleet.gif"), "'fleet.gif' is no kind of picture; .svg, .png, .pdf"),
        (("--flows", "vipd.yaml", "--clients", "5"), "--clients: a file tells whose flows it has"),
        (("--plot", "no/where/fleet.svg"), "there is no directory 'no/where'"),
    ],
)
def test_wrong_input_is_one_message(file: Path, arguments: tuple[str, ...], message: str) -> None:
    found = refused(file, *arguments)
    assert message in found
    assert "\n" not in found


def test_a_picture_takes_no_directorys_place(file: Path, tmp_path: Path) -> None:
    (tmp_path / "fleet.svg").mkdir()
    assert refused(file, "--plot", str(tmp_path / "fleet.svg")).endswith("fleet.svg: cannot be written there")


def test_of_many_services_those_that_change_are_shown(file: Path) -> None:
    file.write_text(
        "interfaces: [eth0]\nservices:\n"
        + "".join(
            f"  s{n}: {{listen: '192.0.2.1:{n}/tcp', method: dr, maglev_slots: 251, servers: [10.0.0.1, 10.0.0.2]}}\n"
            for n in range(1, 20)
        )
    )
    output = shown(file, "--flows", "uniform:500", "--change", "drain s7 10.0.0.1", "--scheduler", "wlc")
    assert output.count("\nSERVER ") == 2
    assert "s7 192.0.2.1:7/tcp" in output
    assert "and 18 endpoints more; --json has them all" in output
    assert shown(file, "--flows", "uniform:500", "--scheduler", "wlc").count("\nSERVER ") == 8


def test_without_matplotlib_a_picture_is_refused_and_all_else_works(file: Path) -> None:
    program = (
        "import sys, importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'matplotlib' else find(name, *more)\n"
        "sys.modules['matplotlib'] = None\n"
        "from vipd.cli.main import main\n"
        "main()\n"
    )
    for arguments, code in ((["--plot", "fleet.svg"], 2), ([], 0)):
        command = [sys.executable, "-c", program, "simulate", "-c", str(file), "--flows", "zipf:500", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=file.parent)
        assert done.returncode == code, done.stderr
        assert ("pip install 'vipd[plot]'" in done.stderr) == (code == 2)
        assert done.stderr.count("\n") == (code == 2)


@pytest.fixture
def running(file: Path) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A simulation in the middle of its work, and the processes that do it."""
    command = [*VIPD, "simulate", "-c", str(file), "--flows", "zipf:3M"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0) as process:
        deadline = time.monotonic() + 120
        while not children(process.pid) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.01)
        theirs = children(process.pid)
        assert theirs, process.poll()
        try:
            yield process, theirs
        finally:
            process.kill()
    assert [each for each in theirs if Path(f"/proc/{each}").exists()] == []


def test_ctrl_c_ends_it_at_once_and_leaves_no_process(running: tuple[subprocess.Popen[bytes], list[int]]) -> None:
    process, _ = running
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (130, b"", b"")


def test_where_memory_runs_out_it_is_said(running: tuple[subprocess.Popen[bytes], list[int]]) -> None:
    process, theirs = running
    os.kill(theirs[0], signal.SIGKILL)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (2, b"")
    assert errors.decode() == (
        "vipd: a process of the simulation ended with -9: most likely memory ran out; "
        "ask for fewer flows, or for one --scheduler at a time\n"
    )


def children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
