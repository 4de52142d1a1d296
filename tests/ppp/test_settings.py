"""Settings that make no sense are refused where they are made, with the field's name and what would do."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from tests.support.ppp import HERE, SECRET
from vipd.errors import ConfigError
from vipd.model.link import random_identifier
from vipd.model.secret import Secret
from vipd.ppp.settings import Demand, Echo, Identity, Ipv4, Ipv6, Settings, Timing, readable


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Settings(ipv4=None), "ipv4: neither IPv4 nor IPv6 is wanted; one of them, or both"),
        (lambda: Settings(mru=67), "mru: 67 is not possible; 68 to 65535"),
        (lambda: Settings(mru=65536), "mru: 65536 is not possible; 68 to 65535"),
        (lambda: Settings(ipv6=Ipv6(), mru=1279), "mru: 1279 is not possible; 1280 to 65535"),
        (lambda: Settings(accm=1 << 32), "accm: one bit for each of 32 characters"),
        (lambda: Settings(accm=-1), "accm: one bit for each of 32 characters"),
        (lambda: Timing(restart=0.0), "restart: 0.0 is no time to wait; more than 0 s"),
        (lambda: Timing(max_configure=0), "max_configure: 0 is too few; 1 or more"),
        (lambda: Timing(max_terminate=0), "max_terminate: 0 is too few; 1 or more"),
        (lambda: Timing(max_failure=0), "max_failure: 0 is too few; 1 or more"),
        (lambda: Echo(interval=-1.0), "interval: -1.0 is no time to wait; 0 s (no echo) or more"),
        (lambda: Echo(failures=0), "failures: 0 is too few; 1 or more"),
        (lambda: Identity("", SECRET), "name: 0 octets; 1 to 255"),
        (lambda: Identity("é" * 128, SECRET), "name: 256 octets; 1 to 255"),
        (lambda: Identity("me", Secret(b"")), "secret: 0 octets; 1 to 255"),
        (lambda: Identity("me", Secret(bytes(256))), "secret: 256 octets; 1 to 255"),
        (lambda: Identity("me", SECRET, ()), "methods: none is given; chap, pap or both"),
        (lambda: Demand({}), "secrets: none is given, so no peer could prove who it is"),
        (lambda: Demand({"": SECRET}), "name: 0 octets; 1 to 255"),
        (lambda: Demand({"me": SECRET}, ()), "methods: none is given; chap, pap or both"),
        (lambda: Demand({"me": SECRET}, again=-1.0), "again: -1.0 is no time to wait; 0 s (never) or more"),
        (lambda: Ipv4(HERE, HERE), "remote: 10.0.0.1 is the local address too"),
        (
            lambda: Ipv4(IPv4Address("127.0.0.1")),
            "local: 127.0.0.1 cannot be the address of one end of a link",
        ),
        (
            lambda: Ipv4(HERE, IPv4Address(0)),
            "remote: 0.0.0.0 cannot be the address of one end of a link",
        ),
        (lambda: Ipv6(bytes(8)), "identifier: 8 octets expected, not all of them 0"),
        (lambda: Ipv6(b"\x01"), "identifier: 8 octets expected, not all of them 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        build()
    assert str(refused.value) == message


def test_settings_may_go_to_their_limits() -> None:
    assert Settings(mru=68, accm=0xFFFFFFFF, timing=Timing(1e-3, 1, 1, 1), echo=Echo(0.0, 1)).mru == 68
    assert Settings(ipv4=None, ipv6=Ipv6(), mru=1280).mru == 1280
    assert Settings(mru=65535, accm=0).mru == 65535
    assert Identity("x" * 255, Secret(bytes(255))).name == Identity("x" * 255, Secret(b"x")).name


def test_the_defaults_are_the_rfcs() -> None:
    """RFC 1661 4.6 and 6.1."""
    assert Timing() == Timing(restart=3.0, max_terminate=2, max_configure=10, max_failure=5)
    assert Settings().mru == 1500


@pytest.mark.parametrize("octets", [bytes(8), b"\xff" * 8, b"\x02" + bytes(7)])
def test_a_random_identifier_is_never_none_and_never_unique_in_the_world(octets: bytes) -> None:
    identifier = random_identifier(lambda size: octets[:size])
    assert len(identifier) == 8
    assert any(identifier)
    assert not identifier[0] & 0x02


def test_what_a_peer_wrote_stands_in_messages_as_plain_text() -> None:
    assert readable(b"bye \xc3\xa9\x1b[2J\n\xff" + b"x" * 200) == "bye é?[2J?\ufffd" + "x" * 68
