"""Hosts and segments joined by cables: who hears what, and what a loop does."""

from __future__ import annotations

import pytest

from tests.support.segments import BROADCAST, A, B, frame
from vipd.segment.network import End, Journey, Network
from vipd.segment.segment import Hub, PointToPoint, Segment
from vipd.segment.switch import Switch


def heard(journey: Journey) -> list[str]:
    return [end.node for end, _ in journey.arrived]


def lan(one: Segment, other: Segment) -> Network:
    """Two segments of three ports with a cable between, two hosts at each."""
    cables = [(End("a"), End("s1", 0)), (End("b"), End("s1", 1)), (End("s1", 2), End("s2", 2))]
    cables += [(End("c"), End("s2", 0)), (End("d"), End("s2", 1))]
    return Network({"s1": one, "s2": other}, cables)


def test_what_one_end_of_a_line_sends_the_other_gets_whatever_it_is() -> None:
    line = PointToPoint()
    network = Network({"line": line}, [(End("a"), End("line", 0)), (End("b"), End("line", 1))])
    for octets in (b"", b"\x7e", frame(B, A), bytes(9000)):
        assert network.send("a", octets, 0.0).arrived == ((End("b"), octets),)
        assert network.send("b", octets, 0.0).arrived == ((End("a"), octets),)


def test_behind_hubs_everybody_hears_everything() -> None:
    network = lan(Hub(range(3)), Hub(range(3)))
    assert heard(network.send("a", frame(B, A), 0.0)) == ["b", "c", "d"]


def test_behind_switches_only_the_one_that_is_meant_hears_it() -> None:
    network = lan(Switch(range(3)), Switch(range(3)))
    assert heard(network.send("c", frame(BROADCAST, B), 0.0)) == ["d", "a", "b"]
    journey = network.send("a", frame(B, A), 1.0)
    assert heard(journey) == ["c"]
    assert [(hop.sender, hop.receiver) for hop in journey.hops] == [
        (End("a"), End("s1", 0)),
        (End("s1", 2), End("s2", 2)),
        (End("s2", 0), End("c")),
    ]


@pytest.mark.parametrize("kind", [Hub, Switch])
def test_a_broadcast_in_a_loop_of_two_is_a_storm_and_is_stopped(kind: type[Hub | Switch]) -> None:
    cables = [(End("a"), End("s1", 0)), (End("s1", 1), End("s2", 1)), (End("s1", 2), End("s2", 2))]
    network = Network({"s1": kind(range(3)), "s2": kind(range(3))}, [*cables, (End("b"), End("s2", 0))], limit=1000)
    journey = network.send("a", frame(BROADCAST, A), 0.0)
    assert journey.storm
    assert len(journey.hops) == 1000
    # Each round brings everybody one more copy on each of the two ways.
    assert heard(journey).count("a") > 100
    assert heard(journey).count("b") > 100


def test_a_loop_is_no_storm_where_a_frame_need_not_go_round() -> None:
    cables = [(End("a"), End("s1", 0)), (End("s1", 1), End("s2", 1)), (End("s1", 2), End("s2", 2))]
    network = Network({"s1": Switch(range(3)), "s2": Hub(range(1, 3))}, cables)
    assert not network.send("a", frame(A, A), 0.0).storm


def test_a_port_without_a_cable_loses_what_leaves_there() -> None:
    network = Network({"hub": Hub(range(3))}, [(End("a"), End("hub", 0)), (End("b"), End("hub", 1))])
    journey = network.send("a", frame(B, A), 0.0)
    assert (len(journey.hops), heard(journey)) == (2, ["b"])
    assert network.send("nobody", frame(B, A), 0.0) == Journey((), ())


@pytest.mark.parametrize(
    ("cables", "message"),
    [
        ([(End("a"), End("hub", 7))], "hub has no port 7"),
        ([(End("a"), End("hub", 0)), (End("b"), End("hub", 0))], "two cables in port 0 of hub"),
        ([(End("hub", 1), End("hub", 1))], "two cables in port 1 of hub"),
    ],
)
def test_a_cable_that_fits_nowhere_is_refused(cables: list[tuple[End, End]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Network({"hub": Hub(range(3))}, cables)
