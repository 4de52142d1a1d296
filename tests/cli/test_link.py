"""`vipd link` as people meet it: what it refuses, and how a status looks on 80 columns."""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import Any

import pytest
from rich.console import Console

from tests.cli.test_main import vipd
from vipd.api.link import FamilyStatus, LinkStatus
from vipd.cli.link_view import all_links, one_link
from vipd.model.link import Encapsulation, Framing, Phase

UP = ("link", "up", "--peer", "paris")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--ipv4: no packets may pass; --ipv4 LOCAL:REMOTE"),
        (("--ipv4", "10.9.0.1"), "--ipv4: '10.9.0.1' has no colon"),
        (("--ipv4", ":", "--over", "carrier-pigeon"), "--over: 'carrier-pigeon' is no line; allowed is serial:DEVICE"),
        (("--ipv4", ":", "--auth", "chap"), "--auth: no secret for anybody but ourselves"),
        (("--ipv4", ":", "--accm", "xyz"), "--accm: 'xyz' is no map of 32 characters"),
        (("--ipv4", ":", "--interface", "a b"), "--interface: 'a b' cannot name an interface"),
        (("--ipv4", ":", "--mru", "1"), "--mru: 1 is not possible; 68 to 65535"),
        (("--ipv4", ":", "--secrets", "/no/such/file"), "/no/such/file: the secrets cannot be read"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(arguments: tuple[str, ...], said: str) -> None:
    shown = vipd(*UP, "--over", "pty", *arguments)
    assert shown.returncode == 2
    assert any(line.removeprefix("vipd: ").startswith(said) for line in shown.stderr.splitlines()), shown.stderr
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize("arguments", [("link", "up"), (*UP, "--framing", "x", "--over", "pty"), ("link", "down")])
def test_wrong_usage_is_answered_with_the_usage(arguments: tuple[str, ...]) -> None:
    shown = vipd(*arguments)
    assert shown.returncode == 2
    assert "Usage: vipd link" in shown.stderr


def test_every_option_of_up_is_explained() -> None:
    shown = vipd("link", "up", "--help").stdout
    for words in ("serial:DEVICE", "connections of this machine only", "mode 0600", "Examples"):
        assert words in shown


def test_a_link_that_does_not_run_is_told() -> None:
    shown = vipd("link", "status", "no-such-link")
    assert shown.returncode == 1
    assert "vipd does not run for link 'no-such-link'" in shown.stderr
    assert vipd("link", "down", "no-such-link").stdout == "link no-such-link: did not run\n"


def test_all_links_as_json_are_a_list() -> None:
    assert isinstance(json.loads(vipd("link", "status", "--json").stdout), list)


def status(**fields: Any) -> LinkStatus:
    given: dict[str, Any] = {
        "name": "paris",
        "pid": 77,
        "version": "0.1.0",
        "interface": "paris",
        "line": "serial:/dev/ttyS0,115200,rtscts",
        "where": "/dev/ttyS0",
        "line_state": "open",
        "framing": Framing.ASYNC,
        "encapsulation": Encapsulation.PPP,
        "phase": Phase.NETWORK,
        "uptime": 7260.0,
        "families": [
            FamilyStatus(local=ip_address("10.9.0.1"), remote=ip_address("10.9.0.2"), mtu=1500),
            FamilyStatus(local=ip_address("fe80::1"), remote=None, mtu=1500),
        ],
        "agreed": {"mru": "1500 here, 1500 there", "ipv4": "shown above"},
        "frames_in": 1000,
        "frames_out": 2000,
        "packets_in": 900,
        "packets_out": 1900,
        "octets_in": 1_234_567,
        "octets_out": 10,
        "faults": {"bad_fcs": 3, "abort": 1},
        "dropped": {"queue_late": 12},
        "counters": {"unknown_protocol": 1, "malformed": 0},
        "opened": 2,
        "peers_refused": 0,
        "last_end": "the other end closed the line",
        "problems": ["paris: route 10.0.0.0/8: the kernel refused it: File exists"],
        **fields,
    }
    return LinkStatus(**given)


def shown(view: Any) -> str:
    screen = Console(width=80, highlight=False, markup=False)
    with screen.capture() as capture:
        screen.print(view)
    return capture.get()


def test_one_link_tells_everything_by_its_name() -> None:
    lines = [line.rstrip() for line in shown(one_link(status())).splitlines()]
    assert lines[0] == "link paris, process 77; interface paris; network, up for 2.0 h"
    for line in (
        "line      serial:/dev/ttyS0,115200,rtscts (/dev/ttyS0), open, opened 2 times",
        "protocol  ppp in async frames",
        "IPv4      10.9.0.1 ▸ 10.9.0.2, MTU 1500",
        "IPv6      fe80::1 ▸ anybody, MTU 1500",
        "agreed    mru 1500 here, 1500 there",
        "received  1000 frames, 900 packets, 1.2M octets of line",
        "faults    bad_fcs 3, abort 1",
        "dropped   queue_late 12",
        "events    unknown_protocol 1",
        "last end  the other end closed the line",
        "! paris: route 10.0.0.0/8: the kernel refused it: File exists",
    ):
        assert line in lines, lines
    assert not any("shown above" in line for line in lines)


@pytest.mark.parametrize(
    ("fields", "phase"),
    [({}, "network"), ({"line_state": "retrying"}, "retrying"), ({"phase": Phase.ESTABLISH}, "establish")],
)
def test_many_links_have_a_line_each_that_fits(fields: dict[str, Any], phase: str) -> None:
    screen = Console(width=80, highlight=False, markup=False)
    with screen.capture() as capture:
        screen.print(all_links([status(**fields), status(name="rome", families=[], uptime=None)], [], screen))
    heading, _, paris, rome = capture.get().splitlines()
    assert heading.split()[:3] == ["LINK", "PHASE", "UP"]
    assert paris.split()[:2] == ["paris", phase]
    assert rome.split()[:4] == ["rome", "network", "–", "–"]
    assert max(map(len, (heading, paris, rome))) <= 80


def test_no_link_at_all_is_said() -> None:
    assert shown(all_links([], [], Console(width=80))) == "no link runs\n"


def test_links_that_do_not_answer_are_told_below_the_others() -> None:
    silent = ["the daemon of link 'rome' does not answer"]
    screen = Console(width=80)
    assert shown(all_links([], silent, screen)) == f"! {silent[0]}\n"
    lines = shown(all_links([status()], silent, screen)).splitlines()
    assert lines[-1] == f"! {silent[0]}"
    assert lines[-2].startswith("paris")
