"""The command line as people meet it: help, exit codes, one message for each error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vipd.cli.app import COMMANDS

HUGE = "9" * 30
VIPD = (sys.executable, "-m", "vipd.cli.main")


def vipd(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120", **environment}
    return subprocess.run([*VIPD, *arguments], capture_output=True, text=True, check=False, env=env, timeout=60)


def test_help_names_every_command_in_one_line_each() -> None:
    shown = vipd("--help")
    assert shown.returncode == 0
    for name, entry in COMMANDS.items():
        assert any(name in line and entry.help in line for line in shown.stdout.splitlines()), name


def test_nothing_asked_is_answered_with_help() -> None:
    assert "Usage: vipd" in vipd().stdout + vipd().stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(name: str) -> None:
    shown = vipd(name, "--help")
    assert shown.returncode == 0, shown.stderr
    assert f"Usage: vipd {name}" in shown.stdout


@pytest.mark.parametrize("name", ["run", "status", "connections", "drain", "undrain"])
def test_the_longer_commands_show_examples(name: str) -> None:
    assert f"vipd {name}" in vipd(name, "--help").stdout.split("Example", 1)[1]


def test_help_imports_no_command() -> None:
    program = (
        "import sys\n"
        "sys.argv = ['vipd', '--help']\n"
        "from vipd.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "slow = {'httpx', 'numpy', 'pydantic', 'pyroute2', 'starlette', 'uvicorn', 'yaml'} & sys.modules.keys()\n"
        "sys.exit(f'imported: {slow}' if slow else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_version_is_told() -> None:
    assert vipd("--version").stdout == "vipd 0.1.0\n"


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            ("no-such-command",),
            ("run",),
            ("run", "--no-such-option"),
            ("connections", "--limit", "x"),
            ("drain", "web"),
        ),
        *(("connections", "--limit", HUGE), ("demo", "--connections", HUGE), ("trace", "--count", "-1")),
        *(("explain", "--frame", HUGE, "--pcap", "x"), ("frame", "decode", "hdlc", "--hex", "00", "--count", HUGE)),
    ],
)
def test_wrong_usage_exits_with_2_and_no_traceback(arguments: tuple[str, ...]) -> None:
    shown = vipd(*arguments)
    assert shown.returncode == 2
    assert "Traceback" not in shown.stderr
    assert "Usage: vipd" in shown.stderr


def test_a_mistyped_command_is_answered_with_the_one_meant() -> None:
    assert "Did you mean 'status'?" in vipd("statsu").stderr


def test_once_and_again_and_again_are_not_asked_for_together() -> None:
    shown = vipd("status", "--json", "--watch")
    assert (shown.returncode, shown.stdout) == (2, "")
    assert "--json prints once" in shown.stderr


@pytest.mark.parametrize("arguments", [("up", "dr", "--name", "a/../b"), ("exec", "--name", "no-lab", "client", "ls")])
def test_a_lab_that_cannot_be_is_refused(arguments: tuple[str, ...]) -> None:
    shown = vipd("lab", *arguments)
    assert shown.returncode == 2
    assert "lab" in shown.stderr


@pytest.mark.parametrize("name", ["../../etc", "a/b", "", ".", "a b", "x" * 65, "$(id)", "a;b", "a\nb", "-a", "a.b"])
def test_a_name_that_could_lead_elsewhere_is_no_instance(name: str) -> None:
    shown = vipd(f"--instance={name}", "status")
    assert shown.returncode == 2
    assert "cannot name an instance" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_the_environment_names_the_instance_too() -> None:
    assert "'.' cannot name an instance" in vipd("status", VIPD_INSTANCE=".").stderr


@pytest.mark.parametrize("arguments", [("reload",), ("drain", "web", "10.0.0.1"), ("undrain", "web", "10.0.0.1")])
def test_without_a_daemon_the_command_says_so_and_fails(arguments: tuple[str, ...]) -> None:
    shown = vipd("--instance", f"none-{os.getpid()}", *arguments)
    assert shown.returncode == 1
    assert shown.stderr.startswith("vipd: vipd does not run for instance")
    assert len(shown.stderr.splitlines()) == 1


@pytest.mark.root
@pytest.mark.parametrize("arguments", [("status",), ("status", "--json"), ("connections",)])
def test_where_nothing_is_forwarded_looking_says_so_and_fails(arguments: tuple[str, ...]) -> None:
    shown = vipd("--instance", f"none-{os.getpid()}", *arguments)
    assert shown.returncode == 1
    assert "vipd does not run for instance" in shown.stderr
    assert shown.stdout == ""


@pytest.mark.root
def test_down_with_nothing_to_remove_is_no_failure() -> None:
    shown = vipd("--instance", f"none-{os.getpid()}", "down")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "nothing to remove" in shown.stdout


def test_every_mistake_of_a_file_is_told_with_its_place(tmp_path: Path) -> None:
    config = tmp_path / "vipd.yaml"
    config.write_text("interfaces: [eth0]\nservices: {web: {listen: x, method: dr, servers: [y]}}\n")
    shown = vipd("run", "-c", str(config))
    assert shown.returncode == 2
    assert len([line for line in shown.stderr.splitlines() if line.startswith(f"{config}:2:")]) == 2
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize("name", ["missing.yaml", "$(touch pwned).yaml", "a;touch pwned", "new\nline.yaml", "x" * 255])
def test_a_file_that_cannot_be_read_is_told_by_its_name(tmp_path: Path, name: str) -> None:
    shown = vipd("run", "-c", str(tmp_path / name))
    assert shown.returncode == 2
    assert "cannot be read" in shown.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "value",
    ["eth0; touch pwned", "$(touch pwned)", "`touch pwned`", "eth0\\ntouch pwned", "../../etc/passwd", "x" * 10_000],
)
def test_a_name_with_a_shells_words_in_it_is_refused(tmp_path: Path, value: str) -> None:
    config = tmp_path / "vipd.yaml"
    config.write_text(f'interfaces: ["{value}"]\nservices: {{}}\n')
    shown = vipd("run", "-c", str(config))
    assert shown.returncode == 2
    assert "interfaces[0]" in shown.stderr
    assert not (tmp_path / "pwned").exists()
    assert not Path("pwned").exists()


def test_a_mistake_of_our_own_is_one_line_and_a_traceback_on_demand() -> None:
    program = "import vipd.cli.app as a\na.app = lambda **_: 1 / 0\nfrom vipd.cli.main import main\nmain()\n"
    for debug, expected in (("", False), ("1", True)):
        env = {**os.environ, "VIPD_DEBUG": debug}
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=env)
        assert done.returncode == 1
        assert ("Traceback" in done.stderr) == expected
        assert "ZeroDivisionError" in done.stderr


def test_a_reader_that_has_enough_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    program = (
        "import vipd.cli.app as a\na.app = lambda **_: print('x' * 100_000)\nfrom vipd.cli.main import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.stderr == ""


def closed(number: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ("sh", "-c", f'exec "$@" {number}>&-', "sh", *VIPD, *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_demo_does_not_begin_where_its_result_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for option, place in (("--json", tmp_path), ("--json", tmp_path / "file/x"), ("--pcap", tmp_path / "file")):
        shown = vipd("demo", option, str(place))
        assert (shown.returncode, shown.stdout) == (2, "")
        assert shown.stderr.startswith(f"{option}: ")


def test_a_stream_that_is_closed_is_nobodys_mistake() -> None:
    nothing = closed(0, "frame", "decode", "hdlc", "-")
    assert (nothing.returncode, nothing.stderr) == (2, "standard input: it is empty\n")
    assert (closed(1, "frame", "encode", "hdlc").returncode, closed(1, "frame", "encode", "hdlc").stderr) == (0, "")
    refused = closed(2, "frame", "decode", "hdlc", "--hex", "z")
    assert (refused.returncode, refused.stdout) == (2, "")


@pytest.mark.parametrize("arguments", [("frame", "encode", "hdlc"), ("--version",), ("simulate", "--help")])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_cannot_be_written_is_told_without_a_number(arguments: tuple[str, ...], unbuffered: str) -> None:
    with Path("/dev/full").open("w") as full:
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        command = [*VIPD, *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (1, "vipd: No space left on device\n")


def test_a_wrong_choice_is_told_in_our_words() -> None:
    assert "Invalid value for '--fcs': '17' is not one of" in vipd("frame", "decode", "hdlc", "--fcs", "17").stderr


def test_to_look_at_packets_loads_no_daemon() -> None:
    program = (
        "import sys\nimport vipd.cli.trace, vipd.cli.trace_view, vipd.daemon.tracing\n"
        "import vipd.cli.explaining, vipd.cli.replaying, vipd.cli.frame.looking\n"
        "slow = {'httpx', 'matplotlib', 'pyroute2', 'scapy', 'starlette', 'uvicorn'} & sys.modules.keys()\n"
        "sys.exit(f'imported: {slow}' if slow else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_ctrl_c_exits_with_130() -> None:
    program = (
        "import os, signal\nimport vipd.cli.app as a\n"
        "a.app = lambda **_: os.kill(os.getpid(), signal.SIGINT)\nfrom vipd.cli.main import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("vipd st", "status"),
        ("vipd dr", "drain"),
        ("vipd real", "real-server"),
        ("vipd run --con", "--config"),
        ("vipd lab up d", "dr"),
    ],
)
def test_the_shell_completes(typed: str, expected: str) -> None:
    words = typed.split()
    shown = vipd(
        _VIPD_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=str(len(words) - 1), _TYPER_COMPLETE_ARGS=typed
    )
    assert expected in shown.stdout.split()
