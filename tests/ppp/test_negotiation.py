"""Option negotiation, one packet after the other (RFC 1661 5.1 to 5.4), and peers that never agree."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.ppp import DEMAND, HERE, IDENTITY, ONE, THERE
from tests.support.talk_ppp import Talk
from vipd.model.link import Reframe, Up
from vipd.ppp.settings import AuthMethod, Ipv4, Settings, Timing
from vipd.wire import ppp_options as wire
from vipd.wire.ppp import Code, Option, Protocol
from vipd.wire.ppp_options import Ipcp, Lcp

LCP, IPCP, IPV6CP = Protocol.LCP, Protocol.IPCP, Protocol.IPV6CP
ACK, NAK, REJECT = Code.CONFIGURE_ACK, Code.CONFIGURE_NAK, Code.CONFIGURE_REJECT
PFC, ACFC = Option(Lcp.PROTOCOL_COMPRESSION), Option(Lcp.ADDRESS_COMPRESSION)
CHAP, PAP = Option(Lcp.AUTHENTICATION, wire.CHAP_WITH_MD5), Option(Lcp.AUTHENTICATION, wire.PAP)
QUALITY = Option(Lcp.QUALITY, bytes.fromhex("c02500000064"))
ONLY_IPV4 = Settings(ipv4=Ipv4(HERE, THERE))


def test_the_first_request_asks_for_what_differs_from_the_defaults() -> None:
    [request] = Talk(replace(ONE, mru=1400, accm=0x000A0000, demand=DEMAND)).said
    kinds = [option.kind for option in request.options]
    assert kinds == [
        Lcp.MRU,
        Lcp.ACCM,
        Lcp.AUTHENTICATION,
        Lcp.MAGIC,
        Lcp.PROTOCOL_COMPRESSION,
        Lcp.ADDRESS_COMPRESSION,
    ]
    assert request.options[:3] == (wire.mru(1400), wire.accm(0x000A0000), CHAP)
    [request] = Talk(replace(ONE, accm=None, compress=False)).said
    assert [option.kind for option in request.options] == [Lcp.MAGIC]


@pytest.mark.parametrize(
    ("settings", "asked", "code", "answered"),
    [
        (ONE, (), ACK, ()),
        (ONE, (wire.mru(1500), wire.accm(0), wire.magic(7), PFC, ACFC), ACK, None),
        (ONE, (QUALITY,), REJECT, None),
        (ONE, (wire.mru(1500), Option(77, b"??"), QUALITY), REJECT, (Option(77, b"??"), QUALITY)),
        (ONE, (wire.mru(1279),), NAK, (wire.mru(1280),)),
        (ONE, (wire.mru(1280),), ACK, None),
        (replace(ONE, ipv6=None), (wire.mru(1279),), ACK, None),
        (replace(ONE, ipv6=None), (wire.mru(67),), NAK, (wire.mru(68),)),
        (ONE, (CHAP,), REJECT, None),
        (replace(ONE, identity=IDENTITY), (CHAP,), ACK, None),
        (replace(ONE, identity=IDENTITY), (PAP,), NAK, (CHAP,)),
        (replace(ONE, identity=IDENTITY), (Option(3, bytes.fromhex("c22381")),), NAK, (CHAP,)),
        (replace(ONE, compress=False), (PFC, ACFC), REJECT, None),
        # A Reject goes first; what would be asked for otherwise waits for the next request.
        (ONE, (wire.mru(10), QUALITY), REJECT, (QUALITY,)),
        # Known, but of a size that it never has: what it should be is asked for.
        (ONE, (Option(Lcp.MRU, b"\x05"),), NAK, (wire.mru(1500),)),
        (ONE, (Option(Lcp.ACCM),), NAK, (wire.accm(0),)),
        (ONE, (Option(Lcp.PROTOCOL_COMPRESSION, b"!"),), NAK, (PFC,)),
        (replace(ONE, compress=False), (Option(Lcp.PROTOCOL_COMPRESSION, b"!"),), REJECT, None),
        # Nothing may stand twice.
        (ONE, (wire.mru(1500), wire.mru(1500)), REJECT, (wire.mru(1500),)),
    ],
)
def test_a_request_is_answered(
    settings: Settings, asked: tuple[Option, ...], code: Code, answered: tuple[Option, ...] | None
) -> None:
    [answer] = Talk(settings).ask(LCP, 9, *asked)
    assert (answer.protocol, answer.code, answer.identifier) == (LCP, code, 9)
    assert answer.options == (asked if answered is None else answered)


def test_a_magic_number_of_none_is_replaced() -> None:
    [answer] = Talk(ONE).ask(LCP, 1, wire.magic(0))
    assert answer.code == NAK
    assert answer.options[0].number != 0


def test_what_is_sent_again_is_the_same_packet() -> None:
    talk = Talk(ONE)
    first = talk.said
    assert talk.tick() == talk.tick() == first


def test_a_reply_ends_the_identifier_and_so_do_other_options() -> None:
    talk = Talk(replace(ONE, mru=1400))
    [first] = talk.said
    [second] = talk.answer(NAK, first, [wire.mru(1300)])
    assert second.identifier != first.identifier
    assert second.options[0] == wire.mru(1300)
    talk.answer(ACK, second)
    [third] = talk.tick()  # the peer never asked for anything
    assert third.identifier not in (first.identifier, second.identifier)
    assert third.data == second.data


def test_only_the_right_answer_to_the_last_request_is_believed() -> None:
    talk = Talk(replace(ONE, mru=1400))
    [request] = talk.said
    right = request.identifier, request.data
    wrong = [
        (ACK, right[0] ^ 1, right[1]),
        (ACK, right[0], right[1][:-2]),
        (ACK, right[0], b""),
        (NAK, right[0] ^ 1, wire.mru(1300).encode()),
        (NAK, right[0], b""),
        (REJECT, right[0], b""),
        (REJECT, right[0], wire.mru(1399).encode()),
        (REJECT, right[0], QUALITY.encode()),
    ]
    for code, identifier, data in wrong:
        assert talk.say(LCP, code, identifier, data) == []
    assert talk.session.counters == {"stale_reply": len(wrong)}
    assert talk.tick() == [request]
    talk.answer(ACK, request)
    talk.answer(ACK, request)  # doubled by the line
    assert talk.session.counters == {"stale_reply": len(wrong) + 1}


def test_malformed_packets_change_nothing() -> None:
    talk = Talk(ONE)
    talk.open_lcp()
    for code in (Code.CONFIGURE_REQUEST, ACK, NAK, REJECT):
        assert talk.say(LCP, code, 1, b"\x01\x01") == []
    assert talk.say(LCP, Code.CODE_REJECT, 1) == []
    assert talk.say(LCP, Code.PROTOCOL_REJECT, 1, b"\x80") == []
    assert talk.say(LCP, Code.ECHO_REQUEST, 1, b"\x80") == []
    assert talk.session.counters == {"malformed": 7}
    assert talk.session.phase == "network"


def test_rejected_options_are_not_asked_for_again() -> None:
    talk = Talk(replace(ONE, mru=1400))
    [request] = talk.said
    [second] = talk.answer(REJECT, request, [wire.mru(1400), PFC, ACFC])
    assert [option.kind for option in second.options] == [Lcp.ACCM, Lcp.MAGIC]
    [third] = talk.answer(REJECT, second, second.options)
    assert third.options == ()
    talk.answer(ACK, third)
    talk.ask(LCP, 1)
    assert talk.session.agreed["accm"].startswith("ffffffff here")
    assert talk.session.agreed["magic"].startswith("00000000 here")
    frame = talk.session.frame(b"\x45")
    assert frame is None


def test_each_negotiation_begins_with_all_wishes() -> None:
    talk = Talk(ONE)
    [first] = talk.said
    [second] = talk.answer(REJECT, first, [PFC])
    talk.answer(ACK, second)
    talk.ask(LCP, 1)
    talk.say(LCP, Code.TERMINATE_ACK, 9)  # the peer is closed, whatever we thought
    assert talk.request(LCP).data == first.data
    talk.answer(ACK, talk.request(LCP))
    talk.ask(LCP, 2)
    talk.ask(LCP, 3)  # and so when the peer begins
    assert talk.request(LCP).data == first.data


@pytest.mark.parametrize(
    ("nak", "asked"),
    [
        (wire.mru(1300), wire.mru(1300)),
        (wire.mru(1450), wire.mru(1400)),
        (wire.mru(100), wire.mru(1400)),
        (wire.accm(0x80000000), wire.accm(0x800A0000)),
        (Option(Lcp.MRU, b"\x05"), wire.mru(1400)),
    ],
    ids=str,
)
def test_what_the_peer_suggests_is_taken_as_far_as_it_serves(nak: Option, asked: Option) -> None:
    talk = Talk(replace(ONE, mru=1400, accm=0x000A0000))
    [second] = talk.answer(NAK, talk.said[0], [nak])
    assert asked in second.options


def test_a_suggestion_to_compress_nothing_is_taken() -> None:
    talk = Talk(ONE)
    [second] = talk.answer(NAK, talk.said[0], [PFC])
    assert PFC not in second.options
    assert ACFC in second.options


def test_a_magic_number_that_is_refused_is_drawn_anew() -> None:
    talk = Talk(ONE)
    [first] = talk.said
    [second] = talk.answer(NAK, first, [wire.magic(5)])
    before, after = ({o.kind: o.number for o in said.options}[Lcp.MAGIC] for said in (first, second))
    assert before != after


def test_the_peers_way_of_authentication_is_tried_first_if_it_would_do() -> None:
    both = replace(DEMAND, methods=(AuthMethod.CHAP, AuthMethod.PAP))
    talk = Talk(replace(ONE, demand=both))
    [second] = talk.answer(NAK, talk.said[0], [PAP])
    assert PAP in second.options


@pytest.mark.parametrize("code", [NAK, REJECT])
def test_a_peer_that_will_not_say_who_it_is_is_left(code: Code) -> None:
    talk = Talk(replace(ONE, demand=DEMAND))
    talk.answer(code, talk.said[0], [CHAP])
    assert [said.code for said in talk.said] == [Code.TERMINATE_REQUEST]
    talk.say(LCP, Code.TERMINATE_ACK, talk.said[0].identifier)
    assert talk.hangup
    assert talk.hangup.fatal
    assert "will not prove who it is" in talk.hangup.reason


def test_who_is_asked_for_a_name_and_has_none_is_told_so() -> None:
    talk = Talk(replace(ONE, timing=Timing(max_configure=1)))
    talk.ask(LCP, 1, CHAP)
    talk.tick()
    assert talk.hangup
    assert "no name and secret is set" in talk.hangup.reason


def test_after_five_naks_what_is_not_taken_is_rejected() -> None:
    talk = Talk(ONE)
    codes = [talk.ask(LCP, n, wire.mru(10))[0].code for n in range(7)]
    assert codes == [NAK] * 5 + [REJECT] * 2
    assert talk.ask(LCP, 8)[0].code == ACK
    assert talk.ask(LCP, 9, wire.mru(10))[0].code == NAK  # counted anew after an Ack


def test_a_peer_that_naks_for_ever_is_left_and_not_answered_for_ever() -> None:
    talk = Talk(ONE)
    [request] = talk.said
    asked = []
    while request.code == Code.CONFIGURE_REQUEST:
        asked.append(wire.mru(1400) in request.options)
        [request] = talk.answer(NAK, request, [wire.mru(1400)])
    # Its idea is taken, then the option given up as if it were rejected, then the peer.
    assert asked == [False] + [True] * 5 + [False] * 10
    assert b"accepts nothing" in request.data


def test_a_peer_that_rejects_all_there_is_can_still_be_reached() -> None:
    talk = Talk(ONLY_IPV4)
    [request] = talk.said
    while request.options:
        [request] = talk.answer(REJECT, request, request.options[:1])
    talk.answer(ACK, request)
    others = talk.ask(LCP, 1)[1:]
    assert [said.protocol for said in others] == [IPCP]
    [ipcp] = talk.answer(REJECT, others[0])
    assert ipcp.options == ()
    talk.answer(ACK, ipcp)
    talk.ask(IPCP, 1, wire.ipv4_address(Ipcp.ADDRESS, THERE))
    assert Up(HERE, THERE, 1500) in talk.effects


def test_a_peer_that_naks_an_appended_option_only_is_left_too() -> None:
    """What it wants is nothing that was asked for, and nothing to give."""
    talk = Talk(ONE)
    [request] = talk.said
    for _ in range(100):
        [request] = talk.answer(NAK, request, [Option(99)])
        if request.code == Code.TERMINATE_REQUEST:
            return
    pytest.fail("answered for ever")


def test_what_the_line_may_do_to_characters_follows_what_was_agreed() -> None:
    talk = Talk(replace(ONE, accm=0x00000002))
    talk.open_lcp(wire.accm(0x00000001))
    assert talk.effects[1] == Reframe(0x00000003, 0x00000002)
    # A peer that asks anew is heard, whatever it still escapes.
    talk.ask(LCP, 201)
    assert Reframe(0xFFFFFFFF, 0xFFFFFFFF) in talk.effects


def test_a_request_that_is_a_little_behind_the_last_one_is_dropped_for_a_while() -> None:
    talk = Talk(ONE)
    old, new = wire.mru(1400), wire.mru(1300)
    for identifier, option in ((254, old), (254, old), (1, new), (1, new)):
        assert talk.ask(LCP, identifier, option)[0].code == ACK
    for identifier in (254, 255, 0, 256 + 1 - 16):
        assert talk.ask(LCP, identifier, old) == []
    assert talk.session.counters == {"late_request": 4}
    # After a Restart period it is what the peer wants: its program may have been started anew.
    talk.now = 3.0
    assert talk.ask(LCP, 0, old)[0].code == ACK
    # And what is far behind is nothing late, but a peer that draws lots.
    assert talk.ask(LCP, 256 - 17, new)[0].code == ACK
