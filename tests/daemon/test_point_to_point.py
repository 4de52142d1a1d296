"""Links without Ethernet: taken, shown, refused where they cannot do, followed as they come and go."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from tests.daemon.conftest import VIP4, VIP6
from tests.support.lan import SOON, Lan, eventually
from tests.support.tun import Tun
from vipd.dataplane import links
from vipd.dataplane.libbpf import lib
from vipd.dataplane.program import Program

pytestmark = pytest.mark.root

FAR: Final = {4: "10.1.1.2", 6: "2001:db8:11::2"}
BEYOND: Final = "10.1.9.9"
CONFIG: Final = """\
connections: 10000
interfaces: [eth0, eth1, line0]
services:
  web:
    listen: 192.0.2.10:80/tcp
    method: nat
    servers: [10.0.0.2, 10.1.1.2, 10.1.9.9, 10.0.0.1]
  web6:
    listen: "[2001:db8:1::10]:80/tcp"
    method: tun
    servers: ["2001:db8:11::2"]
"""


class Line:
    """The director's end of a line, which may go and come."""

    def __init__(self, lan: Lan, stack: ExitStack) -> None:
        self._lan, self._stack = lan, stack
        self.lay()

    def lay(self) -> None:
        self.tun = self._stack.enter_context(self._lan.director.inside(lambda: Tun("line0")))
        for address in ("10.1.1.1/30", "2001:db8:11::1/64"):
            extra = ["nodad"] if ":" in address else []
            self._lan.director.ip("addr", "add", address, "dev", "line0", *extra)
        self._lan.director.ip("link", "set", "dev", "line0", "up")
        self._lan.director.ip("route", "add", f"{BEYOND}/32", "via", FAR[4], "dev", "line0")


@pytest.fixture
def line(lan: Lan) -> Iterator[Line]:
    with ExitStack() as stack:
        yield Line(lan, stack)


laid: Final = pytest.mark.usefixtures("line")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "vipd.yaml"
    path.write_text(CONFIG)
    return path


def program_on(lan: Lan, interface: str) -> str:
    """The name of the XDP program there, as far as the kernel keeps it; empty for none."""
    shown = json.loads(lan.director.ip("-j", "link", "show", "dev", interface))[0].get("xdp")
    if shown is None:
        return ""
    found = Program(lib().bpf_prog_get_fd_by_id(shown["prog"]["id"]), owned=True)
    try:
        return found.name
    finally:
        found.close()


def servers(lan: Lan) -> dict[str, dict[str, Any]]:
    return {each["address"]: each for service in lan.status()["services"] for each in service["servers"]}


def check(lan: Lan, config: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return lan.vipd("check", str(config), *options)


def is_attached(lan: Lan) -> bool:
    try:
        return program_on(lan, "line0") == links.POINT_TO_POINT[:15]
    except subprocess.CalledProcessError:
        return False  # not there yet


@laid
def test_each_interface_has_the_program_for_its_kind(lan: Lan, config: Path) -> None:
    before = lan.director.snapshot()
    with lan.daemon(config) as daemon:
        daemon.ready()
        assert {name: program_on(lan, name) for name in ("eth0", "eth1", "line0")} == {
            "eth0": "director",
            "eth1": "director",
            "line0": links.POINT_TO_POINT[:15],
        }
        assert "line0: attached " in daemon.log
        assert lan.director.run("sysctl", "-n", "net.ipv4.conf.line0.forwarding").stdout == "1\n"
        # Nobody to resolve there, not even the gateway.
        assert "managed" not in lan.director.ip("neigh", "show", "dev", "line0", "nud", "all")
        assert "does not answer for its MAC" not in daemon.log
        assert lan.vipd("down").returncode == 0
    assert lan.director.snapshot() == before


@laid
def test_the_kind_of_each_path_is_shown(lan: Lan, config: Path) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        kinds = {address: server["egress"] for address, server in servers(lan).items()}
        assert kinds == {
            "10.0.0.2": "on_link",
            FAR[4]: "point_to_point",
            BEYOND: "point_to_point",
            "10.0.0.1": "local",
            FAR[6]: "point_to_point",
        }
        shown = lan.vipd("status").stdout
        assert "PATH" in shown
        assert "point_to_point" in shown


@laid
def test_check_tells_the_kinds_without_a_start(lan: Lan, config: Path) -> None:
    before = lan.director.snapshot()
    shown = check(lan, config)
    assert shown.returncode == 0, shown.stderr
    assert "3 servers behind a point-to-point link, by line0" in shown.stdout
    assert "1 server on an Ethernet segment, by eth1" in shown.stdout
    told = json.loads(check(lan, config, "--json").stdout)["machine"]
    assert told["compared"]
    assert told["servers"][BEYOND] == {"egress": "point_to_point", "interface": "line0"}
    assert lan.director.snapshot() == before


@pytest.mark.parametrize("family", [4, 6])
@laid
def test_direct_routing_over_a_line_is_refused_with_what_would_work(lan: Lan, config: Path, family: int) -> None:
    text = config.read_text().replace("method: nat", "method: dr").replace(", 10.1.9.9, 10.0.0.1", "")
    config.write_text(text if family == 4 else CONFIG.replace("method: tun", "method: dr"))
    place = {4: "services.web.servers[1]", 6: "services.web6.servers[0]"}[family]
    told = (
        f"{place}: {FAR[family]} is behind a point-to-point link, which has no MAC addresses; "
        "dr needs a server on a directly connected Ethernet segment, here nat and tun would work"
    )
    shown = check(lan, config)
    assert (shown.returncode, told in shown.stderr) == (2, True), shown.stderr
    with lan.daemon(config) as daemon:
        assert told in daemon.refused()
    # Of the file alone nothing is wrong.
    assert check(lan, config, "--elsewhere").returncode == 0


@laid
def test_a_reload_to_direct_routing_over_a_line_is_refused_and_changes_nothing(lan: Lan, config: Path) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        config.write_text(CONFIG.replace("method: tun", "method: dr"))
        done = lan.vipd("reload")
        assert (done.returncode, "has no MAC addresses" in done.stderr) == (2, True)
        assert servers(lan)[FAR[6]]["method"] == "tun"


@laid
def test_replies_that_would_not_be_seen_are_warned_of(lan: Lan, config: Path) -> None:
    config.write_text(CONFIG.replace("[eth0, eth1, line0]", "[eth0, eth1]"))
    told = f"{FAR[4]} is reached through line0, which is not among interfaces"
    assert told in check(lan, config).stderr
    with lan.daemon(config) as daemon:
        daemon.ready()
        assert told in daemon.log


@laid
def test_another_kind_of_device_is_refused_with_those_that_can_be(lan: Lan, config: Path) -> None:
    config.write_text(CONFIG.replace("eth1, line0", "lo"))
    told = "interfaces[1]: lo is neither an Ethernet interface nor a tun or ppp device; what can be used: eth0, eth1,"
    assert told in check(lan, config).stderr
    with lan.daemon(config) as daemon:
        assert told in daemon.refused()


def test_a_line_that_was_laid_anew_is_attached_to_soon(lan: Lan, line: Line, config: Path) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        for _ in range(3):
            line.tun.close()
            eventually(lambda: {"name": "line0", "mode": "missing"} in lan.status()["interfaces"])
            eventually(lambda: servers(lan)[FAR[4]]["egress"] != "point_to_point")
            line.lay()
            began = time.monotonic()
            eventually(lambda: is_attached(lan))
            assert time.monotonic() - began < SOON
            eventually(lambda: servers(lan)[FAR[4]]["egress"] == "point_to_point")
            eventually(lambda: lan.director.run("sysctl", "-n", "net.ipv4.conf.line0.forwarding").stdout == "1\n")
        assert lan.status()["problems"] == []


@laid
def test_a_killed_daemon_leaves_the_line_as_it_is_and_the_next_adopts_it(lan: Lan, config: Path) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        daemon.end(signal.SIGKILL)
    assert is_attached(lan)
    shown = {each["name"] for each in lan.status()["interfaces"]}
    assert shown == {"eth0", "eth1", "line0"}
    with lan.daemon(config) as daemon:
        daemon.ready()
        assert is_attached(lan)
        assert "adopted the state" in daemon.log


def test_a_vip_on_the_line_waits_for_it_and_is_there_again_with_it(lan: Lan, line: Line, config: Path) -> None:
    config.write_text(CONFIG + f'vips:\n  {VIP4}: {{interface: line0}}\n  "{VIP6}": {{interface: line0}}\n')

    def is_there() -> bool:
        return {f"{VIP4}/32", f"{VIP6}/128"} <= lan.director.addresses("line0")

    with lan.daemon(config) as daemon:
        daemon.ready()
        assert is_there()
        line.tun.close()
        eventually(lambda: f"VIP {VIP4}: there is no interface 'line0' here; it waits for it" in daemon.log)
        # All else goes on meanwhile.
        lan.director.ip("link", "del", "eth1")
        lan.connect("eth1", lan.server)
        eventually(lambda: program_on(lan, "eth1") == "director")
        line.lay()
        eventually(is_there)
        eventually(lambda: lan.status()["problems"] == [])


def test_a_reload_goes_on_while_a_link_is_down_but_knows_no_other_that_is_missing(
    lan: Lan, line: Line, config: Path
) -> None:
    config.write_text(CONFIG + f"vips:\n  {VIP4}: {{interface: line0}}\n")
    with lan.daemon(config) as daemon:
        daemon.ready()
        line.tun.close()
        missing = "interface line0 is not there; it is attached to as soon as it is back"
        eventually(lambda: missing in lan.status()["problems"])
        config.write_text(config.read_text().replace("10.0.0.2,", "{address: 10.0.0.2, weight: 7},"))
        assert lan.vipd("reload").returncode == 0
        assert servers(lan)["10.0.0.2"]["weight"] == 7
        assert missing in lan.status()["problems"]
        config.write_text(config.read_text().replace("[eth0,", "[line9, eth0,"))
        refused = lan.vipd("reload")
        assert (refused.returncode, "there is no interface 'line9' here" in refused.stderr) == (2, True)
        line.lay()
        eventually(lambda: is_attached(lan))
        eventually(lambda: lan.status()["problems"] == [])


def test_a_killed_daemon_starts_again_while_a_link_is_down_and_waits_for_it(lan: Lan, line: Line, config: Path) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        daemon.process.send_signal(signal.SIGKILL)
        daemon.process.wait()
    line.tun.close()
    with lan.daemon(config) as daemon:
        daemon.ready()
        assert "adopted the state" in daemon.log
        assert lan.status()["problems"] == ["interface line0 is not there; it is attached to as soon as it is back"]
        line.lay()
        eventually(lambda: is_attached(lan))
        eventually(lambda: lan.status()["problems"] == [])


def test_direct_routing_to_a_server_whose_link_is_down_is_refused_all_the_same(
    lan: Lan, line: Line, config: Path
) -> None:
    with lan.daemon(config) as daemon:
        daemon.ready()
        line.tun.close()
        eventually(lambda: lan.status()["problems"] != [])
        lan.director.ip("route", "add", FAR[4], "via", "10.0.0.2")
        config.write_text(CONFIG.replace("method: nat\n    servers: [10.0.0.2, ", "method: dr\n    servers: ["))
        refused = lan.vipd("reload")
        assert refused.returncode == 2
        assert f"{config}:7:15: services.web.servers[0]: {FAR[4]} is " in refused.stderr


@laid
def test_a_way_that_becomes_one_without_ethernet_is_told_while_direct_routing_uses_it(lan: Lan, config: Path) -> None:
    config.write_text(CONFIG.replace("method: nat\n    servers: [10.0.0.2, 10.1.1.2, 10.1.9.9, 10.0.0.1]",
                                     "method: dr\n    servers: [10.0.0.2, 10.0.0.3]"))  # fmt: skip
    told = "10.0.0.2 is behind a point-to-point link, which has no MAC addresses"
    with lan.daemon(config) as daemon:
        daemon.ready()
        assert lan.status()["problems"] == []
        lan.director.ip("route", "add", "10.0.0.2/31", "via", FAR[4], "dev", "line0")
        eventually(lambda: any(told in text for text in lan.status()["problems"]))
        [problem] = lan.status()["problems"]
        assert problem.startswith("services.web.servers[0]: 10.0.0.2 is ")
        assert problem.endswith("here nat and tun would work (and 1 more of this service)")
        lan.director.ip("route", "del", "10.0.0.2/31")
        eventually(lambda: lan.status()["problems"] == [])


@laid
def test_a_vip_whose_interface_is_not_there_is_refused_at_its_place(lan: Lan, config: Path) -> None:
    config.write_text(CONFIG + f"vips:\n  {VIP4}: {{interface: line9}}\n")
    told = f"vips.{VIP4}.interface: there is no interface 'line9' here"
    assert told in check(lan, config).stderr
    with lan.daemon(config) as daemon:
        assert told in daemon.refused()


def reverse_path(lan: Lan) -> dict[str, str]:
    names = ("all", "default", "eth0", "eth1", "line0", "lo")
    return {name: lan.director.run("sysctl", "-n", f"net.ipv4.conf.{name}.rp_filter").stdout.strip() for name in names}


@pytest.mark.parametrize("default_route", [True, False])
def test_tunnels_of_the_kernels_pass_its_reverse_path_check(
    lan: Lan, line: Line, config: Path, default_route: bool
) -> None:
    every = "10.0.0.2, 10.1.1.2, 10.1.9.9, 10.0.0.1"
    config.write_text(CONFIG.replace("method: nat", "method: tun").replace(every, FAR[4]))
    lan.director.run("sysctl", "-w", "net.ipv4.conf.all.rp_filter=1", "net.ipv4.conf.eth0.rp_filter=2")
    if default_route:
        lan.director.ip("route", "add", "default", "via", "192.0.2.2")
    before = reverse_path(lan)
    with lan.daemon(config) as daemon:
        daemon.ready()
        loose = {"all": "1", "eth0": "2", "eth1": "2", "line0": "2"}
        unchecked = {"all": "0", "eth0": "0", "eth1": "0", "line0": "0", "default": "1", "lo": "1"}
        assert reverse_path(lan) == before | (loose if default_route else unchecked)
        assert a_tunnel_comes_out(lan, line)
        assert lan.vipd("down").returncode == 0
    assert reverse_path(lan) == before


def a_tunnel_comes_out(lan: Lan, line: Line) -> bool:
    """A client's first segment, in a packet from an address that nobody has."""

    def begin() -> socket.socket:
        made = socket.socket()
        made.setblocking(False)
        made.connect_ex((VIP4, 80))
        return made

    with lan.client.inside(begin):
        while True:
            packet = line.tun.receive()
            if packet[0] >> 4 == 4 and packet[9] == socket.IPPROTO_IPIP:
                return packet[12:14] == bytes([172, 16])
