"""Rules that made-up conversations hardly ever meet, one example each."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Network, ip_address

import pytest
from scapy.layers.inet import IPOption_NOP

from tests.spec.test_decide import SECOND, director, send, service, told
from tests.support.marks import each_family
from tests.support.packets import PORT, ip, segment, udp
from tests.support.wires import LINE_CLIENT, LINE_SERVER, VIP, server
from vipd.model.director import Endpoint, Method, RealServer, Scheduler, Transport


@pytest.mark.parametrize("size", [0, 13])
def test_a_frame_without_room_for_its_header_is_left_to_the_kernel(size: int) -> None:
    decision = director(service(4, Method.DR)).send("out", bytes(size))
    assert decision.outcome == "pass_not_ip"
    assert told(decision) == f"too short for an Ethernet header: {size} of 14 bytes"


@each_family
@pytest.mark.parametrize("scheduler", [Scheduler.LC, Scheduler.WLC])
def test_who_takes_nothing_is_passed_over_while_the_table_still_has_him(family: int, scheduler: Scheduler) -> None:
    """Between two writes of the control plane."""
    made = director(service(family, Method.DR, 2, scheduler=scheduler))
    first, second = (made.configuration.servers[number] for number in sorted(made.configuration.servers))
    numbers = {each.address: number for number, each in made.configuration.servers.items()}
    quiet = {**made.configuration.servers, numbers[first.address]: replace(first, weight=0)}
    made.configuration = replace(made.configuration, servers=quiet)
    decision = send(made, segment(family))
    assert decision.server == numbers[second.address]
    assert f"{first.address} takes no new connections" in told(decision)


@each_family
def test_a_closing_connection_of_another_service_makes_room_for_the_reply(family: int) -> None:
    """Both services have one server and port, so that replies to the client look alike."""
    one = RealServer(ip_address(server(family, 1)), 8080, method=Method.NAT)
    first = service(family, Method.NAT, servers=(one,))
    endpoint = Endpoint(ip_address(VIP[family]), PORT + 1, PORT + 1, Transport.TCP)
    made = director(first, replace(first, name="other", listen=(endpoint,)))
    other = segment(family, dport=PORT + 1)
    send(made, segment(family))
    assert send(made, other).outcome == "drop_collision"
    send(made, segment(family, "FA"))
    taken = send(made, other)
    assert taken.outcome == "forward_nat"
    assert "which is time_wait: it ends" in told(taken)
    over = director(first, replace(first, name="other", listen=(endpoint,)))
    send(over, segment(family))
    over.wait(61 * SECOND)
    late = send(over, other)
    assert (late.outcome, late.events[0]) == ("forward_nat", "connection_expired")
    assert "which is over: it ends" in told(late)


def test_a_tunnel_that_the_kernel_would_take_for_the_packets_former_version_is_dropped() -> None:
    """By the line, where the client's address begins as bytes 4 and 5 of the outer source do."""
    client = ip_address(LINE_CLIENT[4])
    told_apart, alike = (IPv6Network(f"2001:db8:{word}::1/128") for word in ("1", client.packed[:2].hex()))
    for source, outcome in ((told_apart, "route_tun"), (alike, "drop_no_ethernet")):
        far = RealServer(ip_address(LINE_SERVER[6]), method=Method.TUN, tunnel_source=source)
        made = director(service(4, Method.TUN, servers=(far,), transport=Transport.UDP))
        packet = ip(4, src=str(client), options=[IPOption_NOP()] * 4) / udp()
        decision = made.send("line", bytes(packet))
        assert decision.outcome == outcome
        assert ("its first bytes look alike" in told(decision)) == (outcome == "drop_no_ethernet")
