"""Cisco HDLC: two ends keep each other up, notice silence and loops, and tell each other their addresses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.line import DELAY, Line, Noise, dead
from tests.support.ppp import HERE, PACKETS, THERE
from tests.support.talk_slarp import heard, machine, said
from vipd.errors import ConfigError
from vipd.model.link import Deliver, Down, Hangup, Phase, Send, Up
from vipd.slarp.machine import CiscoHdlc
from vipd.slarp.settings import Ipv4, Ipv6, Settings
from vipd.wire.cisco_hdlc import AddressReply, Keepalive

ONE = Settings(ipv4=Ipv4(HERE, THERE), ipv6=Ipv6())
OTHER = Settings(ipv4=Ipv4(THERE, HERE), ipv6=Ipv6())


def between(one: Settings = ONE, other: Settings = OTHER) -> Line:
    line = Line(machine(one, 1), machine(other, 2))
    line.start()
    return line


def opened(one: Settings = ONE, other: Settings = OTHER) -> Line:
    line = between(one, other)
    line.run(1.0)
    return line


def test_both_ends_come_up_as_soon_as_each_knows_that_it_is_heard() -> None:
    line = opened()
    assert line.one.up[4] == Up(HERE, THERE, 1500)
    assert line.other.up[4] == Up(THERE, HERE, 1500)
    assert line.one.up[6].local.is_link_local
    assert line.one.up[6].remote is None
    assert {end.machine.phase for end in line.ends} == {Phase.NETWORK}
    assert [time for time, effect in line.one.effects if isinstance(effect, Up)] == [pytest.approx(2 * DELAY)] * 2


def test_they_stay_up_with_a_keep_alive_every_ten_seconds_each() -> None:
    line = opened()
    line.run(1000.0)
    assert line.one.up.keys() == {4, 6}
    assert all(end.machine.counters == {} for end in line.ends)
    # The first two within a moment, then one in ten seconds.
    assert [len(end.sent()) for end in line.ends] == [101, 101]


@pytest.mark.parametrize("version", [4, 6])
def test_packets_pass_both_ways_unchanged(version: int) -> None:
    line = opened()
    for place, end in ((0, line.other), (1, line.one)):
        assert line.pass_packet(place, PACKETS[version])
        line.run(line.now + 1.0)
        assert end.packets == [PACKETS[version]]


@pytest.mark.parametrize("address", [0x0F, 0x8F])
@pytest.mark.parametrize(("version", "kind"), [(4, 0x0800), (6, 0x86DD)])
def test_a_packet_is_taken_to_one_and_to_all(address: int, version: int, kind: int) -> None:
    frame = bytes((address, 0)) + kind.to_bytes(2, "big") + PACKETS[version]
    assert opened().one.machine.receive(frame, 1.0) == [Deliver(PACKETS[version])]


def test_nothing_passes_before_the_link_is_up_and_nothing_of_a_family_that_is_not() -> None:
    line = between()
    assert line.one.machine.frame(PACKETS[4]) is None
    assert line.one.machine.receive(b"\x0f\x00\x08\x00" + PACKETS[4], 0.0) == []
    line = opened(replace(ONE, ipv6=None))
    assert line.one.machine.frame(PACKETS[6]) is None
    assert line.one.machine.frame(b"") is None
    assert line.one.machine.receive(b"\x0f\x00\x86\xdd" + PACKETS[6], 1.0) == []
    assert line.one.machine.counters == {"network_closed": 3}


@pytest.mark.parametrize(
    ("frame", "counter"),
    [
        (b"\x0f\x00\x08\x00" + PACKETS[6], "wrong_version"),
        (b"\x0f\x00\x08\x00", "wrong_version"),
        (b"\x0f\x00\x20\x00\x01\xb4", "discovery"),
        (b"\x0f\x00\x88\x47\x00", "unknown_type"),
        (b"\xff\x03\x00\x21" + PACKETS[4], "malformed"),
        (b"\x0f\x01\x08\x00" + PACKETS[4], "malformed"),
        (b"\x8f\x00\x80\x35\x00\x00\x00\x03" + bytes(10), "malformed"),
        (b"", "malformed"),
        (heard(AddressReply(THERE, IPv4Address("255.255.255.252"))), "unexpected"),
    ],
)
def test_what_is_no_packet_for_us_is_counted_and_no_more(frame: bytes, counter: str) -> None:
    one = opened().one.machine
    assert one.receive(frame, 1.0) == []
    assert one.counters == {counter: 1}


def test_nothing_larger_than_the_line_takes_is_sent() -> None:
    one = opened(replace(ONE, mtu=1400)).one.machine
    assert one.frame(b"\x45" * 1400) is not None
    assert one.frame(b"\x45" * 1401) is None
    assert one.counters == {"too_big": 1}


def test_three_missed_keep_alives_end_the_link() -> None:
    line = opened()
    line.run(61.0)
    line.fates[1] = dead
    line.run(200.0)
    # Ours of 50 was answered at 60.01; those of 60, 70, 80 and 90 are more than three.
    assert line.one.effects[-1][0] == pytest.approx(100.0, abs=0.1)
    assert line.one.hangup == Hangup("the peer answers no keep-alive any more")
    assert [effect.version for _, effect in line.one.effects if isinstance(effect, Down)] == [6, 4]
    assert line.one.machine.phase is Phase.DEAD
    assert line.one.machine.deadline == inf


def test_an_end_that_is_not_heard_ends_too() -> None:
    line = opened()
    line.run(61.0)
    line.fates[0] = dead
    line.run(111.0)
    assert line.one.hangup == Hangup("the peer answers no keep-alive any more")


def test_two_missed_keep_alives_do_no_harm() -> None:
    line = opened()
    line.run(61.0)
    fates = list(line.fates)
    line.fates[:] = [dead, dead]
    line.run(81.0)
    line.fates[:] = fates
    line.run(1000.0)
    assert not any(isinstance(effect, Down) for end in line.ends for _, effect in end.effects)


def test_an_end_that_never_hears_anybody_waits_for_ever() -> None:
    line = Line(machine(ONE), machine(OTHER, 2), (dead, dead))
    line.start()
    line.run(10_000.0)
    assert line.one.hangup is None
    assert line.one.machine.phase is Phase.ESTABLISH
    assert not line.one.up


def looped(seconds: float, before: float = 0.0) -> Line:
    """An end that hears itself: from the start, or after the line was good for some time."""
    line = between()
    if before:
        line.run(before)
    else:
        line = Line(machine(ONE), machine(OTHER, 2), (dead, dead))
        line.start()
    one = line.one.machine
    line.fates[:] = [dead, dead]
    told = len(line.one.effects)
    while line.one.hangup is None and one.deadline <= seconds:
        line.now = one.deadline
        line.carry_out(0, one.tick(line.now))
        for _, effect in line.one.effects[told:]:
            if isinstance(effect, Send):
                line.carry_out(0, one.receive(effect.frame, line.now + DELAY))
        told = len(line.one.effects)
    return line


def test_a_looped_line_never_comes_up() -> None:
    line = looped(1000.0)
    assert not line.one.up
    assert line.one.machine.agreed == {"line": "looped back to us"}
    assert line.one.machine.counters == {"own_keepalive": 100}


def test_a_line_that_is_looped_later_ends() -> None:
    line = looped(1000.0, before=61.0)
    assert line.one.hangup == Hangup("the line is looped back to us")


def test_each_end_counts_its_own_and_repeats_the_others() -> None:
    one = machine(ONE)
    [first] = said(one.start(0.0))
    assert isinstance(first, Keepalive)
    assert first.seen == 0
    [answer] = said(one.receive(heard(Keepalive(7, first.sequence)), 1.0))
    assert answer == Keepalive(first.sequence + 1, 7, 1000)
    assert one.phase is Phase.NETWORK
    assert said(one.receive(heard(Keepalive(8, answer.sequence)), 2.0)) == []
    assert said(one.tick(one.deadline)) == [Keepalive(first.sequence + 2, 8, 11_000)]


def test_numbers_begin_anew_after_the_largest_and_are_never_none() -> None:
    one = CiscoHdlc(ONE, lambda size: b"\xff" * size)
    [first] = said(one.start(0.0))
    assert isinstance(first, Keepalive)
    assert first.sequence == 1


def test_an_answer_to_an_older_keep_alive_counts_as_long_as_it_is_not_missed() -> None:
    one = machine(ONE)
    [first] = said(one.start(0.0))
    assert isinstance(first, Keepalive)
    one.receive(heard(Keepalive(1, 0)), 0.0)
    one.tick(one.deadline)
    one.tick(one.deadline)
    one.receive(heard(Keepalive(2, (first.sequence - 1) % 2**32)), 25.0)
    assert not one.agreed  # of one that was never sent
    one.receive(heard(Keepalive(3, first.sequence + 1)), 25.0)
    assert one.agreed


def test_without_keep_alives_the_link_is_up_at_once() -> None:
    line = between(replace(ONE, interval=0.0), replace(OTHER, interval=0.0))
    assert line.one.up.keys() == {4, 6}
    assert line.one.machine.deadline == inf
    assert line.one.sent() == []


@pytest.mark.parametrize("interval", [0.0, 10.0])
@pytest.mark.parametrize(
    ("local", "prefix", "other"),
    [("10.0.0.1", 30, "10.0.0.2"), ("10.0.0.6", 30, "10.0.0.5"), ("10.0.0.4", 31, "10.0.0.5")],
)
def test_an_end_without_an_address_asks_and_takes_the_other_one(
    local: str, prefix: int, other: str, interval: float
) -> None:
    knowing = Settings(ipv4=Ipv4(IPv4Address(local), prefix=prefix), interval=interval)
    line = opened(knowing, Settings(ipv4=Ipv4(), interval=interval))
    assert line.other.up[4] == Up(IPv4Address(other), IPv4Address(local), 1500)
    assert line.one.up[4] == Up(IPv4Address(local), IPv4Address(other), 1500)


@pytest.mark.parametrize(
    ("address", "mask"),
    [
        ("10.0.0.1", "255.255.255.0"),
        ("10.0.0.0", "255.255.255.252"),
        ("10.0.0.3", "255.255.255.252"),
        ("0.0.0.0", "255.255.255.254"),
        ("10.0.0.1", "0.0.0.3"),
        ("224.0.0.1", "255.255.255.252"),
    ],
)
def test_an_address_that_tells_nothing_about_ours_is_not_taken(address: str, mask: str) -> None:
    one = machine(Settings(interval=0.0))
    one.start(0.0)
    assert one.receive(heard(AddressReply(IPv4Address(address), IPv4Address(mask))), 0.0) == []
    assert one.counters == {"unexpected": 1}
    assert len(said(one.tick(10.0))) == 1  # and asks again


def test_an_end_without_an_address_does_not_answer_for_one() -> None:
    line = opened(Settings(), Settings())
    line.run(100.0)
    assert not line.one.up
    assert line.one.machine.counters == {"unexpected": 10 + 1}


def test_stopping_takes_all_down_at_once() -> None:
    line = opened()
    line.carry_out(0, line.one.machine.stop(1.0))
    assert line.one.hangup == Hangup("stopped here")
    assert line.one.machine.phase is Phase.DEAD


def test_a_lost_line_takes_the_families_down_and_the_next_one_brings_them_up() -> None:
    line = opened()
    before = line.one.up[6]
    for place, end in enumerate(line.ends):
        line.carry_out(place, end.machine.lost(line.now))
        assert end.machine.deadline == inf
        assert end.machine.receive(heard(Keepalive(1, 1)), 1.0) == []
        assert end.machine.tick(1.0) == []
    line.start()
    line.run(2.0)
    assert line.one.up[6] == before


@settings(max_examples=50, deadline=None)
@given(
    st.builds(Noise, st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 0.1)), st.integers(0, 2**32)
)
def test_whatever_the_line_does_the_ends_are_up_once_it_is_good(noise: Noise, seed: int) -> None:
    line = Line(machine(ONE, seed), machine(OTHER, seed + 1), (noise.fate(seed), noise.fate(seed + 1)))
    line.start()
    for _ in range(20):
        line.run(line.now + 20.0)
        for place, end in enumerate(line.ends):
            if end.hangup:
                end.hangup = None
                line.carry_out(place, end.machine.start(line.now))
    line.fates[:] = [Noise().fate(0), Noise().fate(0)]
    for _ in range(4):
        line.run(line.now + 50.0)
        for place, end in enumerate(line.ends):
            if end.hangup:
                end.hangup = None
                line.carry_out(place, end.machine.start(line.now))
    assert line.one.up.keys() == line.other.up.keys() == {4, 6}


@given(st.lists(st.binary(max_size=40) | st.binary(max_size=20).map(lambda rest: b"\x8f\x00\x80\x35" + rest)))
def test_no_bytes_make_it_raise_or_come_up(frames: list[bytes]) -> None:
    one = machine(ONE)
    one.start(0.0)
    for frame in frames:
        for effect in one.receive(frame, 1.0):
            assert isinstance(effect, Send | Up)


def test_settings_may_go_to_their_limits() -> None:
    assert Settings(misses=1, interval=0.0, mtu=68).mtu == 68
    assert Settings(ipv6=Ipv6(), mtu=1280).mtu == 1280
    assert Settings(mtu=65535).mtu == 65535


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Ipv4(HERE, HERE), "remote: 10.0.0.1 is the local address too"),
        (lambda: Ipv4(HERE, prefix=24), "remote: 10.0.0.1/24 does not tell it; give one"),
        (lambda: Ipv4(None, HERE), "remote: only with a local address; without, both come from the peer"),
        (lambda: Ipv4(IPv4Address("224.0.0.1"), HERE), "local: 224.0.0.1 cannot be"),
        (lambda: Ipv4(HERE, THERE, 0), "prefix: 0 is no length"),
        (lambda: Ipv6(bytes(8)), "identifier: 8 octets expected"),
        (lambda: Settings(ipv4=None), "ipv4: neither"),
        (lambda: Settings(ipv6=Ipv6(), mtu=1279), "mtu: 1279 is not possible; 1280 to 65535"),
        (lambda: Settings(interval=-1.0), "interval: -1.0 is no time to wait"),
        (lambda: Settings(misses=0), "misses: 0 is too few"),
    ],
)
def test_settings_that_make_no_sense_are_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        build()
    assert str(refused.value).startswith(message)
