"""A peer, or whoever is on the line, that says what it should not: loops, rejects, floods, ends at any moment."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.line import DELAY, Line, dead
from tests.support.ppp import DEMAND, HERE, IDENTITY, ONE, OTHER, PACKETS, THERE, between, opened, session
from tests.support.talk_ppp import Talk
from vipd.model.link import Deliver, Down, Hangup, Phase, Send, Up
from vipd.ppp.session import Session
from vipd.ppp.settings import Echo, Settings, Timing
from vipd.wire import ppp_options as wire
from vipd.wire.ppp import Code, Option, Packet, Protocol, ProtocolReject
from vipd.wire.ppp import Echo as EchoData
from vipd.wire.ppp_options import Ipcp

LCP, IPCP, IPV6CP = Protocol.LCP, Protocol.IPCP, Protocol.IPV6CP


class Loop:
    """An end that hears nobody but itself."""

    def __init__(self, wanted: Settings) -> None:
        self.line = Line(session(wanted), session(OTHER, 2), (dead, dead))
        self.line.start()

    def run(self, until: float) -> Line:
        line, heard = self.line, 0
        while line.one.hangup is None:
            sent = line.one.sent()
            if heard < len(sent):
                line.now += DELAY
                line.carry_out(0, line.one.machine.receive(sent[heard], line.now))
                heard += 1
            elif line.one.machine.deadline <= until:
                line.now = line.one.machine.deadline
                line.carry_out(0, line.one.machine.tick(line.now))
            else:
                break
        return line


@pytest.mark.parametrize("most", [1, 2, 5, 20])
@pytest.mark.parametrize("wanted", [ONE, replace(ONE, demand=DEMAND, identity=IDENTITY)], ids=["plain", "proving"])
def test_a_looped_line_is_noticed_and_left(wanted: Settings, most: int) -> None:
    line = Loop(replace(wanted, timing=Timing(max_failure=most))).run(100.0)
    assert line.one.hangup == Hangup("the line is looped back to us")
    assert line.now < 10.0
    assert not any(isinstance(effect, Up) for _, effect in line.one.effects)


def unlucky(seed: int) -> Callable[[int], bytes]:
    """The first magic number that is drawn is everybody's."""
    source, first = Random(seed), [b"\x05\x05\x05\x05"]
    return lambda size: first.pop() if first and size == 4 else source.randbytes(size)


def test_two_ends_that_drew_the_same_magic_number_draw_again() -> None:
    line = Line(Session(replace(ONE, ipv6=None), unlucky(1)), Session(replace(OTHER, ipv6=None), unlucky(2)))
    line.start()
    assert line.one.sent()[0][-8:] == line.other.sent()[0][-8:] == b"\x05\x05\x05\x05\x07\x02\x08\x02"
    line.run(1.0)
    magics = [end.machine.agreed["magic"].split() for end in line.ends]
    assert magics[0][0] == magics[1][2] != magics[0][2] == magics[1][0]
    assert line.one.up.keys() == line.other.up.keys() == {4}


def test_a_line_that_is_looped_later_is_noticed_by_our_own_echo() -> None:
    line = opened(replace(ONE, echo=Echo(interval=1.0, failures=3)))
    line.fates[:] = [dead, dead]
    told = len(line.one.effects)
    while line.one.hangup is None:
        line.now = line.one.machine.deadline
        line.carry_out(0, line.one.machine.tick(line.now))
        for _, effect in line.one.effects[told:]:
            if isinstance(effect, Send):
                line.carry_out(0, line.one.machine.receive(effect.frame, line.now))
        told = len(line.one.effects)
    assert line.one.hangup == Hangup("the line is looped back to us")
    assert line.one.machine.counters["own_magic"] >= 3


def talk_opened(wanted: Settings = ONE) -> Talk:
    talk = Talk(wanted)
    talk.open_lcp(wire.magic(7))
    return talk


def test_an_echo_is_answered_with_our_own_magic_number_and_the_same_data() -> None:
    talk = talk_opened()
    [answer] = talk.say(LCP, Code.ECHO_REQUEST, 5, EchoData(7, b"anything").encode())
    assert (answer.code, answer.identifier) == (Code.ECHO_REPLY, 5)
    ours = int(talk.session.agreed["magic"].split()[0], 16)
    assert EchoData.decode(answer.data) == EchoData(ours, b"anything")
    assert talk.say(LCP, Code.ECHO_REQUEST, 6, EchoData(ours).encode()) == []
    assert talk.say(LCP, Code.DISCARD_REQUEST, 7, EchoData(7, b"anything").encode()) == []
    assert talk.say(LCP, Code.IDENTIFICATION, 8, EchoData(7, b"Windows").encode()) == []
    assert talk.say(LCP, Code.ECHO_REPLY, 9, EchoData(7).encode()) == []
    assert talk.session.counters == {"own_magic": 1, "unexpected": 1, "stale_reply": 1}


def test_a_late_reply_shows_that_the_peer_lives_too() -> None:
    talk = talk_opened(replace(ONE, ipv6=None, echo=Echo(interval=1.0, failures=2)))
    talk.answer(Code.CONFIGURE_ACK, talk.request(IPCP))
    talk.ask(IPCP, 1, wire.ipv4_address(Ipcp.ADDRESS, THERE))
    [first] = talk.tick()
    talk.tick()
    talk.say(LCP, Code.ECHO_REPLY, first.identifier, EchoData(7).encode())
    for _ in range(2):
        assert [said.code for said in talk.tick()] == [Code.ECHO_REQUEST]
    talk.tick()
    assert talk.hangup == Hangup("the peer answers no Echo-Request any more")


def test_an_echo_of_our_own_is_forgotten_once_the_peer_replies() -> None:
    talk = talk_opened(replace(ONE, echo=Echo(interval=1.0, failures=1)))
    [echo] = talk.tick(1.0)
    talk.say(LCP, Code.ECHO_REPLY, echo.identifier, echo.data)
    talk.say(LCP, Code.ECHO_REPLY, echo.identifier, EchoData(7).encode())
    talk.tick(2.0)
    talk.tick(3.0)
    assert talk.hangup == Hangup("the peer answers no Echo-Request any more")


@pytest.mark.parametrize("code", [Code.ECHO_REQUEST, Code.ECHO_REPLY, Code.PROTOCOL_REJECT])
def test_what_belongs_to_an_opened_link_is_dropped_before(code: Code) -> None:
    talk = Talk(ONE)
    assert talk.say(LCP, code, 1, bytes.fromhex("c0210101")) == []
    assert talk.session.counters == {"unexpected": 1}
    assert talk.session.phase is Phase.ESTABLISH


@pytest.mark.parametrize("protocol", [IPCP, Protocol.CHAP, Protocol.IPV4, 0x4221])
def test_all_but_lcp_is_dropped_while_that_is_not_opened(protocol: int) -> None:
    talk = Talk(ONE)
    assert talk.say(protocol, 1, 1) == []
    assert talk.session.counters == {"link_closed": 1}


@pytest.mark.parametrize("protocol", [0x4221, Protocol.COMPRESSION_CONTROL, Protocol.CHAP, Protocol.EAP])
def test_a_protocol_that_we_do_not_speak_is_rejected(protocol: int) -> None:
    talk = talk_opened()
    [first] = talk.say(protocol, 1, 9, b"abc")
    [second] = talk.say(protocol, 1, 9, b"abc")
    assert (first.protocol, first.code) == (LCP, Code.PROTOCOL_REJECT)
    assert ProtocolReject.decode(first.data) == ProtocolReject(protocol, Packet(1, 9, b"abc").encode())
    assert second.identifier != first.identifier
    assert talk.session.counters == {"unknown_protocol": 2}


def test_what_is_rejected_is_cut_to_what_the_peer_takes() -> None:
    talk = Talk(replace(ONE, ipv6=None))
    talk.open_lcp(wire.mru(100))
    for said in [talk.say(protocol, 77, 9, bytes(1000))[0] for protocol in (0x4221, LCP, IPCP)]:
        assert len(Packet(said.code, said.identifier, said.data).encode()) == 100
    [echo] = talk.say(LCP, Code.ECHO_REQUEST, 9, bytes(1000))
    assert len(echo.data) == 96
    # A negotiation begins with what every peer takes (RFC 1661 6.1).
    talk.ask(LCP, 201, wire.mru(100))
    [rejected] = talk.say(LCP, 77, 9, bytes(1000))
    assert rejected.data == Packet(77, 9, bytes(1000)).encode()


@pytest.mark.parametrize("protocol", [LCP, IPCP, IPV6CP])
def test_a_code_that_we_do_not_know_is_rejected_in_every_protocol(protocol: int) -> None:
    talk = talk_opened()
    [answer] = talk.say(protocol, 99, 9, b"abc")
    assert (answer.protocol, answer.code) == (protocol, Code.CODE_REJECT)
    assert answer.data == Packet(99, 9, b"abc").encode()
    assert talk.session.counters == {"unknown_code": 1}


def test_lcps_own_codes_mean_nothing_elsewhere() -> None:
    talk = talk_opened()
    assert [said.code for said in talk.say(IPCP, Code.ECHO_REQUEST, 1, bytes(4))] == [Code.CODE_REJECT]


@pytest.mark.parametrize(("code", "ends"), [(1, True), (7, True), (9, False), (12, False), (99, False)])
def test_a_rejected_code_ends_the_link_if_nothing_goes_without(code: int, ends: bool) -> None:
    line = opened()
    frame = b"\xff\x03\xc0\x21" + Packet(Code.CODE_REJECT, 1, Packet(code, 1).encode()).encode()
    line.carry_out(0, line.one.machine.receive(frame, line.now))
    line.run(20.0)
    assert line.one.hangup == (Hangup(f"the peer rejects code {code}") if ends else None)


def test_a_peer_that_knows_no_echo_is_asked_for_none_and_not_taken_for_dead() -> None:
    line = opened(replace(ONE, echo=Echo(interval=1.0, failures=1)))
    frame = b"\xff\x03\xc0\x21" + Packet(Code.CODE_REJECT, 1, Packet(Code.ECHO_REQUEST, 1).encode()).encode()
    line.carry_out(0, line.one.machine.receive(frame, line.now))
    sent = len(line.one.sent())
    line.fates[1] = dead
    line.run(9.0)
    assert len(line.one.sent()) == sent
    assert line.one.up


def test_a_peer_that_knows_no_protocol_reject_gets_none() -> None:
    talk = talk_opened()
    talk.say(LCP, Code.CODE_REJECT, 1, Packet(Code.PROTOCOL_REJECT, 1).encode())
    assert talk.say(0x4221, 1, 9) == []
    assert talk.session.counters == {"unknown_protocol": 1}


def test_a_peer_that_rejects_lcp_itself_is_left() -> None:
    talk = talk_opened()
    talk.say(LCP, Code.PROTOCOL_REJECT, 1, bytes.fromhex("c0210101"))
    assert talk.said[-1].code == Code.TERMINATE_REQUEST


@pytest.mark.parametrize("protocol", [IPCP, Protocol.IPV4])
def test_a_rejected_protocol_is_not_sent_again_and_the_other_family_stays(protocol: int) -> None:
    line = opened()
    reject = Packet(Code.PROTOCOL_REJECT, 1, ProtocolReject(protocol, b"").encode())
    frame = b"\xff\x03\xc0\x21" + reject.encode()
    for _ in range(2):
        line.carry_out(0, line.one.machine.receive(frame, line.now))
    sent = len(line.one.sent())
    line.run(1.5)
    assert line.one.up.keys() == {6}
    assert not line.pass_packet(0, PACKETS[4])
    later = line.one.sent()[sent:]
    assert not any(frame.startswith(b"\x80\x21") for frame in later)


@pytest.mark.parametrize("code", [1, 5])
def test_a_family_whose_codes_the_peer_rejects_is_not_tried_again(code: int) -> None:
    line = opened()
    frame = b"\x80\x57" + Packet(Code.CODE_REJECT, 1, Packet(code, 1).encode()).encode()
    line.carry_out(0, line.one.machine.receive(frame, line.now))
    line.run(10.0)
    sent = len(line.one.sent())
    line.run(1000.0)
    assert line.one.up.keys() == {4}
    assert not any(frame.startswith(b"\x80\x57") for frame in line.one.sent()[sent:])


def test_a_rejected_protocol_that_nobody_speaks_does_no_harm() -> None:
    line = opened()
    for protocol in (0x4221, Protocol.CHAP, 0xFFFF, 0):
        reject = Packet(Code.PROTOCOL_REJECT, 1, ProtocolReject(protocol, b"").encode())
        line.carry_out(0, line.one.machine.receive(b"\xff\x03\xc0\x21" + reject.encode(), line.now))
    assert line.one.up.keys() == {4, 6}


def test_a_peer_may_end_one_family_and_begin_it_again() -> None:
    line = opened()
    good, line.fates[0] = line.fates[0], dead
    terminate = b"\x80\x57" + Packet(Code.TERMINATE_REQUEST, 1, b"bye").encode()
    line.carry_out(0, line.one.machine.receive(terminate, line.now))
    assert line.one.up.keys() == {4}
    assert Down(6, "the peer ended it: bye") in [effect for _, effect in line.one.effects]
    assert line.one.machine.receive(b"\x21" + PACKETS[4], line.now) == [Deliver(PACKETS[4])]
    assert line.one.machine.receive(b"\x57" + PACKETS[6], line.now) == []
    assert line.one.machine.frame(PACKETS[6]) is None
    line.run(20.0)
    assert line.one.up.keys() == {4}
    line.fates[0] = good
    request = b"\x80\x57" + Packet(1, 1, bytes.fromhex("010a0000000000000009")).encode()
    line.carry_out(0, line.one.machine.receive(request, line.now))
    line.run(30.0)
    assert line.one.up.keys() == line.other.up.keys() == {4, 6}


def test_a_family_that_found_no_agreement_is_tried_again_while_the_other_is_up() -> None:
    line = between(replace(ONE, timing=Timing(max_configure=1)))
    good = line.fates[0]
    line.fates[:] = [lambda frame: [] if frame[:2] == b"\x80\x57" else good(frame)] * 2
    line.run(1000.0)
    assert line.one.up.keys() == {4}
    tries = [
        time for time, effect in line.one.effects if isinstance(effect, Send) and effect.frame[:3] == b"\x80\x57\x01"
    ]
    # Given up 3 s after each try; then 30 s, and twice as long after each failure, at most 600 s.
    assert [round(later - earlier) for earlier, later in itertools.pairwise(tries)] == [33, 63, 123, 243, 483]
    line.fates[:] = [good, good]
    line.run(2000.0)
    assert line.one.up.keys() == line.other.up.keys() == {4, 6}


@pytest.mark.parametrize("number", range(1, 24))
def test_an_end_that_is_stopped_at_any_moment_takes_the_other_with_it(number: int) -> None:
    one, other = replace(ONE, demand=DEMAND), replace(OTHER, identity=IDENTITY)
    line = between(one, other)
    for _ in range(number):
        line.step()
    line.stop(number % 2)
    line.run(300.0)
    for end in line.ends:
        assert end.hangup
        assert not end.up


@pytest.mark.parametrize("number", range(24))
def test_a_peer_that_changes_its_magic_number_at_any_moment_is_followed(number: int) -> None:
    line = between()
    for _ in range(number):
        line.step()
    line.ends[1].machine = session(OTHER, 99)
    line.other.up.clear()
    line.carry_out(1, line.other.machine.start(line.now))
    line.run(line.now + 60.0)
    assert line.one.up.keys() == line.other.up.keys() == {4, 6}
    assert line.one.machine.agreed["magic"].split()[0] == line.other.machine.agreed["magic"].split()[2]


def test_a_terminate_ack_that_nobody_asked_for_begins_anew() -> None:
    line = opened()
    line.carry_out(0, line.one.machine.receive(b"\xff\x03\xc0\x21" + Packet(6, 1).encode(), line.now))
    assert not line.one.up
    line.run(10.0)
    assert line.one.up.keys() == line.other.up.keys() == {4, 6}


def test_garbage_options_are_refused_and_the_link_comes_up() -> None:
    talk = Talk(replace(ONE, ipv6=None))
    garbage = [Option(kind, bytes(kind % 7)) for kind in range(40, 90)]
    [answer] = talk.ask(LCP, 1, *garbage)
    assert (answer.code, answer.options) == (Code.CONFIGURE_REJECT, tuple(garbage))
    talk.open_lcp()
    talk.answer(Code.CONFIGURE_ACK, talk.request(IPCP))
    assert talk.ask(IPCP, 1, *garbage)[0].code == Code.CONFIGURE_REJECT
    talk.ask(IPCP, 2, wire.ipv4_address(Ipcp.ADDRESS, THERE))
    assert talk.effects[-1] == Up(HERE, THERE, 1500)


some_lcp = st.builds(
    lambda code, identifier, data: b"\xff\x03\xc0\x21" + Packet(code, identifier, data).encode(),
    st.integers(0, 16),
    st.integers(0, 255),
    st.binary(max_size=40),
)
some_protocol = st.builds(
    lambda protocol, rest: protocol.to_bytes(2, "big") + rest,
    st.sampled_from([0x8021, 0x8057, 0xC223, 0xC023, 0x0021, 0x0057, 0xC025, 0x00FD]),
    st.binary(max_size=40),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=60) | some_lcp | some_protocol, max_size=30), st.booleans(), st.booleans())
def test_no_bytes_make_a_session_raise_or_answer_without_end(frames: list[bytes], begun: bool, proving: bool) -> None:
    demanding = replace(ONE, demand=DEMAND, identity=IDENTITY) if proving else ONE
    line = opened(demanding, replace(OTHER, demand=DEMAND, identity=IDENTITY)) if begun else between(demanding)
    for frame in frames:
        effects = line.one.machine.receive(frame, line.now)
        assert sum(isinstance(effect, Send) for effect in effects) <= 6
        assert all(isinstance(effect, Deliver) or effect not in effects[:place] for place, effect in enumerate(effects))
        line.carry_out(0, effects)
    assert line.one.machine.deadline >= line.now
