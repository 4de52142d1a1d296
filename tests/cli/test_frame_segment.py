"""`vipd frame segment`: where frames leave, and why."""

from __future__ import annotations

import json

import pytest

from tests.support.frame_cli import refused, shown


def leaves(kind: str, *arguments: str) -> list[list[str]]:
    return [each["heard_by"] for each in json.loads(shown("segment", kind, *arguments, "--json"))]


def test_a_segment_tells_where_frames_leave_and_why() -> None:
    assert leaves("hub", "a:b", "b:a", "--ports", "3") == [["b", "port 2"], ["a", "port 2"]]
    assert leaves("p2p", "a:b", "b=00") == [["b"], ["a"]]
    assert leaves("switch", "a:b", "b:a", "+299", "b:a", "+2", "a@3:b", "b:a") == [
        ["b", "port 2", "port 3"],
        ["a"],
        ["a"],
        ["b"],
        ["a"],
    ]
    output = shown("segment", "switch", "a:b", "b:a", "a@3:b", "a:group")
    for said in ("b was not heard of: to all; learns that a is at port 0", "a has moved to port 3", "as it is meant"):
        assert said in output


def test_vlans_of_a_switch_are_apart_and_a_trunk_hears_both() -> None:
    vlans = ("--vlan", "a=10", "--vlan", "b=20", "--vlan", "c=10,20")
    assert leaves("switch", *vlans, "a:all", "b:all", "d:all") == [["c"], ["c"], []]
    assert "nobody else is in its VLAN" in shown("segment", "switch", *vlans, "d:all")


@pytest.mark.parametrize("kind", ["hub", "switch"])
def test_a_loop_is_a_storm_that_is_stopped(kind: str) -> None:
    [told_of] = json.loads(shown("segment", kind, "--loop", "a:all", "--json"))
    assert (told_of["storm"], told_of["frames"]) == (True, 10_000)
    assert "storm: 10000 frames, then stopped" in shown("segment", kind, "--loop", "a:all")


@pytest.mark.parametrize("kind", ["hub", "switch", "p2p"])
def test_without_events_a_segment_tells_its_own_story(kind: str) -> None:
    assert len(shown("segment", kind).splitlines()) >= 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hub", "a"), "EVENT: 'a' is none"),
        (("hub", "a=0"), "EVENT: 'a=0' is none"),
        (("hub", "a:b", "--ports", "2", "c:a"), "no port left for c; --ports 3"),
        (("hub", "a@9:b"), "there is no port 9; 0 to 3 are"),
        (("hub", "a:b", "a@1:b"), "port 1 is b's"),
        (("hub", "--vlan", "a=1"), "only a switch knows VLANs, no hub"),
        (("switch", "--vlan", "a"), "'a': a=10 makes"),
        (("switch", "--vlan", "a=4095"), "VLAN 4095: 1 to 4094 expected"),
        (("p2p", "--ports", "3"), "a line has two ends"),
        (("p2p", "--loop"), "a line has two ends"),
        (("p2p", "a:b", "c:a"), "there is no end left for c: a line has two"),
    ],
)
def test_events_and_options_that_make_no_sense_are_refused(arguments: tuple[str, ...], message: str) -> None:
    assert message in refused("segment", *arguments)
