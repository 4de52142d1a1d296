"""PAP and CHAP, as who asks and as who answers: right and wrong secrets, repeated, reflected and missing packets."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from tests.support.line import dead
from tests.support.ppp import DEMAND, IDENTITY, NAME, ONE, OTHER, SECRET, WRONG, between, opened
from tests.support.talk_ppp import Said, Talk
from vipd.model.link import Deliver, Down, Hangup, Phase, Up
from vipd.ppp.settings import AuthMethod, Demand, Echo, Identity, Settings
from vipd.wire import ppp_options as wire
from vipd.wire.ppp import Code, Option, Protocol
from vipd.wire.ppp_auth import ChapCode, Credentials, PapCode, Proof
from vipd.wire.ppp_options import Lcp

CHAP, PAP = AuthMethod.CHAP, AuthMethod.PAP
ASKS_CHAP, ASKS_PAP = Option(Lcp.AUTHENTICATION, wire.CHAP_WITH_MD5), Option(Lcp.AUTHENTICATION, wire.PAP)
WAYS = [(CHAP,), (PAP,), (CHAP, PAP), (PAP, CHAP)]
EITHER = Identity(NAME, SECRET, (CHAP, PAP))


def response(challenge: Said, secret: bytes = SECRET.reveal(), name: bytes = NAME.encode()) -> bytes:
    """Computed as RFC 1994 4.1 words it, by nobody's code but the library's."""
    value = Proof.decode(challenge.data).value
    digest = hashlib.md5(bytes((challenge.identifier,)) + secret + value, usedforsecurity=False).digest()
    return Proof(digest, name).encode()


@pytest.mark.parametrize("demanded", WAYS, ids=str)
@pytest.mark.parametrize("offered", WAYS, ids=str)
def test_ends_with_a_way_in_common_find_it_and_others_part(
    demanded: tuple[AuthMethod, ...], offered: tuple[AuthMethod, ...]
) -> None:
    one = replace(ONE, demand=replace(DEMAND, methods=demanded))
    other = replace(OTHER, identity=replace(IDENTITY, methods=offered))
    line = opened(one, other)
    line.run(40.0)
    common = set(demanded) & set(offered)
    assert bool(line.one.up) is bool(line.other.up) is bool(common)
    if common:
        used = line.one.machine.agreed["peer proved by"]
        assert used.endswith(f", {NAME}")
        assert used.partition(",")[0] in common
        assert line.other.machine.agreed["proved to peer by"].startswith(used.partition(",")[0])
    else:
        assert line.one.hangup
        assert line.one.hangup.fatal


ASKED = "the peer asks who we are, and no name and secret is set"


def test_who_has_no_name_for_a_peer_that_asks_is_told_and_does_not_try_for_ever() -> None:
    line = opened(replace(ONE, demand=DEMAND), OTHER)
    line.run(10.0)
    assert line.other.hangup
    assert line.other.hangup.fatal
    assert line.other.hangup.reason == f"the peer ended it ({ASKED})"


@pytest.mark.parametrize(
    ("settings", "asks", "said"),
    [(ONE, ASKS_CHAP, ASKED), (replace(ONE, identity=IDENTITY), ASKS_PAP, "a proof that is not allowed here")],
    ids=["no name", "no secret in clear"],
)
def test_a_peer_that_goes_on_without_our_name_and_then_ends_it_is_not_called_again(
    settings: Settings, asks: Option, said: str
) -> None:
    talk = Talk(settings)
    [answer] = talk.ask(Protocol.LCP, 199, asks)
    assert answer.code in (Code.CONFIGURE_REJECT, Code.CONFIGURE_NAK)
    talk.open_lcp()
    talk.say(Protocol.LCP, Code.TERMINATE_REQUEST, 201, b"go away")
    while not talk.hangup:
        talk.tick()
    assert talk.hangup.fatal
    assert talk.hangup.reason.startswith("the peer ended it: go away (")
    assert said in talk.hangup.reason


def test_a_peer_that_got_our_name_in_the_end_may_come_again() -> None:
    talk = Talk(replace(ONE, identity=IDENTITY))
    talk.ask(Protocol.LCP, 199, ASKS_PAP)
    talk.open_lcp(ASKS_CHAP)
    talk.say(Protocol.LCP, Code.TERMINATE_REQUEST, 201, b"go away")
    while not talk.hangup:
        talk.tick()
    assert talk.hangup == Hangup("the peer ended it: go away")


@pytest.mark.parametrize("here", [CHAP, PAP])
@pytest.mark.parametrize("there", [CHAP, PAP])
def test_both_ends_may_ask_each_other_each_in_its_own_way(here: AuthMethod, there: AuthMethod) -> None:
    line = opened(
        replace(ONE, demand=replace(DEMAND, methods=(here,)), identity=EITHER),
        replace(OTHER, demand=replace(DEMAND, methods=(there,)), identity=EITHER),
    )
    assert line.one.up.keys() == line.other.up.keys() == {4, 6}


@pytest.mark.parametrize("method", [CHAP, PAP])
@pytest.mark.parametrize(
    "known", [{NAME: WRONG}, {"site-c": SECRET}, {NAME.upper(): SECRET}], ids=["secret", "name", "case"]
)
def test_who_cannot_prove_its_name_is_told_so_and_never_let_in(method: AuthMethod, known: dict[str, object]) -> None:
    demand = Demand({name: secret for name, secret in known.items() if isinstance(secret, type(SECRET))}, (method,))
    line = opened(replace(ONE, demand=demand), replace(OTHER, identity=EITHER))
    line.run(20.0)
    assert line.one.hangup == Hangup("the peer gave a wrong secret, or a name that is not known: site-b", fatal=True)
    assert line.other.hangup == Hangup("the peer refuses our name and secret: wrong name or secret", fatal=True)
    assert not any(isinstance(effect, Up | Deliver) for end in line.ends for _, effect in end.effects)
    assert line.one.machine.counters["bad_credentials"] == 1


@pytest.mark.parametrize(
    ("method", "asking", "answering"),
    [
        (CHAP, "the peer does not answer our challenge", "the peer sends no challenge"),
        (PAP, "the peer does not say who it is", "the peer does not answer to our name and secret"),
    ],
)
def test_silence_in_authentication_ends_the_link_and_may_be_tried_again(
    method: AuthMethod, asking: str, answering: str
) -> None:
    mute = Echo(interval=0.0)
    line = between(
        replace(ONE, demand=replace(DEMAND, methods=(method,)), echo=mute), replace(OTHER, identity=EITHER, echo=mute)
    )
    line.run_till(lambda: all(end.machine.phase is Phase.AUTHENTICATE for end in line.ends), 5.0)
    line.cut()
    line.run(60.0)
    assert [end.hangup for end in line.ends] == [Hangup(asking), Hangup(answering)]


def chap_talk(settings: Settings) -> tuple[Talk, Said]:
    """A session that has just sent its challenge."""
    talk = Talk(settings)
    [challenge] = talk.open_lcp()
    assert (challenge.protocol, challenge.code) == (Protocol.CHAP, ChapCode.CHALLENGE)
    return talk, challenge


def test_a_challenge_is_repeated_until_it_is_answered() -> None:
    talk, challenge = chap_talk(replace(ONE, demand=DEMAND))
    assert len(Proof.decode(challenge.data).value) == 16
    while talk.session.deadline < 9.5:
        assert talk.tick() == [challenge]
    talk.say(Protocol.CHAP, ChapCode.RESPONSE, challenge.identifier, response(challenge))
    assert talk.said[0].code == ChapCode.SUCCESS
    assert talk.session.phase is Phase.NETWORK


def test_a_repeated_response_gets_the_same_answer_even_in_the_network_phase() -> None:
    talk, challenge = chap_talk(replace(ONE, demand=DEMAND))
    right = response(challenge)
    first = talk.say(Protocol.CHAP, ChapCode.RESPONSE, challenge.identifier, right)[0]
    assert talk.say(Protocol.CHAP, ChapCode.RESPONSE, challenge.identifier, right) == [first]
    assert talk.say(Protocol.CHAP, ChapCode.RESPONSE, challenge.identifier, response(challenge, b"wrong")) == [first]


def test_what_answers_another_challenge_or_none_is_dropped() -> None:
    talk, challenge = chap_talk(replace(ONE, demand=DEMAND))
    right = response(challenge)
    assert talk.say(Protocol.CHAP, ChapCode.RESPONSE, challenge.identifier ^ 1, right) == []
    for code in (ChapCode.SUCCESS, ChapCode.FAILURE, ChapCode.CHALLENGE, 77):
        assert talk.say(Protocol.CHAP, code, challenge.identifier, right) == []
    assert talk.say(Protocol.CHAP, ChapCode.RESPONSE, challenge.identifier, b"\x10") == []
    assert talk.session.counters == {"unexpected": 5, "malformed": 1}
    assert talk.session.phase is Phase.AUTHENTICATE


@pytest.mark.parametrize("value", [b"", bytes(15), bytes(17), bytes(16)])
def test_a_response_of_the_wrong_size_is_a_wrong_one(value: bytes) -> None:
    talk, challenge = chap_talk(replace(ONE, demand=DEMAND))
    said = talk.say(Protocol.CHAP, ChapCode.RESPONSE, challenge.identifier, Proof(value, NAME.encode()).encode())
    assert [one.code for one in said] == [ChapCode.FAILURE, Code.TERMINATE_REQUEST]


def test_the_peer_is_challenged_again_and_again_and_each_time_anew() -> None:
    talk, challenge = chap_talk(replace(ONE, demand=replace(DEMAND, again=1.0)))
    seen = {challenge.data}
    identifiers = [challenge.identifier]
    for turn in range(1, 6):
        talk.say(Protocol.CHAP, ChapCode.RESPONSE, challenge.identifier, response(challenge))
        talk.now = 1.0 * turn
        talk.effects = talk.session.tick(talk.now)
        challenge = next(said for said in talk.said if said.protocol == Protocol.CHAP)
        assert challenge.data not in seen
        seen.add(challenge.data)
        identifiers.append(challenge.identifier)
    assert len(set(identifiers)) == 6
    talk.say(Protocol.CHAP, ChapCode.RESPONSE, challenge.identifier, response(challenge, b"wrong"))
    assert talk.session.phase is Phase.TERMINATE


def test_a_peer_that_answers_no_later_challenge_loses_the_link() -> None:
    line = opened(replace(ONE, demand=replace(DEMAND, again=30.0)), replace(OTHER, identity=IDENTITY))
    line.run(100.0)
    assert line.one.up
    assert len({frame for frame in line.one.sent() if frame[:3] == b"\xc2\x23\x01"}) == 4
    line.fates[1] = dead
    line.run(200.0)
    assert any(isinstance(effect, Down) for _, effect in line.one.effects)
    assert line.one.hangup


def prover(methods: tuple[AuthMethod, ...] = (CHAP, PAP)) -> Settings:
    return replace(ONE, identity=replace(IDENTITY, methods=methods))


def challenge_with(value: bytes, name: bytes = b"gate") -> bytes:
    return Proof(value, name).encode()


def test_a_challenge_is_answered_as_rfc_1994_says_until_it_is_known_how() -> None:
    talk = Talk(prover())
    assert talk.open_lcp(ASKS_CHAP) == []
    [answer] = talk.say(Protocol.CHAP, ChapCode.CHALLENGE, 42, challenge_with(bytes(range(24))))
    expected = hashlib.md5(b"\x2a" + SECRET.reveal() + bytes(range(24)), usedforsecurity=False).digest()
    assert (answer.code, answer.identifier) == (ChapCode.RESPONSE, 42)
    assert Proof.decode(answer.data) == Proof(expected, NAME.encode())
    assert talk.tick() == [answer]
    assert talk.say(Protocol.CHAP, ChapCode.SUCCESS, 41) == []
    assert talk.say(Protocol.CHAP, ChapCode.SUCCESS, 42)[0].protocol == Protocol.IPCP
    assert talk.session.agreed["proved to peer by"] == "chap, gate"
    [again] = talk.say(Protocol.CHAP, ChapCode.CHALLENGE, 43, challenge_with(bytes(16), b"gate\x1b[2J"))
    assert again.code == ChapCode.RESPONSE
    talk.say(Protocol.CHAP, ChapCode.SUCCESS, 43)
    assert talk.session.agreed["proved to peer by"] == "chap, gate?[2J"
    talk.say(Protocol.CHAP, ChapCode.CHALLENGE, 44, challenge_with(bytes(16)))
    talk.say(Protocol.CHAP, ChapCode.FAILURE, 44, b"go away\x07")
    assert talk.said[-1].data == b"the peer refuses our name and secret: go away?"


def test_each_end_has_a_clock_of_its_own() -> None:
    """The peer is known, and will be asked again in a minute; it has not yet said how it takes our answer."""
    talk = Talk(replace(prover(), demand=replace(DEMAND, again=60.0)))
    [challenge] = talk.open_lcp(ASKS_CHAP)
    talk.say(Protocol.CHAP, ChapCode.RESPONSE, challenge.identifier, response(challenge))
    [answer] = talk.say(Protocol.CHAP, ChapCode.CHALLENGE, 42, challenge_with(bytes(16)))
    assert talk.session.deadline == 3.0
    assert talk.tick() == [answer]


def test_an_answer_that_is_never_taken_nor_refused_ends_the_link() -> None:
    talk = Talk(replace(prover(), echo=Echo(interval=0.0)))
    talk.open_lcp(ASKS_CHAP)
    [answer] = talk.say(Protocol.CHAP, ChapCode.CHALLENGE, 42, challenge_with(bytes(16)))
    tries = 1
    while talk.tick() == [answer]:
        tries += 1
    assert tries == 10
    assert talk.said[0].data == b"the peer does not say how it takes our answer"


def test_an_empty_challenge_is_no_challenge() -> None:
    talk = Talk(prover())
    talk.open_lcp(ASKS_CHAP)
    assert talk.say(Protocol.CHAP, ChapCode.CHALLENGE, 1, challenge_with(b"")) == []
    assert talk.session.counters == {"malformed": 1}


def test_our_own_challenge_is_not_answered_for_the_peer() -> None:
    """Else the peer could send the answer back as its own, without knowing any secret."""
    talk = Talk(replace(prover(), demand=DEMAND))
    [challenge] = talk.open_lcp(ASKS_CHAP)
    assert talk.say(Protocol.CHAP, ChapCode.CHALLENGE, challenge.identifier, challenge.data) == []
    assert talk.session.counters == {"reflected": 1}
    [answer] = talk.say(Protocol.CHAP, ChapCode.CHALLENGE, 9, challenge_with(bytes(16)))
    assert answer.code == ChapCode.RESPONSE


def test_credentials_are_sent_until_they_are_answered() -> None:
    talk = Talk(prover())
    [request] = talk.open_lcp(ASKS_PAP)
    assert (request.protocol, request.code) == (Protocol.PAP, PapCode.AUTHENTICATE_REQUEST)
    assert "proved to peer by" not in talk.session.agreed
    assert Credentials.decode(request.data) == Credentials(NAME.encode(), SECRET.reveal())
    assert talk.tick() == [request]
    assert talk.say(Protocol.PAP, PapCode.AUTHENTICATE_ACK, request.identifier ^ 1, b"\0") == []
    talk.say(Protocol.PAP, PapCode.AUTHENTICATE_ACK, request.identifier)
    assert talk.session.phase is Phase.NETWORK
    assert talk.session.agreed["proved to peer by"] == "pap"
    assert talk.say(Protocol.PAP, PapCode.AUTHENTICATE_NAK, request.identifier, b"\0") == []
    assert talk.session.phase is Phase.NETWORK


def test_the_secret_is_not_sent_in_clear_unless_that_was_allowed() -> None:
    talk = Talk(prover((CHAP,)))
    [answer] = talk.ask(Protocol.LCP, 1, ASKS_PAP)
    assert (answer.code, answer.options) == (Code.CONFIGURE_NAK, (ASKS_CHAP,))


def test_repeated_credentials_get_the_same_answer() -> None:
    talk = Talk(replace(ONE, demand=replace(DEMAND, methods=(PAP,))))
    assert talk.open_lcp() == []
    assert "peer proved by" not in talk.session.agreed
    right, wrong = (Credentials(NAME.encode(), secret).encode() for secret in (SECRET.reveal(), b"wrong"))
    first = talk.say(Protocol.PAP, PapCode.AUTHENTICATE_REQUEST, 1, right)[0]
    assert first.code == PapCode.AUTHENTICATE_ACK
    assert talk.session.agreed["peer proved by"] == "pap, site-b"
    for data in (right, wrong):
        [again] = talk.say(Protocol.PAP, PapCode.AUTHENTICATE_REQUEST, 2, data)
        assert (again.code, again.identifier) == (PapCode.AUTHENTICATE_ACK, 2)
    assert talk.say(Protocol.PAP, PapCode.AUTHENTICATE_ACK, 2, b"\0") == []


def test_nothing_passes_before_both_ends_are_known() -> None:
    talk, _ = chap_talk(replace(ONE, demand=DEMAND))
    for protocol in (Protocol.IPCP, Protocol.IPV6CP, Protocol.IPV4, Protocol.EAP, Protocol.PAP):
        assert talk.say(protocol, 1, 1) == []
    assert talk.session.counters == {"unauthenticated": 5}
    assert talk.session.frame(b"\x45") is None


def test_who_was_known_is_asked_again_when_the_link_is_negotiated_anew() -> None:
    line = opened(replace(ONE, demand=DEMAND), replace(OTHER, identity=IDENTITY))
    line.carry_out(1, line.other.machine.start(line.now))
    line.run(2.0)
    challenges = [frame for frame in line.one.sent() if frame[:3] == b"\xc2\x23\x01"]
    assert len(set(challenges)) == 2
    assert line.one.up


def test_a_way_that_the_peer_agreed_to_and_then_does_not_know_ends_the_link() -> None:
    talk, _ = chap_talk(replace(ONE, demand=DEMAND))
    talk.say(Protocol.LCP, Code.PROTOCOL_REJECT, 1, bytes.fromhex("c2230101"))
    assert talk.said[-1].code == Code.TERMINATE_REQUEST
    assert b"rejects CHAP" in talk.said[-1].data


def test_no_secret_is_in_any_representation_of_a_session() -> None:
    line = opened(replace(ONE, demand=DEMAND, identity=EITHER), replace(OTHER, identity=EITHER))
    for thing in (line.one.machine, line.other.machine, ONE, DEMAND, EITHER, line.one.machine.agreed):
        assert "sesame" not in repr(thing)
    assert not any(b"sesame" in frame for end in line.ends for frame in end.sent())
