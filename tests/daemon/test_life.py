"""Running: reloads, drains, interfaces that come and go, and every way to end."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.conftest import VIP4, Write, answers
from tests.support.lan import DEADLINE, SOON, Lan, eventually

pytestmark = pytest.mark.root

Connect = Callable[[], socket.socket]


def xdp(lan: Lan, interface: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = json.loads(lan.director.ip("-j", "link", "show", "dev", interface))[0].get("xdp")
    return found


def servers(lan: Lan) -> dict[str, dict[str, Any]]:
    return {each["address"]: each for each in lan.status()["services"][0]["servers"]}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_leaves_forwarding_as_it_is(lan: Lan, config: Path, echo: Connect, number: signal.Signals) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        known = echo()
        assert answers(known)
        assert daemon.end(number) == 0
    assert not lan.instance.socket.exists()
    assert xdp(lan, "eth0") is not None
    assert answers(known, b"still there")
    assert answers(echo(), b"new ones too")
    shown = lan.status()
    assert (shown["pid"], shown["connections"]["used"]) == (None, 2)
    assert "none" not in {each["mode"] for each in shown["interfaces"]}
    listed = lan.vipd("connections", "--json", "--vip", VIP4)
    assert len(json.loads(listed.stdout)) == 2


def test_killed_it_is_adopted_by_the_next(lan: Lan, config: Path, echo: Connect) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        known = echo()
        assert answers(known)
        daemon.end(signal.SIGKILL)
    assert answers(known, b"nobody is there")
    with lan.daemon(config) as daemon:
        daemon.ready()
        assert "adopted the state" in daemon.log
        assert answers(known, b"the next one is there")
        assert sum(each["active"] for each in servers(lan).values()) == 1
        assert lan.status()["vips"][0]["ours"]


def test_with_detach_a_stop_ends_everything(lan: Lan, config: Path) -> None:
    before = lan.director.snapshot()
    with lan.daemon(config, "--detach") as daemon:
        daemon.ready()
        assert daemon.end() == 0
    assert lan.director.snapshot() == before
    assert not lan.instance.pins.exists()


@pytest.mark.parametrize("ended_by", [None, signal.SIGTERM, signal.SIGKILL])
def test_down_leaves_the_machine_as_it_was(lan: Lan, config: Path, ended_by: signal.Signals | None) -> None:
    before = lan.director.snapshot()
    with lan.daemon(config) as daemon:
        daemon.ready()
        assert lan.director.snapshot() != before
        if ended_by is not None:
            daemon.end(ended_by)
        done = lan.vipd("down")
        assert (done.returncode, done.stdout) == (0, "forwarding stopped, everything removed\n"), done.stderr
        assert daemon.process.wait(DEADLINE) in (0, -signal.SIGKILL)
    assert lan.director.snapshot() == before
    assert not lan.instance.pins.exists()
    assert not lan.instance.directory.exists()
    assert not lan.instance.secret.parent.exists()
    assert "managed" not in lan.director.ip("neigh")
    again = lan.vipd("down")
    assert (again.returncode, "nothing to remove" in again.stdout) == (0, True)


def test_a_changed_file_is_applied_and_known_connections_go_on(lan: Lan, config: Path, echo: Connect) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        known = [echo() for _ in range(4)]
        assert all(answers(each) for each in known)
        config.write_text(config.read_text().replace("weight: 2", "weight: 7"))
        done = lan.vipd("reload")
        assert (done.returncode, done.stdout) == (0, "services put or removed: 1; VIPs claimed or released: 0\n")
        assert servers(lan)["10.0.0.3"]["weight"] == 7
        assert all(answers(each, b"after the reload") for each in known)
        assert lan.vipd("reload").stdout == "nothing to change\n"


def test_sighup_is_a_reload(lan: Lan, config: Path) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        config.write_text(config.read_text().replace("weight: 2", "weight: 7"))
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: "reloaded" in daemon.log)
        assert servers(lan)["10.0.0.3"]["weight"] == 7
        config.write_text("interfaces: 7\n")
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: "is refused, the old configuration stays in force" in daemon.log)
        assert servers(lan)["10.0.0.3"]["weight"] == 7


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("weight: 2", "weight: -2", "servers[1].weight"),
        ("[eth0, eth1]", "[eth0, eth9]", "there is no interface 'eth9' here"),
        ("rr", "rrr", "scheduler"),
        ("servers:", "connections: 5000\n    servers:", "unknown key"),
        ("10000", "5000", "cannot change while connections are known"),
    ],
)
def test_a_file_with_a_mistake_is_refused_and_changes_nothing(
    lan: Lan, config: Path, old: str, new: str, expected: str
) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        before = lan.director.snapshot(), servers(lan)
        config.write_text(config.read_text().replace(old, new))
        done = lan.vipd("reload")
        assert done.returncode == 2
        assert f"{config}:" in done.stderr
        assert expected in done.stderr
        after = lan.director.snapshot(), servers(lan)
        assert after[0] == before[0]
        assert [each["weight"] for each in after[1].values()] == [each["weight"] for each in before[1].values()]


def test_a_reload_claims_new_vips_and_releases_old_ones(lan: Lan, write: Write) -> None:
    with lan.daemon(write("[192.0.2.10:80/tcp]", "[10.0.0.2]")) as daemon:
        daemon.ready()
        write("[192.0.2.11:80/tcp]", "[10.0.0.2]")
        assert lan.vipd("reload").returncode == 0
        assert "192.0.2.11/32" in lan.director.addresses("eth0")
        assert "192.0.2.10/32" not in lan.director.addresses("eth0")
        lan.client.ip("addr", "add", "192.0.2.12/32", "dev", "eth0")
        write("[192.0.2.12:80/tcp]", "[10.0.0.2]")
        done = lan.vipd("reload")
        assert done.returncode == 2
        assert lan.client.mac("eth0") in done.stderr
        assert "192.0.2.11/32" in lan.director.addresses("eth0")


def test_a_vip_that_connections_still_use_is_released_after_them(lan: Lan, write: Write, echo: Connect) -> None:
    keep = "    on_server_removed: keep\n"
    with lan.daemon(write(f"[{VIP4}:80/tcp]", "[10.0.0.2]", keep)) as daemon:
        daemon.ready()
        known = echo()
        assert answers(known)
        write("[192.0.2.11:80/tcp]", "[10.0.0.2]", keep)
        assert lan.vipd("reload").returncode == 0
        lan.client.ip("neigh", "flush", "dev", "eth0")
        assert answers(known, b"the VIP is still answered for")


def test_a_drain_outlives_reloads_and_daemons(lan: Lan, config: Path, echo: Connect) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        known = [echo() for _ in range(6)]
        assert all(answers(each) for each in known)
        done = lan.vipd("drain", "web", "10.0.0.3")
        assert (done.returncode, done.stderr) == (0, "")
        before = servers(lan)["10.0.0.3"]
        assert before["active"] > 0
        assert f"known connections: {before['active']}" in done.stdout
        more = [echo() for _ in range(6)]
        assert all(answers(each) for each in (*known, *more))
        after = servers(lan)["10.0.0.3"]
        assert (after["drained"], after["weight"], after["connections"]) == (True, 0, before["connections"])
        assert lan.vipd("reload").returncode == 0
        assert servers(lan)["10.0.0.3"]["drained"]
        daemon.end(signal.SIGKILL)
    with lan.daemon(config) as daemon:
        daemon.ready()
        assert servers(lan)["10.0.0.3"]["drained"]
        assert lan.vipd("undrain", "web", "10.0.0.3").returncode == 0
        assert not servers(lan)["10.0.0.3"]["drained"]


def test_people_see_servers_connections_and_outcomes(lan: Lan, config: Path, echo: Connect) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        known = [echo() for _ in range(3)]
        assert all(answers(each) for each in known)
        shown = lan.vipd("status").stdout
        rows = [line.split() for line in shown.splitlines()]
        assert ["web", "(rr)"] in rows
        counted = {row[0]: row for row in rows if row and row[0] in ("10.0.0.2", "10.0.0.3")}
        assert [row[1:4] for row in counted.values()] == [["nat", "on_link", "1"], ["nat", "on_link", "2"]]
        assert sum(int(row[4]) for row in counted.values()) == 3
        listed = lan.vipd("connections", "--state", "established", "--limit", "2")
        assert listed.stdout.count(f"{VIP4}:80") == 2
        assert "--limit 2 was reached" in listed.stderr
        refused = lan.vipd("connections", "--state", "nonsense")
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "state: 'nonsense' is no state of a connection; allowed is none, established" in refused.stderr
        outcomes = lan.vipd("status", "--outcomes").stdout
        (row,) = [line.split() for line in outcomes.splitlines() if line.startswith("forward_nat ")]
        assert int(row[1]) >= 6
        assert row[2:6] == ["Sent", "to", "a", "real"]
        assert "drop_martian" not in outcomes
        assert re.search(r"^\d+ of 42 never happened$", outcomes, re.MULTILINE)


@pytest.mark.parametrize(
    ("service", "server", "hint"),
    [
        ("wob", "10.0.0.2", "did you mean 'web'?"),
        ("web", "10.0.0.4", "did you mean '10.0.0."),
        ("web", "$(id)", "no server"),
    ],
)
def test_who_cannot_be_drained_is_told_with_a_hint(
    lan: Lan, config: Path, service: str, server: str, hint: str
) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        done = lan.vipd("drain", service, server)
        assert done.returncode == 2
        assert hint in done.stderr


def test_a_program_that_somebody_took_off_is_back_soon(lan: Lan, config: Path, echo: Connect) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        link = lan.instance.pins / f"link_{json.loads(lan.director.ip('-j', 'link', 'show', 'eth0'))[0]['ifindex']}"
        lan.director.run("bpftool", "link", "detach", "pinned", str(link))
        began = time.monotonic()
        eventually(lambda: xdp(lan, "eth0") is not None)
        assert time.monotonic() - began < SOON
        eventually(lambda: "eth0: attached again, native" in daemon.log)
        assert answers(echo())


def test_an_interface_that_was_made_anew_is_attached_to_soon(lan: Lan, config: Path, echo: Connect) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        lan.director.ip("link", "del", "eth0")
        eventually(lambda: "interface eth0 is not there" in daemon.log)
        assert lan.status()["interfaces"][0] == {"name": "eth0", "mode": "missing"}
        lan.connect("eth0", lan.client)
        began = time.monotonic()
        eventually(lambda: xdp(lan, "eth0") is not None)
        assert time.monotonic() - began < SOON
        lan.client.ip("addr", "add", "192.0.2.2/24", "dev", "eth0")
        lan.director.ip("addr", "add", "192.0.2.1/24", "dev", "eth0")
        eventually(lambda: f"{VIP4}/32" in lan.director.addresses("eth0"))
        assert lan.status()["problems"] == []
        assert answers(echo())


def test_a_vip_that_somebody_took_away_is_put_back(lan: Lan, config: Path) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        lan.director.ip("addr", "del", f"{VIP4}/32", "dev", "eth0")
        eventually(lambda: f"{VIP4}/32" in lan.director.addresses("eth0"))


def test_a_machine_that_takes_our_vip_is_told_in_log_and_status(lan: Lan, config: Path) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        lan.client.run("sysctl", "-w", "net.ipv4.conf.eth0.arp_notify=1")
        lan.client.ip("link", "set", "dev", "eth0", "down")
        lan.client.ip("addr", "add", f"{VIP4}/32", "dev", "eth0")
        lan.client.ip("link", "set", "dev", "eth0", "up")  # announces its addresses
        mac = lan.client.mac("eth0")
        eventually(lambda: lan.status()["vips"][0]["conflicts"] == [mac])
        assert f"{VIP4} on eth0 is answered for by {mac} too" in daemon.log


def test_a_changed_mac_is_followed(lan: Lan, config: Path, echo: Connect) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        lan.director.ip("link", "set", "dev", "eth0", "address", "02:00:00:00:12:34")
        lan.client.ip("neigh", "flush", "dev", "eth0")

        def served() -> bool:
            try:
                return answers(echo())
            except OSError:
                return False  # to another MAC than the director's it went to the kernel, where nobody listens

        eventually(served)


def test_garbage_in_the_state_file_is_told_and_the_run_goes_on(lan: Lan, config: Path) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        daemon.end(signal.SIGKILL)
    lan.instance.ledger.write_bytes(b"\0garbage")
    with lan.daemon(config) as daemon:
        daemon.ready()
        assert "cannot be used" in daemon.log
        assert not lan.status()["vips"][0]["ours"]
    lan.down()
    lan.director.ip("addr", "del", f"{VIP4}/32", "dev", "eth0")
