"""Two sessions on a perfect line: they open, pass packets, and end."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from math import inf

import pytest

from tests.support.line import Line, dead
from tests.support.ppp import DEMAND, HERE, IDENTITY, ONE, OTHER, PACKETS, THERE, between, opened, session
from vipd.model.link import Deliver, Down, Hangup, Phase, Reframe, Send, Up
from vipd.ppp.settings import DEFAULT_ACCM, Echo, Ipv4, Ipv6, Settings


def test_both_families_come_up_at_both_ends_and_the_ends_know_each_other() -> None:
    line = opened()
    for end, peer in (line.ends, reversed(line.ends)):
        assert end.machine.phase is Phase.NETWORK
        assert {version: (up.local, up.remote) for version, up in end.up.items()} == {
            version: (up.remote, up.local) for version, up in peer.up.items()
        }
        assert end.machine.counters == {}
    assert line.one.up[4] == Up(HERE, THERE, 1500)
    assert line.one.up[6].local.is_link_local


def test_an_end_without_an_address_is_given_one() -> None:
    line = opened(other=replace(OTHER, ipv4=Ipv4()))
    assert line.other.up[4] == Up(THERE, HERE, 1500)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("version", [4, 6])
def test_packets_pass_both_ways_unchanged(version: int, compress: bool) -> None:
    line = opened(replace(ONE, compress=compress))
    for place, end in ((0, line.other), (1, line.one)):
        assert line.pass_packet(place, PACKETS[version])
        line.run(line.now + 1.0)
        assert end.packets == [PACKETS[version]]


def test_fields_are_compressed_if_both_ends_like_it() -> None:
    assert opened().one.machine.frame(PACKETS[4]) == b"\x21" + PACKETS[4]
    assert (
        opened(other=replace(OTHER, compress=False)).one.machine.frame(PACKETS[4]) == b"\xff\x03\x00\x21" + PACKETS[4]
    )


@pytest.mark.parametrize("header", [b"\x21", b"\x00\x21", b"\xff\x03\x21", b"\xff\x03\x00\x21"])
def test_a_packet_is_taken_in_every_form_that_a_frame_may_have(header: bytes) -> None:
    assert opened().one.machine.receive(header + PACKETS[4], 1.0) == [Deliver(PACKETS[4])]


def test_no_packet_passes_before_its_family_is_up() -> None:
    line = between()
    assert line.one.machine.frame(PACKETS[4]) is None
    assert line.one.machine.receive(b"\x21" + PACKETS[4], 0.0) == []
    line = opened(replace(ONE, ipv6=None))
    assert line.one.machine.frame(PACKETS[6]) is None
    assert line.one.machine.frame(b"") is None
    assert line.other.up.keys() == {4}


def test_a_packet_of_another_version_than_its_frame_says_is_dropped() -> None:
    machine = opened(replace(ONE, ipv6=None), replace(OTHER, ipv6=None)).one.machine
    assert machine.receive(b"\x21" + PACKETS[6], 1.0) == []
    assert machine.receive(b"\x21", 1.0) == []
    assert machine.counters == {"wrong_version": 2}


def test_nothing_larger_than_the_peer_takes_is_sent() -> None:
    machine = opened(other=replace(OTHER, mru=1400)).one.machine
    assert machine.frame(b"\x45" * 1400) is not None
    assert machine.frame(b"\x45" * 1401) is None
    assert machine.counters["too_big"] == 1


def test_what_was_agreed_can_be_read() -> None:
    line = opened(replace(ONE, demand=DEMAND), replace(OTHER, identity=IDENTITY, mru=1400))
    agreed = line.one.machine.agreed
    assert agreed["mru"] == "1500 here, 1400 there"
    assert agreed["peer proved by"] == "chap, site-b"
    assert agreed["ipv4"] == "10.0.0.1 to 10.0.0.2"
    assert agreed["address compression"] == "both ways"
    assert between().one.machine.agreed == {}


def test_control_characters_are_escaped_until_both_ends_agree() -> None:
    line = opened(replace(ONE, accm=0x000A0000), replace(OTHER, accm=0x00000001))
    reframes = [effect for _, effect in line.one.effects if isinstance(effect, Reframe)]
    # Ours, the peer's: what a line does to characters, it does in both directions.
    assert reframes == [Reframe(send_accm=0x000A0001, receive_accm=0x000A0000)]
    assert Reframe(DEFAULT_ACCM, DEFAULT_ACCM) in line.one.machine.stop(line.now)


def test_packets_that_set_a_link_up_or_end_it_are_framed_as_if_nothing_were_agreed() -> None:
    line = opened()
    line.run(25.0)  # with two echoes
    line.carry_out(0, line.one.machine.stop(line.now))
    line.run(30.0)
    sent = [effect for end in line.ends for _, effect in end.effects if isinstance(effect, Send)]
    lcp = [send for send in sent if send.frame.startswith(b"\xff\x03\xc0\x21")]
    assert {send.frame[4] for send in lcp} == {1, 2, 5, 6, 9, 10}
    assert all(send.plain is (send.frame[4] <= 7) for send in lcp)
    assert not any(send.plain for send in sent if send not in lcp)


def test_a_stopped_end_tells_the_other_and_hangs_up_once_that_agrees() -> None:
    line = opened()
    line.carry_out(0, line.one.machine.stop(line.now))
    assert line.one.machine.phase is Phase.TERMINATE
    assert not line.one.up
    line.run(10.0)
    assert line.one.hangup == Hangup("stopped here")
    assert line.other.hangup == Hangup("the peer ended it: stopped here")
    # One round trip, and the Restart timer that RFC 1661 has the other end wait (zrc).
    assert [time for time, effect in line.one.effects if isinstance(effect, Hangup)] == [pytest.approx(1.02)]
    assert [time for time, effect in line.other.effects if isinstance(effect, Hangup)] == [pytest.approx(4.01)]
    assert {end.machine.phase for end in line.ends} == {Phase.DEAD}
    assert {end.machine.deadline for end in line.ends} == {inf}


def test_a_stopped_end_hangs_up_alone_where_nobody_answers() -> None:
    line = opened()
    line.fates[:] = [dead, dead]
    line.carry_out(0, line.one.machine.stop(line.now))
    line.run(10.0)
    assert line.one.hangup == Hangup("stopped here")
    assert line.one.effects[-1][0] == pytest.approx(1.0 + 2 * 3.0)


@pytest.mark.parametrize(("passive", "seconds"), [(False, 0.0), (False, 10.0), (True, 100.0)])
def test_a_stopped_end_that_never_heard_a_word_waits_for_none(passive: bool, seconds: float) -> None:
    line = Line(session(replace(ONE, passive=passive)), session(OTHER), (dead, dead))
    line.carry_out(0, line.one.machine.start(0.0))
    line.run(seconds)
    line.stop(0)
    assert line.one.hangup == Hangup("stopped here")


def test_stopping_what_was_never_started_hangs_up_at_once() -> None:
    assert session(ONE).stop(0.0) == [Hangup("stopped here")]


def test_an_end_that_hears_nothing_gives_up_after_ten_requests() -> None:
    line = Line(session(ONE), session(OTHER), (dead, dead))
    line.carry_out(0, line.one.machine.start(0.0))
    line.run(100.0)
    assert len(line.one.sent()) == 10
    assert line.one.hangup == Hangup("the peer does not answer, or does not agree")
    assert line.one.effects[-1][0] == 30.0


def test_a_passive_end_waits_for_ever_and_then_answers() -> None:
    line = Line(session(replace(ONE, passive=True), 1), session(OTHER, 2))
    line.carry_out(0, line.one.machine.start(0.0))
    line.run(1000.0)
    assert line.one.hangup is None
    line.carry_out(1, line.other.machine.start(1000.0))
    line.run(1001.0)
    assert line.one.up.keys() == line.other.up.keys() == {4, 6}


def test_a_lost_line_takes_the_families_down_and_the_next_one_brings_them_up() -> None:
    line = opened()
    identifier = line.one.up[6].local
    for place, end in enumerate(line.ends):
        line.carry_out(place, end.machine.lost(line.now))
        assert end.machine.phase is Phase.DEAD
        assert end.machine.deadline == inf
        assert end.machine.frame(PACKETS[4]) is None
    line.start()
    line.run(2.0)
    assert line.one.up.keys() == line.other.up.keys() == {4, 6}
    assert line.one.up[6].local == identifier


def test_a_silent_peer_is_noticed_by_its_missing_echoes() -> None:
    line = opened(replace(ONE, echo=Echo(interval=5.0, failures=2)))
    line.run(60.0)
    before, line.fates[1] = line.one.hangup, dead
    line.run(100.0)
    assert before is None
    assert line.one.hangup == Hangup("the peer answers no Echo-Request any more")
    # The echoes at 60.03 and 65.03 are not answered.
    assert line.one.effects[-1][0] == pytest.approx(70.03, abs=0.1)


def test_no_echo_is_sent_where_none_is_wanted() -> None:
    silent = Echo(interval=0.0)
    line = opened(replace(ONE, echo=silent), replace(OTHER, echo=silent))
    assert {end.machine.deadline for end in line.ends} == {inf}


def test_a_peer_that_negotiates_anew_takes_all_down_and_up_again() -> None:
    line = opened()
    line.carry_out(1, line.other.machine.start(line.now))  # as if its program had been started again
    line.run(2.0)
    downs = [effect for _, effect in line.one.effects if isinstance(effect, Down)]
    assert downs == [Down(4, "the peer negotiates anew"), Down(6, "the peer negotiates anew")]
    assert line.one.up.keys() == line.other.up.keys() == {4, 6}
    assert line.pass_packet(0, PACKETS[4])
    line.run(3.0)
    assert line.other.packets == [PACKETS[4]]


def test_ends_that_agree_on_no_family_part() -> None:
    line = opened(replace(ONE, ipv6=None), replace(OTHER, ipv4=None))
    line.run(10.0)
    assert line.one.hangup
    assert line.other.hangup
    assert "IPv4: the peer does not know it" in line.one.hangup.reason + line.other.hangup.reason


def test_a_family_that_the_peer_does_not_know_is_given_up_and_the_other_stays() -> None:
    line = opened(other=replace(OTHER, ipv6=None))
    assert line.one.up.keys() == line.other.up.keys() == {4}
    assert line.one.machine.agreed["ipv6"] == "down: the peer does not know it"
    line.run(1000.0)
    assert line.one.up.keys() == {4}


@pytest.mark.parametrize("address", [HERE, None])
def test_no_link_comes_up_to_a_peer_without_a_usable_address(address: IPv4Address | None) -> None:
    line = opened(Settings(ipv4=Ipv4(HERE)), Settings(ipv4=Ipv4(address)))
    line.run(60.0)
    assert line.one.hangup
    assert "address" in line.one.hangup.reason
    assert not any(isinstance(effect, Up) for _, effect in line.one.effects)


def test_an_identifier_that_both_ends_have_is_changed_by_one() -> None:
    same = Ipv6(identifier=bytes.fromhex("0000000000000001"))
    line = opened(replace(ONE, ipv6=same), replace(OTHER, ipv6=same))
    assert line.one.up[6].local == line.other.up[6].remote != line.one.up[6].remote
