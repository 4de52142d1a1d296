"""Packets of links without Ethernet, told as they came: without a header."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapy.layers.inet import UDP

from tests.support.lined import from_line, served
from tests.support.marks import each_family
from tests.support.packets import ip
from tests.support.tables import TCP, Director
from tests.support.wires import VIP, server
from vipd.dataplane._abi import Method
from vipd.dataplane.tracing import Tracer
from vipd.model.trace import FRAME_BYTES, Asked, Traced


def told(director: Director, packet: bytes) -> Traced:
    tracer = Tracer(director.maps, Path("pinned-nowhere"))
    tracer.start(Asked(frame=FRAME_BYTES))
    try:
        director.run(packet, director.wires.line)
        [found] = tracer.poll(0)
    finally:
        tracer.close()
    return found


@each_family
@pytest.mark.parametrize("method", [Method.DR, Method.NAT, Method.TUN])
def test_what_is_sent_on_is_told_without_the_header_that_it_never_had(
    director: Director, family: int, method: Method
) -> None:
    served(director, family, server(family, 1), method, TCP)
    packet = bytes(from_line(family, TCP))
    found = told(director, packet)
    assert found.outcome == f"forward_{method.name.lower()}"
    assert (found.frame, found.frame_length, found.bare) == (packet, len(packet), True)


@each_family
def test_what_is_dropped_is_too(director: Director, family: int) -> None:
    director.notice(VIP[family])
    packet = bytes(ip(family) / UDP(len=7))
    found = told(director, packet)
    assert (found.outcome, found.frame, found.bare) == ("drop_malformed", packet, True)


def test_what_is_no_packet_is_told_as_it_came(director: Director) -> None:
    packet = bytes(40)
    found = told(director, packet)
    assert (found.outcome, found.frame, found.bare) == ("pass_not_ip", packet, True)
