"""What a director does, told by examples: each frame that comes out is built by scapy, each reason is in words."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network, ip_address
from typing import Any, Final

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from tests.support import wires
from tests.support.marks import each_family
from tests.support.oracle import Alone
from tests.support.oracle.network import PORTS
from tests.support.oracle.worlds import LOCAL
from tests.support.packets import CLIENT_PORT, PORT, altered, answer, ip, later, request, segment, tcp, udp
from tests.support.tables import TCP, UDP
from tests.support.wires import CLIENT, CLIENT_MAC, VIP, server, server_mac
from vipd.model.director import Endpoint, Method, OnServerRemoved, RealServer, Scheduler, Transport, VirtualService
from vipd.spec import Decision
from vipd.wire.ethernet import mac_text

SECOND: Final = 1_000_000_000


def service(
    family: int,
    method: Method,
    count: int = 3,
    *,
    transport: Transport = Transport.TCP,
    servers: tuple[RealServer, ...] | None = None,
    scheduler: Scheduler = Scheduler.RR,
    on_server_removed: OnServerRemoved = OnServerRemoved.RESET,
) -> VirtualService:
    if servers is None:
        servers = tuple(RealServer(ip_address(server(family, n)), method=method) for n in range(1, count + 1))
    endpoint = Endpoint(ip_address(VIP[family]), PORT, PORT, transport)
    return VirtualService("web", (endpoint,), servers, scheduler, on_server_removed, 31)


def director(*services: VirtualService) -> Alone:
    made = Alone(local=frozenset(LOCAL.values()))
    made.configure(services)
    return made


def send(made: Alone, packet: Any, port: str = "out") -> Decision:
    return made.send(port, bytes(Ether(src=CLIENT_MAC, dst=mac_text(PORTS[port].mac)) / packet))


def sent(packet: Any, port: str, to: str) -> bytes:
    return bytes(Ether(src=mac_text(PORTS[port].mac), dst=to) / packet)


def own(family: int, tos: int = 0) -> Any:
    """What the director sends itself, to the client."""
    ends: dict[str, Any] = {"src": VIP[family], "dst": CLIENT[family]}
    return IP(**ends, id=0, flags="DF", tos=tos) if family == 4 else IPv6(**ends)


def told(decision: Decision) -> str:
    return "\n".join(map(str, decision.reasons))


@each_family
def test_direct_routing_changes_only_the_mac_addresses(family: int) -> None:
    decision = send(director(service(family, Method.DR)), segment(family))
    assert (decision.outcome, decision.egress) == ("forward_dr", PORTS["in"].ifindex)
    assert decision.frame == sent(segment(family), "in", server_mac(1))
    assert decision.events == ("connection_new", "next_hop_refreshed")


@each_family
@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_nat_rewrites_both_ways(family: int, protocol: int) -> None:
    transport = Transport.TCP if protocol == TCP else Transport.UDP
    made = director(service(family, Method.NAT, transport=transport))
    there = send(made, request(family, protocol))
    assert there.frame == sent(altered(request(family, protocol), 1, dst=server(family, 1)), "in", server_mac(1))
    reply = answer(family, protocol, server(family, 1))
    back = send(made, reply, "in")
    assert (back.outcome, back.egress) == ("forward_nat_reply", PORTS["out"].ifindex)
    assert back.frame == sent(altered(reply, 1, src=VIP[family], sport=PORT), "out", CLIENT_MAC)


@each_family
def test_a_tunnel_holds_the_packet_with_one_hop_less(family: int) -> None:
    source = RealServer(ip_address(server(4, 1)), method=Method.TUN, tunnel_source=IPv4Network("172.20.0.1/32"))
    decision = send(director(service(family, Method.TUN, servers=(source,))), later(family, TCP))
    assert decision.outcome == "forward_tun"
    inner = altered(later(family, TCP), 1)
    fields = {"id": 1} if family == 4 else {"flags": "DF", "id": 0}
    outer = IP(src="172.20.0.1", dst=server(4, 1), ttl=64, proto=4 if family == 4 else 41, **fields)
    assert decision.frame == sent(outer / inner, "in", server_mac(1))


@each_family
def test_round_robin_takes_turns_and_says_so(family: int) -> None:
    made = director(service(family, Method.DR))
    for n in (1, 2, 3, 1):
        decision = send(made, segment(family, sport=1000 + n + made.now % 7))
        made.wait(1)
        assert decision.frame[:6].hex(":") == server_mac(n)
        assert f"server {server(family, n)}" in told(decision)


def test_weighted_least_connections_says_what_it_counted() -> None:
    servers = tuple(RealServer(ip_address(server(4, n)), weight=n, method=Method.DR) for n in (1, 2))
    made = director(service(4, Method.DR, servers=servers, scheduler=Scheduler.WLC))
    for sport in range(1000, 1003):
        send(made, segment(4, sport=sport))
    words = told(send(made, segment(4, sport=2000)))
    assert "wlc: 10.0.0.11 has 1 active and 0 inactive, weight 1: overhead 256" in words
    assert "wlc: 10.0.0.12 has 2 active and 0 inactive, weight 2: overhead 512" in words
    assert "10.0.0.11 has the least for its weight" in words


@each_family
def test_a_client_comes_back_to_its_server_under_mh(family: int) -> None:
    made = director(service(family, Method.DR, scheduler=Scheduler.MH))
    first = {send(made, segment(family, sport=sport)).server for sport in range(1000, 1020)}
    assert len(first) == 1


@each_family
def test_a_known_connection_is_not_scheduled_again(family: int) -> None:
    made = director(service(family, Method.DR))
    first = send(made, segment(family))
    again = send(made, segment(family, "A"))
    assert (again.server, again.events) == (first.server, ())
    assert "a known connection, in state syn_recv" in told(again)


@each_family
def test_a_connection_is_over_a_tick_after_its_timeout(family: int) -> None:
    made = director(service(family, Method.DR))
    send(made, segment(family))
    made.wait(60 * SECOND)
    assert send(made, segment(family, "A")).events == ("next_hop_refreshed",)
    made.wait(899 * SECOND)
    assert send(made, segment(family, "R")).events == ("next_hop_refreshed",)
    # A reset leaves it ten seconds more.
    made.wait(11 * SECOND)
    decision = send(made, segment(family))
    assert decision.events[:2] == ("connection_expired", "connection_new")


@each_family
def test_a_sweep_forgets_what_is_over(family: int) -> None:
    made = director(service(family, Method.NAT))
    send(made, segment(family))
    assert made.sweep() == 0
    made.wait(61 * SECOND)
    assert made.sweep() == 1
    assert made.state.connections == {}
    assert set(made.state.taken.values()) == {0}


@each_family
@pytest.mark.parametrize(
    ("policy", "outcome"),
    [
        (OnServerRemoved.RESET, "reply_reset_server_removed"),
        (OnServerRemoved.KEEP, "forward_dr"),
        (OnServerRemoved.RESCHEDULE, "forward_dr"),
    ],
)
def test_a_removed_servers_connections_end_as_the_operator_chose(
    family: int, policy: OnServerRemoved, outcome: str
) -> None:
    two = service(family, Method.DR, 2, on_server_removed=policy)
    made = director(two)
    first = send(made, segment(family))
    made.configure([replace(two, servers=two.servers[1:])])
    after = send(made, segment(family, "A"))
    assert after.outcome == outcome
    assert (after.server == first.server) == (policy is not OnServerRemoved.RESCHEDULE)
    assert "the server was removed" in told(after)


@each_family
def test_without_a_server_a_client_is_told_at_once(family: int) -> None:
    decision = send(director(service(family, Method.DR, servers=())), segment(family))
    assert (decision.outcome, decision.egress) == ("reply_reset_no_server", PORTS["out"].ifindex)
    reset = tcp("RA", sport=PORT, dport=CLIENT_PORT, seq=0, ack=0x11223345, window=0)
    assert decision.frame == sent(own(family) / reset, "out", CLIENT_MAC)


@each_family
def test_what_does_not_fit_is_answered_with_the_size_that_fits(family: int) -> None:
    narrow = RealServer(ip_address(wires.NARROW_LINK[family]), method=Method.DR)
    made = director(service(family, Method.DR, servers=(narrow,)))
    decision = send(made, later(family, TCP, bytes(1400)))
    assert decision.outcome == "reply_too_big"
    packet = bytes(later(family, TCP, bytes(1400)))
    error: Any = ICMP(type=3, code=4, nexthopmtu=1400) if family == 4 else ICMPv6PacketTooBig(mtu=1400)
    assert decision.frame == sent(
        own(family, 0xC0) / error / Raw(packet[: {4: 548, 6: 1232}[family]]), "out", CLIENT_MAC
    )


@each_family
def test_an_error_about_a_packet_reaches_whom_it_concerns(family: int) -> None:
    made = director(service(family, Method.NAT))
    there = send(made, segment(family))
    router = wires.FAR_SERVER[family]
    error: Any = ip(family, src=router, dst=CLIENT[family])
    error /= ICMP(type=3, code=1) if family == 4 else ICMPv6PacketTooBig(mtu=1280)
    decision = send(made, error / Raw(there.frame[14:]), "in")
    assert decision.outcome == "forward_icmp_error"
    found = Ether(decision.frame)
    assert (found[1].src, found[1].dst) == (VIP[family], CLIENT[family])
    assert f"{VIP[family]} port {PORT}" in told(decision)
    quoted = found[3]
    assert (quoted.src, quoted.dst, quoted.dport) == (CLIENT[family], VIP[family], PORT)


@each_family
def test_later_fragments_follow_the_first(family: int) -> None:
    made = director(service(family, Method.DR, transport=Transport.UDP))
    if family == 4:
        first, rest = ip(4, flags="MF", id=9), ip(4, frag=4, id=9, proto=17)
    else:
        first, rest = ip(6) / IPv6ExtHdrFragment(id=9, m=1), ip(6) / IPv6ExtHdrFragment(id=9, offset=4, nh=17)
    assert send(made, rest / Raw(bytes(8))).outcome == "pass_early_fragment"
    one = send(made, first / udp(len=48) / Raw(bytes(24)))
    other = send(made, rest / Raw(bytes(16)))
    assert (one.outcome, other.outcome) == ("forward_dr", "forward_dr")
    assert one.frame[:6] == other.frame[:6]
    made.wait(31 * SECOND)
    assert send(made, rest / Raw(bytes(16))).outcome == "pass_early_fragment"


@each_family
def test_a_server_that_is_the_director_itself_gets_its_packets_from_the_kernel(family: int) -> None:
    local = RealServer(LOCAL[family], method=Method.NAT)
    decision = send(director(service(family, Method.NAT, servers=(local,))), segment(family))
    assert (decision.outcome, decision.egress) == ("pass_local_server", None)


@each_family
@pytest.mark.parametrize(
    ("packet", "outcome", "why"),
    [
        (lambda family: segment(family, dport=81), "pass_no_service", "no service listens on port 81"),
        (lambda family: segment(family, "SF"), "drop_tcp_flags", "flags that no stack sends"),
        (lambda family: ip(family, src=VIP[family]) / tcp(), "drop_martian", "from the VIP itself"),
        (lambda family: ip(family, dst=wires.STRANGER[family]) / tcp(), "pass_not_ours", "neither"),
        (lambda family: ip(family) / udp(len=7), "drop_malformed", "UDP header"),
        (lambda _: ARP(), "pass_not_ip", "0x0806"),
        (lambda family: Dot1Q() / segment(family), "pass_vlan", "VLAN tag"),
    ],
)
def test_what_is_not_forwarded_has_its_reason(family: int, packet: Any, outcome: str, why: str) -> None:
    decision = send(director(service(family, Method.DR)), packet(family))
    assert decision.outcome == outcome
    assert why in told(decision)


def test_a_packet_for_another_mac_is_another_machines() -> None:
    frame = bytes(Ether(src=CLIENT_MAC, dst="02:00:00:00:00:99") / segment(4))
    assert director(service(4, Method.DR)).send("out", frame).outcome == "pass_other_mac"


@each_family
def test_a_silent_neighbour_is_used_on_for_a_while(family: int) -> None:
    made = director(service(family, Method.DR, 1))
    send(made, segment(family))
    made.neighbour(ip_address(server(family, 1)), False)
    made.wait(SECOND)
    decision = send(made, segment(family, "A"))
    assert decision.outcome == "forward_dr"
    assert "for a while it is where it was" in told(decision)
    made.wait(16 * SECOND)
    assert send(made, segment(family, "A")).outcome == "drop_neighbour_unresolved"


@each_family
def test_a_full_table_forwards_without_memory(family: int) -> None:
    made = Alone(buckets=1)
    made.configure([service(family, Method.DR)])
    for sport in range(1000, 1016):
        assert "table_full" not in send(made, segment(family, sport=sport)).events
    decision = send(made, segment(family, sport=2000))
    assert (decision.outcome, decision.events[:2]) == ("forward_dr", ("table_full", "stateless"))
    assert "no room" in told(decision)
