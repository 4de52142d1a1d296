"""A director that lives through a capture, at the capture's pace; and courses over time."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from tests.support.scenes import scene_of
from vipd.explain.course import MOST, Course
from vipd.explain.replay import Replay
from vipd.wire.pcap import Captured, LinkType

MAC: Final = {"src": "02:00:00:00:99:01", "dst": "02:00:00:00:99:02"}
SECOND: Final = 1_000_000_000


def frame(
    port: int, at: float, flags: str = "S", to: str = "192.0.2.11", link_type: int = LinkType.ETHERNET
) -> Captured:
    packet = IP(src="203.0.113.7", dst=to) / TCP(sport=port, dport=80, flags=flags)
    octets = bytes(Ether(**MAC) / packet) if link_type == LinkType.ETHERNET else bytes(packet)
    return Captured(octets, len(octets), link_type, round(at * SECOND))


def replayed(*frames: Captured) -> Replay:
    made = Replay(scene_of())
    for each in frames:
        made.put(each)
    return made


def connections(made: Replay) -> list[int]:
    return [each.traffic.connections for each in made.shares(3)]


def test_connections_are_shared_and_what_follows_goes_where_they_went() -> None:
    made = replayed(*(frame(port, port / 1000, flags) for port in range(1000, 1010) for flags in "SA"))
    assert connections(made) == [5, 5]
    assert [each.traffic.packets_in for each in made.shares(3)] == [10, 10]
    assert [each.most_open for each in made.shares(3)] == [5, 5]
    assert made.outcomes == {"forward_nat": 20}
    assert made.events["connection_new"] == 10


def test_time_passes_as_in_the_capture() -> None:
    """60 s for a connection that nobody answered; 15 minutes would be an established one's."""
    early, late = (replayed(frame(1, 1000), frame(2, 1000 + after)) for after in (59, 62))
    assert early.seconds == 59
    assert [
        sum(sum(made.state.loads.get(each.server) or (0,)) for each in made.shares(3)) for made in (early, late)
    ] == [
        2,
        1,
    ]
    assert (early.events["connection_expired"], late.events["connection_expired"]) == (0, 1)


def test_a_capture_that_goes_back_does_not_turn_back_the_clock() -> None:
    made = replayed(frame(1, 1000), frame(2, 1010), frame(3, 990))
    assert made.seconds == 10
    assert sum(connections(made)) == 3


def test_frames_that_hold_nothing_are_counted_with_the_reason() -> None:
    lcp = Captured(bytes.fromhex("ff03c021"), 4, LinkType.PPP)
    made = replayed(lcp, lcp, Captured(bytes(60), 60, 105), frame(1, 0, link_type=LinkType.RAW_IP))
    assert sorted(made.left_out.values()) == [1, 2]
    assert (made.frames, made.outcomes) == (4, {"forward_nat": 1})
    other = replayed(Captured(bytes(Ether(**MAC) / ARP()), 42, LinkType.ETHERNET))
    assert other.outcomes == {"pass_not_ip": 1}


def test_what_is_cut_off_keeps_its_length() -> None:
    whole = bytes(Ether(**MAC) / IP(src="203.0.113.7", dst="192.0.2.53") / UDP(sport=1, dport=53) / bytes(1000))
    made = replayed(Captured(whole[:60], len(whole), LinkType.ETHERNET))
    assert (made.cut_off, made.outcomes) == (1, {"forward_tun": 1})
    assert sum(each.traffic.bytes_in for each in made.shares(5)) == len(whole) - 14


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=50).map(sorted))
def test_a_course_loses_no_packet_however_long_it_takes(times: list[int]) -> None:
    course: Course[str] = Course()
    for number, at in enumerate(times):
        course.add("a", at)
        course.note("b", number, at)
    assert sum(course.packets["a"]) == len(times)
    assert len(course.packets["a"]) <= course.length <= MOST
    assert max(course.open["b"]) == len(times) - 1
    assert course.open["b"][times[-1] // course.step] == len(times) - 1


def test_between_two_notes_the_number_stays() -> None:
    course: Course[str] = Course()
    course.note("a", 3, 0)
    course.note("a", 5, 40_000_000)
    course.note("a", 1, 40_000_001)
    assert course.open["a"] == [3] * 40 + [5]
