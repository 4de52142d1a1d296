"""How a traced packet reads, and the sum of many."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address
from typing import Any, Final

import pytest

from vipd.cli.trace_view import Interfaces, as_json, decision, line, summary
from vipd.model.director import Endpoint, Method, Scheduler, Transport
from vipd.model.outcome import OUTCOMES
from vipd.model.trace import Flow, Fragment, TraceCounts, Traced

CLIENT, VIP, SERVER = map(ip_address, ("203.0.113.7", "192.0.2.10", "10.0.0.12"))
NAMES: Final = {2: "eth0", 3: "eth1"}
AT: Final = 1_764_105_243_123_456_789
FLOW: Final = Flow(6, CLIENT, 4711, VIP, 80)
NEW: Final = Traced(
    at=0,
    cpu=1,
    ingress=2,
    outcome="forward_nat",
    events=("connection_new", "next_hop_refreshed"),
    flow=FLOW,
    segment="syn",
    fragment=None,
    known=False,
    about=None,
    reply=False,
    state="syn_recv",
    service=Endpoint(VIP, 80, 80, Transport.TCP),
    scheduler=Scheduler.WLC,
    server=SERVER,
    server_port=8080,
    method=Method.NAT,
    local=False,
    egress=3,
    source_mac="02:00:00:00:00:01",
    destination_mac="02:00:00:00:00:02",
    length=60,
    sent_length=74,
    frame=b"",
    frame_length=0,
    bare=False,
)
NOBODYS: Final = replace(
    NEW, events=(), state=None, service=None, scheduler=None, server=None, server_port=None, method=None, egress=None
)


def told(**changes: Any) -> str:
    return decision(replace(NEW, **changes), NAMES)


def test_a_line_has_time_interface_flow_outcome_and_reason() -> None:
    text = line(NEW, AT, NAMES)
    clock, rest = text.split(" ", 1)
    assert clock[-10:] == ":03.123456"
    assert rest == (
        "eth0  tcp 203.0.113.7:4711 > 192.0.2.10:80 syn  forward_nat to 10.0.0.12:8080 by eth1: new connection, "
        "wlc: fewest connections for its weight"
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"known": True, "events": (), "state": "established", "server_port": None},
            "forward_nat to 10.0.0.12 by eth1: known connection, established",
        ),
        (
            {"outcome": "forward_nat_reply", "known": True, "reply": True, "events": (), "state": "fin_wait"},
            "forward_nat_reply by eth1: reply of a known connection, fin_wait",
        ),
        (
            {"events": ("mss_clamped",), "known": True},
            "forward_nat to 10.0.0.12:8080 by eth1: known connection, syn_recv; MSS clamped",
        ),
        (
            {"outcome": "route_nat", "egress": None, "events": ("connection_new",)},
            "route_nat to 10.0.0.12:8080: new connection, wlc: fewest connections for its weight; the kernel sends it",
        ),
        (
            {"events": ("table_full", "stateless")},
            "forward_nat to 10.0.0.12:8080 by eth1: no room in the table: by consistent hash of the client",
        ),
        (
            {"events": (), "known": True, "state": "udp", "fragment": Fragment.LATER},
            "forward_nat to 10.0.0.12:8080 by eth1: later fragment, known connection, udp",
        ),
    ],
)
def test_a_decision_says_where_to_and_why(changes: dict[str, Any], text: str) -> None:
    assert told(**changes) == text


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_can_be_told(outcome: str) -> None:
    text = decision(replace(NOBODYS, outcome=outcome), NAMES)
    assert text.startswith(f"{outcome}: ")
    assert len(text) > len(outcome) + 10


def test_what_is_no_ip_and_what_is_a_fragment_is_said() -> None:
    assert "  no IP  " in line(replace(NOBODYS, flow=None, segment=None, outcome="pass_not_ip"), AT, NAMES)
    assert "192.0.2.10:80 later fragment  " in line(replace(NEW, fragment=Fragment.LATER, segment=None), AT, NAMES)


def test_json_has_the_same_keys_for_every_packet() -> None:
    found, nobodys = (json.loads(as_json(each, AT, NAMES)) for each in (NEW, replace(NOBODYS, flow=None)))
    assert found.keys() == nobodys.keys()
    assert found["time"] == "2025-11-25T21:14:03.123456789Z"
    assert found["flow"] == {
        "protocol": "tcp",
        "source": "203.0.113.7",
        "source_port": 4711,
        "destination": "192.0.2.10",
        "destination_port": 80,
    }
    assert (found["server"], found["service"], found["egress"]) == ("10.0.0.12", "192.0.2.10:80/tcp", "eth1")
    assert (nobodys["flow"], nobodys["egress"], nobodys["frame"]) == (None, None, None)


def test_a_new_interface_is_asked_for_once_and_one_from_elsewhere_keeps_its_number() -> None:
    asked: list[int] = []

    def ask() -> dict[int, str]:
        asked.append(1)
        return {2: "eth0"} if len(asked) == 1 else {2: "eth0", 3: "eth1"}

    names = Interfaces(ask)
    assert [names[number] for number in (2, 3, 3, 9, 9)] == ["eth0", "eth1", "eth1", "if9", "if9"]
    assert len(asked) == 3


def test_the_sum_says_what_was_left_out_and_what_to_do() -> None:
    counts = TraceCounts(passed=5000, matched=1234, sampled_out=1000, limited=100, lost=4)
    lines = summary(2.5, counts, {"forward_dr": 99, "drop_no_server": 21})
    left_out = "1,000 left out by --sample, 100 over --rate, 4 lost because nobody read them in time, 10 not shown"
    assert lines == [
        f"120 packets told in 2.5 s; 1,234 fitted, of 5,000 that passed the director; {left_out}",
        f"  forward_dr      99  {OUTCOMES['forward_dr']}",
        f"  drop_no_server  21  {OUTCOMES['drop_no_server']}",
        "                  Give the service a server of weight above 0: `vipd status`, `vipd undrain`.",
    ]


def test_the_sum_of_nothing_is_short() -> None:
    counts = TraceCounts(passed=1, matched=0, sampled_out=0, limited=0, lost=0)
    assert summary(0.04, counts, {}) == ["0 packets told in 0.0 s; 0 fitted, of 1 that passed the director"]
