"""Ends of PPP links for tests: settings that fit each other, repeatable randomness."""

from __future__ import annotations

from ipaddress import IPv4Address
from random import Random
from typing import Final

from tests.support.line import Line
from vipd.model.secret import Secret
from vipd.ppp.session import Session
from vipd.ppp.settings import Demand, Identity, Ipv4, Ipv6, Settings

HERE: Final = IPv4Address("10.0.0.1")
THERE: Final = IPv4Address("10.0.0.2")
NAME: Final = "site-b"
SECRET: Final = Secret(b"open sesame")
WRONG: Final = Secret(b"open barley")
IDENTITY: Final = Identity(NAME, SECRET)
DEMAND: Final = Demand({NAME: SECRET})
IPV4_PACKET: Final = bytes.fromhex("4500001c000040004011") + bytes(18)
IPV6_PACKET: Final = bytes.fromhex("60000000") + bytes(36)
PACKETS: Final = {4: IPV4_PACKET, 6: IPV6_PACKET}

ONE: Final = Settings(ipv4=Ipv4(HERE, THERE), ipv6=Ipv6())
OTHER: Final = Settings(ipv4=Ipv4(THERE, HERE), ipv6=Ipv6())


def session(settings: Settings, seed: int = 1) -> Session:
    return Session(settings, Random(seed).randbytes)


def between(one: Settings = ONE, other: Settings = OTHER) -> Line:
    """A line that has just come up."""
    line = Line(session(one, 1), session(other, 2))
    line.start()
    return line


def opened(one: Settings = ONE, other: Settings = OTHER) -> Line:
    """After a second on a perfect line."""
    line = between(one, other)
    line.run(1.0)
    return line
