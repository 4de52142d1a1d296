"""Starting: everything in force at once, or a clear refusal and nothing changed."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.daemon.conftest import BOTH, VIP4, VIP6, Write
from tests.support.lan import PASS, Lan, eventually

pytestmark = pytest.mark.root


def test_it_says_what_it_does_and_shows_what_it_has(lan: Lan, config: Path) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        shown = lan.status()
    (service,) = shown["services"]
    assert (shown["instance"], shown["pid"]) == (lan.instance.name, daemon.process.pid)
    assert shown["interfaces"] == [{"name": "eth0", "mode": "native"}, {"name": "eth1", "mode": "native"}]
    assert shown["connections"] == {"used": 0, "limit": 10000}
    assert (service["name"], service["listen"], service["scheduler"]) == ("web", [f"{VIP4}:80/tcp"], "rr")
    first, second = service["servers"]
    assert (first["address"], first["method"], first["weight"], first["egress"]) == ("10.0.0.2", "nat", 1, "on_link")
    assert (second["address"], second["weight"], second["drained"], second["active"]) == ("10.0.0.3", 2, False, 0)
    assert shown["problems"] == []
    assert "eth0: attached native" in daemon.log
    assert f"claiming VIP {VIP4} on eth0" in daemon.log


def test_vips_of_both_families_are_answered_for(lan: Lan, write: Write) -> None:
    with lan.daemon(write(more=BOTH)) as daemon:
        daemon.ready()
        assert f"{VIP4}/32" in lan.director.addresses("eth0")
        assert f"{VIP6}/128" in lan.director.addresses("eth0")
        lan.client.run("ping", "-c1", "-W2", VIP4)
        lan.client.run("ping", "-c1", "-W2", VIP6)
        assert lan.director.mac("eth0") in lan.client.ip("neigh", "show", VIP4)


def test_it_keeps_three_capabilities(lan: Lan, config: Path) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        found = []
        for task in Path(f"/proc/{daemon.process.pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
                status = (task / "status").read_text()
                found += re.findall(r"^Cap(?:Prm|Eff|Bnd):\t(\w+)$", status, re.MULTILINE)
        assert {int(each, 16) for each in found} == {1 << 39 | 1 << 12 | 1 << 13}


def refused(lan: Lan, config: Path) -> str:
    """What it says; the machine is as it was."""
    before = lan.director.snapshot()
    with lan.daemon(config) as daemon:
        said = daemon.refused()
    assert lan.director.snapshot() == before
    assert not lan.instance.pins.exists()
    assert not lan.instance.directory.exists()
    assert "Traceback" not in said
    return said


def test_an_unknown_interface_is_refused_at_its_place(lan: Lan, config: Path) -> None:
    config.write_text(config.read_text().replace("[eth0, eth1]", "[eth0, eth9]"))
    said = refused(lan, config)
    assert f"{config}:2:20: interfaces[1]: there is no interface 'eth9' here" in said
    assert "eth0, eth1" in said


def test_the_loopback_is_refused(lan: Lan, config: Path) -> None:
    config.write_text(config.read_text().replace("[eth0, eth1]", "[eth0, lo]"))
    assert "interfaces[1]: lo is neither an Ethernet interface nor a tun or ppp device" in refused(lan, config)


def test_a_program_of_somebody_elses_is_refused_and_left_there(lan: Lan, config: Path) -> None:
    lan.director.ip("link", "set", "dev", "eth1", "xdp", "obj", str(PASS), "sec", "xdp.frags")
    assert "eth1 has an XDP program of somebody else's" in refused(lan, config)


def test_a_direct_routing_server_behind_a_router_is_refused_with_what_would_work(lan: Lan, write: Write) -> None:
    lan.director.ip("route", "add", "198.51.100.0/24", "via", "10.0.0.2")
    said = refused(lan, write(f"[{VIP4}:80/tcp]", "[{address: 198.51.100.1, method: dr}]"))
    assert "services.web.servers[0]" in said
    assert "nat and tun would work" in said


@pytest.mark.parametrize("vip", [VIP4, VIP6])
def test_a_vip_that_another_machine_answers_for_is_refused_with_its_mac(lan: Lan, write: Write, vip: str) -> None:
    length = "/64" if ":" in vip else "/24"
    lan.client.ip("addr", "add", vip + length, "dev", "eth0", *(["nodad"] if ":" in vip else []))
    said = refused(lan, write(more=BOTH))
    assert f"VIP {vip} on eth0 is answered for by {lan.client.mac('eth0')} too" in said


def test_a_table_that_does_not_fit_is_refused(lan: Lan, config: Path, tmp_path: Path) -> None:
    # What the daemon, and it alone, reads of this machine's memory.
    little = tmp_path / "meminfo"
    little.write_text("MemTotal: 20000 kB\nMemAvailable: 10000 kB\n")
    before = lan.director.snapshot()
    script = 'mount --bind "$0" /proc/meminfo && exec "$@"'
    command = ("unshare", "--mount", "sh", "-c", script, str(little), *lan.command("run", "-c", str(config)))
    done = lan.director.run(*command, check=False)
    assert done.returncode in (1, 2)
    assert "MiB of memory and 9 MiB are available" in done.stderr
    assert lan.director.snapshot() == before
    assert not lan.instance.pins.exists()


def test_a_second_daemon_is_refused_and_the_first_goes_on(lan: Lan, config: Path) -> None:
    with lan.daemon(config) as first:
        first.ready()
        with lan.daemon(config, log=config.with_suffix(".second")) as second:
            assert f"process {first.process.pid}," in second.refused()
        assert lan.status()["pid"] == first.process.pid


def test_who_lacks_a_capability_is_told_which(config: Path) -> None:
    command = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-all", sys.executable, "-m", "vipd.cli.main", "run"]
    done = subprocess.run([*command, "-c", str(config)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "vipd run needs CAP_NET_ADMIN" in done.stderr


def test_stopped_in_the_middle_of_its_start_it_undoes_what_it_did(lan: Lan, config: Path) -> None:
    before = lan.director.snapshot()
    # A server that does not answer for its MAC holds the start up for a second.
    config.write_text(config.read_text().replace("10.0.0.2", "10.0.0.99"))
    with lan.daemon(config) as daemon:
        eventually(lambda: "setting net/ipv4/conf" in daemon.log)
        assert daemon.end(signal.SIGTERM) == 1
    assert "undone" in daemon.log
    assert lan.director.snapshot() == before
    assert not lan.instance.pins.exists()


@pytest.mark.parametrize("interface", ["eth0", "eth1"])
def test_an_address_that_was_there_before_is_left_as_it_was(lan: Lan, config: Path, interface: str) -> None:
    lan.director.ip("addr", "add", f"{VIP4}/24", "dev", interface, "noprefixroute")
    before = lan.director.snapshot()
    with lan.daemon(config) as daemon:
        daemon.ready()
        (vip,) = lan.status()["vips"]
        assert (vip["interface"], vip["ours"]) == (interface, False)
    lan.down()
    assert lan.director.snapshot() == before


def test_a_vip_beyond_every_prefix_is_on_the_loopback_and_served(lan: Lan, write: Write) -> None:
    with lan.daemon(write("[203.0.113.10:80/tcp]")) as daemon:
        daemon.ready()
        assert "203.0.113.10/32" in lan.director.addresses("lo")
        lan.client.ip("route", "add", "203.0.113.10/32", "via", "192.0.2.1")
        lan.client.run("ping", "-c1", "-W2", "203.0.113.10")
