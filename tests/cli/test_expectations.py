"""`vipd test`: expectations that hold, that do not, and files that are wrong."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.support.scenes import SECRET, SERVICES
from vipd.cli.app import app
from vipd.errors import ConfigError
from vipd.explain.expectation import fits

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples" / "expectations").glob("*.yaml"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vipd.yaml").write_text(SERVICES)
    return tmp_path


def run(folder: Path, *expect: str, top: str = "config: vipd.yaml", options: tuple[str, ...] = ()) -> Result:
    file = folder / "expect.yaml"
    file.write_text("\n".join([top, "expect:", *(f"  - {each}" for each in expect)]) + "\n")
    return CliRunner().invoke(app, ["test", str(file), *options])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_hold(path: Path) -> None:
    result = CliRunner().invoke(app, ["test", str(path)])
    assert result.exit_code == 0, result.output


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize(
    ("holds", "fails"),
    [
        ("{from: 203.0.113.7:4711, to: web, server: 10.0.0.11, method: dr}", "{to: web, server: 10.0.0.12}"),
        ("{to: shop, server: 10.0.0.11:8080}", "{to: shop, server: 10.0.0.11:80}"),
        ('{from: "2001:db8::7", to: shop6, server: "[2001:db8:1::11]:8080"}', "{to: shop6, server: none}"),
        ("{to: 192.0.2.10:443/tcp, service: web}", "{to: 192.0.2.10:443/tcp, service: shop}"),
        ("{to: 192.0.2.10:443/tcp, service: 192.0.2.10:443/tcp}", "{to: 192.0.2.10:81/tcp, service: web}"),
        ("{to: dns, method: [nat, tun]}", "{to: dns, method: [nat, dr]}"),
        ("{to: dns, outcome: forward_*}", "{to: dns, outcome: drop_*}"),
        ("{to: dns, payload: 1453, outcome: reply_too_big}", "{to: dns, payload: 1452, outcome: reply_too_big}"),
        ("{to: web, drained: [web 10.0.0.11], server: 10.0.0.12}", "{to: web, drained: [], server: 10.0.0.12}"),
        ("{to: shop, drained: shop 10.0.0.11, server: 10.0.0.12}", "{to: shop, drained: web 10.0.0.11, server: none}"),
        ("{to: web, flags: [SYN, ACK], connection: known}", "{to: web, flags: SYN, connection: known}"),
        ('{to: shop, flags: [SYN, "reply:SYN+ACK"], out: eth0}', "{to: shop, out: eth0}"),
        ("{to: 192.0.2.10:22/tcp, out: kernel}", "{to: web, out: kernel}"),
        ("{to: 192.0.2.99:22/tcp, server: none, service: none}", "{to: idle, service: none}"),
    ],
)
def test_what_holds_holds_and_what_does_not_does_not(folder: Path, holds: str, fails: str) -> None:
    assert run(folder, holds).exit_code == 0
    assert run(folder, fails).exit_code == 1


def test_a_failure_tells_the_line_what_came_instead_why_and_where_to_read_on(folder: Path) -> None:
    result = run(folder, "{to: web, server: 10.0.0.11}", "{from: 203.0.113.7:4711, to: web, server: 10.0.0.12}")
    assert result.exit_code == 1
    first, *others, last = result.stdout.splitlines()
    assert first == f"{folder}/expect.yaml:4: 203.0.113.7:4711 to web"
    assert others[0] == "    server: got 10.0.0.11, want 10.0.0.12"
    assert "    because wlc: 10.0.0.11 has the least for its weight, and stands first of those" in others
    assert others[-1] == f"    more: vipd explain -c {folder}/vipd.yaml --from 203.0.113.7:4711 --to web"
    assert last == "1 of 2 expectations held"


@pytest.mark.parametrize(
    ("expect", "top"),
    [
        ("{from: 203.0.113.9:5, to: web, flags: [SYN, ACK], ttl: 1, server: none}", ""),
        ("{to: shop, ttl: 1, server: none, outcome: forward_nat}", ""),
        ("{to: shop, payload: 1380, server: none, outcome: forward_nat}", "mtu: 1400\n"),
        ("{from: 203.0.113.9:5, to: dns, server: none}", "secret: secret\n"),
        ("{to: shop, interface: eth1, out: none}", ""),
        ("{to: web, drained: [web 10.0.0.11], server: 10.0.0.11}", ""),
    ],
)
def test_the_command_that_tells_more_is_about_the_same_packet(folder: Path, expect: str, top: str) -> None:
    (folder / "secret").write_bytes(SECRET)
    result = run(folder, expect, top=f"{top}config: vipd.yaml", options=("--json",))
    [failed] = json.loads(result.stdout)["expectations"]
    [more] = re.findall("    more: vipd (.*)", run(folder, expect, top=f"{top}config: vipd.yaml").stdout)
    told = json.loads(CliRunner().invoke(app, [*shlex.split(more), "--json"]).stdout)["packets"][-1]
    assert told["outcome"] == failed["outcome"]
    assert told["interface"] == ("eth1" if "interface" in expect else "eth0")
    servers = {each["got"] for each in failed["differences"] if each["name"] == "server"}
    assert servers <= {told["server"]["address"]}


def test_those_that_hold_are_shown_to_whoever_asks(folder: Path) -> None:
    assert run(folder, "{to: web, method: dr}").stdout == "1 of 1 expectation held\n"
    assert ":3: holds: to web\n" in run(folder, "{to: web, method: dr}", options=("-v",)).stdout


def test_json_has_both(folder: Path) -> None:
    result = run(folder, "{to: web, method: dr}", "{to: web, method: nat}", options=("--json",))
    assert result.exit_code == 1
    found = json.loads(result.stdout)["expectations"]
    assert [(each["line"], each["holds"]) for each in found] == [(3, True), (4, False)]
    assert found[1]["differences"] == [{"name": "method", "got": "dr", "want": ["nat"]}]


def test_one_expectation_needs_no_list_and_another_configuration_may_be_named(folder: Path) -> None:
    file = folder / "one.yaml"
    file.write_text("expect: {to: web, server: 10.0.0.11}\n")
    other = folder / "other.yaml"
    other.write_text(SERVICES.replace("[10.0.0.11, {address: 10.0.0.12", "[10.0.0.99, {address: 10.0.0.12"))
    codes = [
        CliRunner().invoke(app, ["test", str(file), "-c", str(each)]).exit_code
        for each in (folder / "vipd.yaml", other)
    ]
    assert codes == [0, 1]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{to: web, sevrer: 10.0.0.11}", "3:15: sevrer: an unknown key; did you mean 'server'"),
        ("{to: web}", "3:5: nothing is expected; one or more of server, "),
        ("{server: 10.0.0.11}", "3:5: to: is missing"),
        ("{to: web, method: dx}", "3:23: method: 'dx' is none; known are nat, dr, tun, local, none"),
        ("{to: web, outcome: forward_d}", "3:24: outcome: 'forward_d' is none; did you mean 'forward_dr'"),
        ("{to: web, outcome: f*x}", "3:24: outcome: 'f*x' is none"),
        ("{to: web, ttl: 999, method: dr}", "3:20: ttl: 999 is none; a whole number from 0 to 255 is"),
        ("{to: web, server: {}}", "3:23: server: a mapping where text is expected"),
        ("{from: [::1]:8, to: web, method: dr}", "put it in quotes"),
        ("{from: 203.0.113.7:471111, to: web, method: dr}", "3:12: from: '471111' is no port"),
        ("{from: 2001:db8::1, to: web, method: dr}", "3:29: to: web listens on"),
        ("{to: wbe, method: dr}", "3:10: to: 'wbe' is neither a service"),
        ("{to: web, drained: web, method: dr}", "3:24: drained: "),
        ("{to: web, drained: wb 10.0.0.11, method: dr}", "3:24: drained: 'wb 10.0.0.11' names no service"),
        ("{to: web, drained: web 10.9.9.9, method: dr}", "10.9.9.9 is no server of web; these are: 10.0.0.11"),
        ('{to: web, flags: "reply:ACK", method: dr}', "flags: a reply is to something"),
        ("{to: web, flags: XX, method: dr}", "3:22: flags: 'XX' are no flags of TCP"),
        ("{to: web, interface: eth9, method: dr}", "3:26: interface: 'eth9' is no interface"),
        ("{to: web, method: dr, method: tun}", "stands here twice"),
        ("x", "3:5: 'x' is no expectation"),
    ],
)
def test_a_mistake_is_told_with_its_line(folder: Path, written: str, said: str) -> None:
    result = run(folder, written)
    assert isinstance(result.exception, ConfigError), result.output
    assert re.search(re.escape(said), str(result.exception)), str(result.exception)
    assert str(result.exception).startswith(f"{folder}/expect.yaml:")
    assert result.stdout == ""


def test_a_configuration_in_the_place_of_expectations_is_told_once(folder: Path) -> None:
    error = CliRunner().invoke(app, ["test", str(folder / "vipd.yaml")]).exception
    assert isinstance(error, ConfigError)
    [problem] = error.problems
    assert "a configuration; expectations of one are needed" in problem.message


def test_every_mistake_is_told_at_once(folder: Path) -> None:
    error = run(folder, "{to: web, ttl: 999}", "{to: web, method: dx}", top="config: vipd.yaml\nexpcet: 1").exception
    assert isinstance(error, ConfigError)
    assert [problem.line for problem in error.problems] == [2, 4, 4, 5]


@pytest.mark.parametrize(
    ("top", "said"),
    [
        ("mtu: 1500", "config: is missing"),
        ("config: none.yaml", "none.yaml: cannot be read"),
        ("config: vipd.yaml\nsecret: none", "expect.yaml: secret: .*none: cannot be read"),
        ("config: vipd.yaml\nmtu: 5", ":2:6: mtu: 5 is none; a whole number from 1280 to 65535 is"),
    ],
)
def test_what_stands_at_the_top_is_looked_at_too(folder: Path, top: str, said: str) -> None:
    error = run(folder, "{to: web, method: dr}", top=top).exception
    assert isinstance(error, ConfigError)
    assert re.search(said, str(error)), str(error)


def test_only_a_star_is_anything() -> None:
    assert fits("[2001:db8::1]:80", "[2001:db8::1]:80")
    assert fits("forward_nat_reply", "forward_*reply")
    assert not fits("forward_nat", "forward_?at")
    assert not fits("forward_nat_reply", "forward_nat")
