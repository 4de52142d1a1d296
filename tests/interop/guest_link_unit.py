"""vipd-link@.service, started by systemd on a machine of its own; test_units_qemu.py starts that.

By its name pytest does not find it elsewhere. The machine's two serial ports are each other's other end.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.lan import eventually
from tests.support.links import LOCAL, REMOTE, End
from tests.support.units import Unit, powers, reread
from vipd.api.link import LinkClient
from vipd.model.peer import Peer

pytestmark = pytest.mark.interop

FOLDER: Final = Path("/etc/vipd/link")
NEAR: Final = Peer("near")
CAP_NET_ADMIN: Final = 12
"capabilities(7), its bit."
OURS, THEIRS = "/dev/ttyS1", "/dev/ttyS2"
SECRET: Final = "a word between us"
ECHO: Final = ("--echo-interval", "5")
"Seconds; emulated and on a crowded machine, an end may not answer for three."
DEMANDS: Final = ("--auth", "chap", "--peer-user", "near", *ECHO)
PROOF: Final = {"VIPD_LINK_PEER_SECRET": SECRET}


@pytest.fixture
def far(tmp_path: Path) -> Iterator[End]:
    """The other end: a link that runs in a namespace, by hand; it demands a proof."""
    made = End("far", "b", tmp_path)
    yield made
    made.remove()


@pytest.fixture
def unit() -> Iterator[Unit]:
    made = Unit("vipd-link@near.service")
    yield made
    made("stop")


@pytest.fixture
def kept_by_systemd(unit: Unit) -> Iterator[Path]:
    """The unit's credential, as the unit's process sees it."""
    secret = FOLDER / "near.secrets"
    secret.write_text(f"near '{SECRET}'\n")
    secret.chmod(0o600)
    dropin = Path(f"/run/systemd/system/{unit.name}.d/secret.conf")
    dropin.parent.mkdir(parents=True)
    dropin.write_text(f"[Service]\nLoadCredential=secrets:{secret}\n")
    reread()
    yield Path("/run/credentials", unit.name, "secrets")
    dropin.unlink()
    reread()


def configure(name: str, arguments: str, more: str = "") -> None:
    file = FOLDER / f"{name}.env"
    file.touch(0o600)
    file.write_text(f"ARGUMENTS={arguments}\n{more}\n")


def configure_near(over: str, more: str, environment: str = "") -> None:
    arguments = f"--over {over} --ipv4 {LOCAL}:{REMOTE} --ipv6 --user near {' '.join(ECHO)} {more}"
    configure("near", arguments, environment)


def carries(far: End) -> None:
    """Both families, both ways."""
    far.is_up()

    def both() -> bool:
        with LinkClient(NEAR) as client:
            return {each.local.version for each in client.status().families} == {4, 6}

    eventually(both)
    [[far6, near6]] = [(each.local, each.remote) for each in far.status().families if each.local.version == 6]
    for address in (REMOTE, f"{far6}%{NEAR.name}"):
        done = subprocess.run(ping(address), capture_output=True, text=True, check=False)
        assert " 3 received" in done.stdout, done.stdout + done.stderr
    for address in (LOCAL, f"{near6}%{far.name}"):
        assert " 3 received" in far.host.run(*ping(address), check=False).stdout


def ping(address: str) -> tuple[str, ...]:
    return "ping", address, "-c", "3", "-l", "3", "-i", "20", "-W", "20"


def devices() -> set[str]:
    shown = subprocess.run(["ip", "-j", "link"], capture_output=True, text=True, check=True).stdout
    return {each["ifname"] for each in json.loads(shown)}


def test_over_a_pseudo_terminal_it_comes_back_when_killed_and_stopped_leaves_nothing(
    far: End, unit: Unit, kept_by_systemd: Path
) -> None:
    before = devices()
    configure_near("pty", f"--secrets {kept_by_systemd}")
    unit.is_running()
    far.carry(f"serial:{NEAR.pty}", *DEMANDS, environment=PROOF)
    found = powers(unit.process_id)
    assert int(found["CapEff"], 16) == int(found["CapPrm"], 16) == 1 << CAP_NET_ADMIN
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    carries(far)
    unit.is_killed_and_comes_back()
    far.says(": up, ", 4)
    carries(far)
    unit.is_stopped()
    assert "WARNING" not in unit.journal
    assert SECRET not in unit.journal
    assert devices() == before
    assert not NEAR.directory.exists()


def test_over_a_serial_line_it_carries_again_when_the_peer_comes_back(far: End, unit: Unit) -> None:
    configure_near(f"serial:{OURS},115200", "", f"VIPD_LINK_SECRET={SECRET}")
    far.carry(f"serial:{THEIRS},115200", *DEMANDS, environment=PROOF)
    unit.is_running()
    process_id = unit.process_id
    carries(far)
    far.end(signal.SIGKILL)
    unit.says("IPv4 down")
    far.carry(f"serial:{THEIRS},115200", *DEMANDS, environment=PROOF)
    far.says(": up, ", 4)
    carries(far)
    assert (unit.process_id, unit.shows("NRestarts")) == (process_id, "0")
    assert SECRET not in unit.journal
    assert SECRET not in Path(f"/proc/{process_id}/cmdline").read_text()


def test_a_mistake_is_told_and_not_tried_again() -> None:
    configure("wrong", "--over pty --ipv4 : --user near")
    assert "VIPD_LINK_SECRET is not set" in Unit("vipd-link@wrong.service").has_failed(2)


def test_a_file_that_is_missing_is_named() -> None:
    unit = Unit("vipd-link@nowhere.service")
    assert not unit("start")
    assert "/etc/vipd/link/nowhere.env" in unit.journal
    assert unit.shows("NRestarts") == "0"
