"""What `vipd link up` is told: every mistake is refused, by the option's name, with what is allowed."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Address, ip_interface, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.line import Line
from vipd.errors import ConfigError
from vipd.link.build import machine
from vipd.link.options import (
    Auth,
    Ends,
    Keepalive,
    Options,
    Proof,
    default_accm,
    parse_accm,
    parse_address,
    parse_ends,
    parse_route,
)
from vipd.model.line import Flow, Pty, Serial
from vipd.model.link import Encapsulation, Framing
from vipd.model.peer import Peer
from vipd.wire.ppp import Frame, Packet, Protocol
from vipd.wire.ppp_auth import ChapCode

A, B = IPv4Address("10.9.0.1"), IPv4Address("10.9.0.2")


def options(**fields: Any) -> Options:
    given = {
        "peer": Peer("paris"),
        "place": Pty(),
        "interface": "paris",
        "framing": Framing.ASYNC,
        "encapsulation": Encapsulation.PPP,
        "ipv4": Ends(A, B),
        "ipv6": True,
        **fields,
    }
    return Options(**given)


CISCO = {"encapsulation": Encapsulation.CISCO_HDLC}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"ipv4": None, "ipv6": False}, "ipv4: no packets may pass"),
        ({"fcs": 8}, "fcs: 8 bits; 16 or 32 is allowed"),
        ({"interface": "a/b"}, "interface: 'a/b' cannot name an interface"),
        ({"interface": "tun%d"}, "interface: 'tun%d' cannot name an interface"),
        ({"interface": "sixteen-letters-"}, "cannot name an interface; up to 15 letters"),
        ({**CISCO, "proof": Proof(user="us")}, "encapsulation: cisco-hdlc has no way to prove who one is"),
        ({**CISCO, "proof": Proof(Auth.CHAP)}, "encapsulation: cisco-hdlc has no way"),
        ({"proof": Proof(peer_user="them")}, "peer-user: nothing is asked of the peer"),
        ({"proof": Proof(allow_pap=True)}, "allow-pap: it is about our own proof"),
        ({"proof": Proof(Auth.PAP, again=60.0)}, "chap-interval: only CHAP asks again"),
        ({"ipv6": False, "routes": (ip_network("2001:db8::/32"),)}, "route: 2001:db8::/32 is IPv6, which this link"),
        ({"ipv4": None, "addresses": (ip_interface("10.0.0.1/8"),)}, "address: 10.0.0.1/8 is IPv4, which this link"),
    ],
)
def test_what_does_not_fit_together_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        options(**fields)
    assert said in str(refused.value)


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        options(ipv4=None, ipv6=False, fcs=1, interface="")
    assert [each.path for each in refused.value.problems] == ["ipv4", "fcs", "interface"]


@pytest.mark.parametrize("encapsulation", Encapsulation)
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mru": 1279}, "1279 is not possible; 1280 to"),
        ({"mru": 67, "ipv6": False}, "67 is not possible; 68 to"),
        ({"mru": 70_000}, "70000 is not possible"),
        ({"keepalive": Keepalive(interval=-1.0)}, "-1.0 is no time to wait"),
        ({"keepalive": Keepalive(interval=float("nan"))}, "nan is no time to wait"),
        ({"keepalive": Keepalive(failures=0)}, "0 is too few"),
        ({"ipv4": Ends(IPv4Address("0.0.0.0"), B)}, "0.0.0.0 cannot be the address of one end"),
        ({"ipv4": Ends(A, IPv4Address("255.255.255.255"))}, "cannot be the address of one end"),
    ],
)
def test_what_the_protocol_does_not_allow_is_refused(
    encapsulation: Encapsulation, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        machine(options(encapsulation=encapsulation, **fields), {})
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "option"),
    [
        ({"mru": 10, "encapsulation": Encapsulation.CISCO_HDLC}, "mru"),
        ({"ipv4": Ends(None, B), "encapsulation": Encapsulation.CISCO_HDLC}, "ipv4"),
        ({"ipv4": Ends(IPv4Address("0.0.0.0"), None)}, "ipv4"),
        ({"keepalive": Keepalive(interval=-1.0)}, "echo-interval"),
        ({"keepalive": Keepalive(failures=0)}, "echo-failures"),
        ({"keepalive": Keepalive(failures=0), "encapsulation": Encapsulation.CISCO_HDLC}, "echo-failures"),
        ({"proof": Proof(user="")}, "user"),
        ({"proof": Proof(Auth.CHAP, peer_user="x" * 256)}, "peer-user"),
    ],
)
def test_a_mistake_has_the_name_of_its_option(fields: dict[str, Any], option: str) -> None:
    environment = {"VIPD_LINK_SECRET": "ours", "VIPD_LINK_PEER_SECRET": "theirs"}
    with pytest.raises(ConfigError) as refused:
        machine(options(**fields), environment)
    assert [each.path for each in refused.value.problems] == [option]


@pytest.mark.parametrize(("name", "auth"), [("VIPD_LINK_SECRET", Auth.NONE), ("VIPD_LINK_PEER_SECRET", Auth.CHAP)])
def test_a_secret_that_is_too_long_is_told_by_its_variable(name: str, auth: Auth) -> None:
    environment = {"VIPD_LINK_SECRET": "ours", "VIPD_LINK_PEER_SECRET": "theirs", name: "x" * 256}
    with pytest.raises(ConfigError, match=f"{name}: 256 octets; 1 to 255"):
        machine(options(proof=Proof(auth, user="us")), environment)


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        (":", Ends(None, None)),
        ("10.9.0.1:", Ends(A, None)),
        (":10.9.0.2", Ends(None, B)),
        ("10.9.0.1:10.9.0.2", Ends(A, B)),
    ],
)
def test_either_end_may_be_left_to_the_peer(text: str, ends: Ends) -> None:
    assert parse_ends(text) == ends


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' has no colon; LOCAL:REMOTE is expected"),
        ("10.9.0.1", "has no colon"),
        ("10.9.0.1:10.9.0.1", "both ends are 10.9.0.1"),
        ("paris:", "an IPv4 address is expected"),
        ("::1", "an IPv4 address is expected"),
    ],
)
def test_what_is_no_pair_of_addresses_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_ends(text)
    assert said in str(refused.value)


@pytest.mark.parametrize("parse", [parse_ends, parse_address, parse_route, parse_accm])
@given(text=st.text())
def test_any_text_is_read_or_refused(parse: Any, text: str) -> None:
    with suppress(ConfigError):
        parse(text)


@pytest.mark.parametrize(("text", "accm"), [("0", 0), ("000a0000", 0xA0000), ("ffffffff", 0xFFFFFFFF)])
def test_control_characters_are_given_in_hexadecimal(text: str, accm: int) -> None:
    assert parse_accm(text) == accm


@pytest.mark.parametrize("text", ["", "-1", "1ffffffff", "xyz"])
def test_what_is_no_map_of_control_characters_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="eight hexadecimal digits"):
        parse_accm(text)


def test_a_line_that_eats_two_characters_has_them_escaped() -> None:
    assert default_accm(Serial("/dev/ttyS0", flow=Flow.XONXOFF)) == 1 << 0x11 | 1 << 0x13
    assert default_accm(Serial("/dev/ttyS0", flow=Flow.RTSCTS)) == default_accm(Pty()) == 0


@pytest.mark.parametrize("name", ["", "a b", "../x", "-a", "ä", "sixteen-letters-"])
def test_what_can_name_no_link_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name a link; allowed are up to 15 letters"):
        Peer(name)


def test_a_secret_that_is_missing_is_told_before_anything_is_begun(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="auth: no secret for anybody but ourselves"):
        machine(options(proof=Proof(Auth.CHAP, user="us")), {"VIPD_LINK_SECRET": "hidden"})
    with pytest.raises(ConfigError, match="user: no --secrets FILE is given, and VIPD_LINK_SECRET is not set"):
        machine(options(proof=Proof(user="us")), {})
    path = tmp_path / "secrets"
    path.write_text("them hidden\n")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=r"user: .*/secrets has no line for 'us'"):
        machine(options(proof=Proof(user="us", secrets=path)), {})


@pytest.mark.parametrize(("again", "challenges"), [(0.0, 1), (60.0, 4)])
def test_the_peer_is_asked_again_as_often_as_wished(again: float, challenges: int) -> None:
    asks = options(proof=Proof(Auth.CHAP, peer_user="us", again=again))
    answers = options(ipv4=Ends(B, A), proof=Proof(user="us"))
    secret = {"VIPD_LINK_SECRET": "ours", "VIPD_LINK_PEER_SECRET": "ours"}
    line = Line(machine(asks, dict(secret)), machine(answers, dict(secret)))
    line.start()
    line.run(200.0)
    frames = [Frame.decode(each) for each in line.one.sent()]
    chap = [Packet.decode(each.payload).code for each in frames if each.protocol == Protocol.CHAP]
    assert chap == [ChapCode.CHALLENGE, ChapCode.SUCCESS] * challenges
    assert line.one.up.keys() == {4, 6}


def test_secrets_do_not_stay_in_the_environment() -> None:
    environment = {"VIPD_LINK_SECRET": "ours", "VIPD_LINK_PEER_SECRET": "theirs", "HOME": "/root"}
    machine(options(proof=Proof(Auth.CHAP, user="us")), environment)
    assert environment == {"HOME": "/root"}
