"""What IPCP and IPV6CP negotiate, one packet after the other (RFC 1332, RFC 1877, RFC 5072)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from tests.support.ppp import HERE, ONE, THERE
from tests.support.talk_ppp import Talk
from vipd.model.link import Up
from vipd.ppp.settings import Echo, Ipv4, Settings
from vipd.wire import ppp_options as wire
from vipd.wire.ppp import Code, Option, Protocol
from vipd.wire.ppp_options import Ipcp, Ipv6cp

LCP, IPCP, IPV6CP = Protocol.LCP, Protocol.IPCP, Protocol.IPV6CP
ACK, NAK, REJECT = Code.CONFIGURE_ACK, Code.CONFIGURE_NAK, Code.CONFIGURE_REJECT


def ipcp_talk(ipv4: Ipv4) -> Talk:
    talk = Talk(Settings(ipv4=ipv4))
    talk.open_lcp()
    return talk


@pytest.mark.parametrize(
    ("ipv4", "asked", "code", "answered"),
    [
        (Ipv4(HERE), wire.ipv4_address(Ipcp.ADDRESS, THERE), ACK, THERE),
        (Ipv4(HERE, THERE), wire.ipv4_address(Ipcp.ADDRESS, THERE), ACK, THERE),
        (Ipv4(HERE, THERE), wire.ipv4_address(Ipcp.ADDRESS, IPv4Address(0)), NAK, THERE),
        (Ipv4(HERE, THERE), wire.ipv4_address(Ipcp.ADDRESS, IPv4Address("10.9.9.9")), NAK, THERE),
        (Ipv4(HERE, THERE), Option(Ipcp.ADDRESS, b"\x0a"), NAK, THERE),
        (Ipv4(HERE), wire.ipv4_address(Ipcp.ADDRESS, IPv4Address(0)), REJECT, None),
        (Ipv4(HERE), wire.ipv4_address(Ipcp.ADDRESS, HERE), REJECT, None),
        (Ipv4(HERE), wire.ipv4_address(Ipcp.ADDRESS, IPv4Address("224.0.0.5")), REJECT, None),
        (Ipv4(HERE), Option(Ipcp.COMPRESSION, bytes.fromhex("002d0f01")), REJECT, None),
        (Ipv4(HERE), Option(Ipcp.ADDRESSES, HERE.packed + THERE.packed), REJECT, None),
    ],
)
def test_the_peers_address_is_judged(ipv4: Ipv4, asked: Option, code: Code, answered: IPv4Address | None) -> None:
    [answer] = ipcp_talk(ipv4).ask(IPCP, 3, asked)[:1]
    assert answer.code == code
    assert answer.options == ((wire.ipv4_address(Ipcp.ADDRESS, answered),) if answered else (asked,))


@pytest.mark.parametrize(("remote", "asked"), [(THERE, THERE), (None, IPv4Address(0))])
def test_a_peer_that_says_no_address_is_asked_for_one_five_times(
    remote: IPv4Address | None, asked: IPv4Address
) -> None:
    talk = ipcp_talk(Ipv4(HERE, remote))
    for turn in range(5):
        [answer] = talk.ask(IPCP, turn)
        assert (answer.code, answer.options) == (NAK, (wire.ipv4_address(Ipcp.ADDRESS, asked),))
    assert talk.ask(IPCP, 6)[0].code == ACK


def test_who_asks_for_name_servers_goes_without() -> None:
    peer = wire.ipv4_address(Ipcp.ADDRESS, THERE)
    unknown = [wire.ipv4_address(kind, IPv4Address(0)) for kind in (Ipcp.PRIMARY_DNS, Ipcp.SECONDARY_DNS)]
    talk = ipcp_talk(Ipv4(HERE, THERE))
    [answer] = talk.ask(IPCP, 1, peer, *unknown)
    assert (answer.code, answer.options) == (REJECT, tuple(unknown))
    assert talk.ask(IPCP, 2, peer)[0].code == ACK


def test_the_address_that_the_peer_gives_is_taken() -> None:
    talk = ipcp_talk(Ipv4())
    [request] = talk.tick()
    assert request.options == (wire.ipv4_address(Ipcp.ADDRESS, IPv4Address(0)),)
    [second] = talk.answer(NAK, request, [wire.ipv4_address(Ipcp.ADDRESS, HERE)])
    talk.answer(ACK, second)
    talk.ask(IPCP, 1, wire.ipv4_address(Ipcp.ADDRESS, THERE))
    assert talk.effects[-1] == Up(HERE, THERE, 1500)


def test_a_peer_that_insists_on_another_address_for_us_is_told_and_left() -> None:
    talk = ipcp_talk(Ipv4(HERE, THERE))
    [request] = talk.tick()
    while request.code == Code.CONFIGURE_REQUEST:
        [request] = talk.answer(NAK, request, [wire.ipv4_address(Ipcp.ADDRESS, IPv4Address("10.5.5.5"))])[:1]
    assert (request.protocol, request.code) == (IPCP, Code.TERMINATE_REQUEST)
    assert request.data == b"the peer wants us to be 10.5.5.5, not 10.0.0.1"


def test_a_family_that_was_given_up_is_closed_until_it_is_tried_again() -> None:
    talk = Talk(replace(ONE, echo=Echo(interval=0.0)))
    talk.open_lcp()
    request = talk.request(IPCP)
    while request.code == Code.CONFIGURE_REQUEST:
        [request] = talk.answer(NAK, request, [wire.ipv4_address(Ipcp.ADDRESS, IPv4Address("10.5.5.5"))])
    talk.say(IPCP, Code.TERMINATE_ACK, request.identifier)
    theirs = wire.ipv4_address(Ipcp.ADDRESS, THERE)
    assert [said.code for said in talk.ask(IPCP, 1, theirs)] == [Code.TERMINATE_ACK]
    while talk.session.deadline < 30.0:
        assert {said.protocol for said in talk.tick()} == {IPV6CP}
    talk.tick()
    talk.answer(ACK, talk.request(IPCP))
    talk.ask(IPCP, 2, theirs)
    assert talk.effects[-1] == Up(HERE, THERE, 1500)


def test_an_identifier_that_is_rejected_is_drawn_anew() -> None:
    talk = ipv6cp_talk(bytes(7) + b"\x01")
    [first] = talk.tick()
    [second] = talk.answer(REJECT, first)
    assert second.options[0].kind == Ipv6cp.IDENTIFIER
    assert second.data != first.data


def ipv6cp_talk(identifier: bytes) -> Talk:
    talk = Talk(replace(ONE, ipv4=None, ipv6=replace(ONE.ipv6, identifier=identifier)) if ONE.ipv6 else ONE)
    talk.open_lcp()
    return talk


def test_identifiers_are_negotiated_as_rfc_5072_says() -> None:
    ours, theirs = bytes(7) + b"\x01", bytes(7) + b"\x02"
    talk = ipv6cp_talk(ours)
    for wrong in (bytes(8), ours, b"\x01"):
        [answer] = talk.ask(IPV6CP, 1, Option(Ipv6cp.IDENTIFIER, wrong))
        assert answer.code == NAK
        assert answer.options[0].data not in (bytes(8), ours)
    assert talk.ask(IPV6CP, 2)[0].code == NAK
    compression = Option(Ipv6cp.COMPRESSION, bytes.fromhex("0061"))
    assert talk.ask(IPV6CP, 3, Option(Ipv6cp.IDENTIFIER, theirs), compression)[0].options == (compression,)
    [request] = talk.tick()
    assert request.options == (Option(Ipv6cp.IDENTIFIER, ours),)
    [request] = talk.answer(NAK, request, [Option(Ipv6cp.IDENTIFIER, bytes(7) + b"\x09")])
    assert request.options == (Option(Ipv6cp.IDENTIFIER, bytes(7) + b"\x09"),)
    [request] = talk.answer(NAK, request, [Option(Ipv6cp.IDENTIFIER, b"\x09"), Option(77, bytes(8))])
    assert request.options == (Option(Ipv6cp.IDENTIFIER, bytes(7) + b"\x09"),)
    [request] = talk.answer(NAK, request, [Option(Ipv6cp.IDENTIFIER, bytes(8))])
    assert request.options[0].data not in (bytes(8), bytes(7) + b"\x09")
