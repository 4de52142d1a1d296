"""vipd@.service, started by systemd on a machine of its own; test_units_qemu.py starts that.

By its name pytest does not find it elsewhere. A start takes long there: who needs the unit running
uses the one that runs.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.daemon.conftest import CONFIG, VIP4, Write, answers
from tests.support.lan import DEADLINE, Host, Lan
from tests.support.units import Unit, powers
from vipd.api.client import Client
from vipd.model.instance import Instance

pytestmark = pytest.mark.interop

Connect = Callable[[], socket.socket]
FOLDER: Final = Path("/etc/vipd")
KEPT: Final = {"cap_net_admin": 12, "cap_net_raw": 13, "cap_bpf": 39}
"capabilities(7), by their bits."


class Machine(Lan):
    """Its director is the machine itself, which has no other devices."""

    def __init__(self) -> None:
        super().__init__()
        self.instance, self.director = Instance("main"), Host("machine")

    def make(self, host: Host) -> None:
        if host is self.director:
            subprocess.run(["ip", "netns", "attach", host.name, "1"], check=True)
        else:
            super().make(host)

    def command(self, *arguments: str) -> tuple[str, ...]:
        return "vipd", "--instance", self.instance.name, *arguments

    def vipd(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, check=False, timeout=DEADLINE)


@pytest.fixture(scope="module")
def lan() -> Iterator[Lan]:
    with Machine() as made:
        yield made


@pytest.fixture(scope="module")
def untouched(lan: Lan) -> dict[str, Any]:
    """The machine before vipd first ran."""
    return lan.director.snapshot()


@pytest.fixture
def write() -> Write:
    def to_file(listen: str = f"[{VIP4}:80/tcp]", servers: str = "[10.0.0.2]", more: str = "") -> Path:
        path = FOLDER / "main.yaml"
        path.write_text(CONFIG.format(listen=listen, servers=servers) + more)
        return path

    return to_file


@pytest.fixture
def unit(untouched: dict[str, Any], config: Path) -> Unit:
    assert untouched
    assert config.parent == FOLDER
    made = Unit("vipd@main.service")
    made.is_running()
    return made


def weights() -> list[int]:
    with Client(Instance("main")) as client:
        return [server.weight for server in client.status().services[0].servers]


def test_it_forwards_and_has_no_more_than_it_needs(unit: Unit, echo: Connect) -> None:
    assert answers(echo())
    assert unit.journal.count("attached native") == 2
    assert "WARNING" not in unit.journal
    found = powers(unit.process_id)
    assert int(found["CapEff"], 16) == int(found["CapPrm"], 16) == sum(1 << bit for bit in KEPT.values())
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    assert unit.processes == [unit.process_id]


def test_a_reload_applies_the_changed_file_or_says_what_is_wrong(unit: Unit, config: Path, echo: Connect) -> None:
    known, process_id = echo(), unit.process_id
    assert answers(known)
    config.write_text(config.read_text().replace("weight: 2", "weight: 7"))
    assert unit("reload"), unit.journal
    assert weights() == [1, 7]
    config.write_text(config.read_text().replace("weight: 7", "weight: -7"))
    assert not unit("reload")
    assert f"{config}:8:" in unit.says("services.web.servers[1].weight: -7")
    assert (unit.state, unit.process_id) == (("active", "running"), process_id)
    assert weights() == [1, 7]
    assert answers(known, b"after all that")


def test_killed_it_is_started_again_and_takes_over(unit: Unit, echo: Connect) -> None:
    known = echo()
    assert answers(known)
    unit.is_killed_and_comes_back()
    assert "adopted the state" in unit.journal
    assert answers(known, b"known before")
    assert answers(echo(), b"new")


def test_stopped_it_leaves_forwarding_and_after_down_nothing(
    lan: Lan, untouched: dict[str, Any], unit: Unit, echo: Connect
) -> None:
    known = echo()
    assert answers(known)
    unit.is_stopped()
    assert answers(known, b"nobody runs")
    done = lan.vipd("down")
    assert done.returncode == 0, done.stderr
    assert lan.director.snapshot() == untouched
    assert not any(place.exists() for place in (lan.instance.pins, lan.instance.directory, lan.instance.secret))


@pytest.mark.usefixtures("lan")
def test_a_mistake_is_told_and_not_tried_again() -> None:
    file = FOLDER / "wrong.yaml"
    file.write_text(CONFIG.format(listen=f"[{VIP4}:80/tcp]", servers="[10.0.0.999]"))
    said = Unit("vipd@wrong.service").has_failed(2)
    assert f"{file}:8:" in said
    assert "10.0.0.999" in said


def test_a_file_that_is_missing_is_named() -> None:
    assert "/etc/vipd/nowhere.yaml" in Unit("vipd@nowhere.service").has_failed(2)
