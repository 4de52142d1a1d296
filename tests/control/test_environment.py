"""What the machine's network cannot give is refused with the reason and a way out."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from vipd import control
from vipd.model.director import Director, Endpoint, Method, RealServer, Transport, VirtualService
from vipd.model.state import Egress

VIP = Endpoint(IPv4Address("192.0.2.1"), 80, 80, Transport.TCP)
RANGE = Endpoint(IPv4Address("192.0.2.1"), 5000, 5999, Transport.TCP)


def found(server: RealServer, egress: Egress, *listen: Endpoint, device: str = "eth0") -> tuple[list[str], list[str]]:
    director = Director(("eth0",), (VirtualService("web", listen or (VIP,), (server,)),))
    refused = control.environment(director, lambda _: egress)
    warned = control.environment_warnings(director, lambda _: egress, lambda _: device)
    return [str(each) for each in refused], [str(each) for each in warned]


def server(method: Method, port: int | None = None) -> RealServer:
    return RealServer(IPv4Address("10.0.0.1"), port, 1, method)


@pytest.mark.parametrize(
    ("egress", "place"),
    [(Egress.ROUTED, "a router"), (Egress.POINT_TO_POINT, "a point-to-point link, which has no MAC addresses")],
)
def test_dr_needs_a_server_on_the_same_ethernet_segment(egress: Egress, place: str) -> None:
    (told,), warned = found(server(Method.DR), egress)
    assert told.startswith(f"services.web.servers[0]: 10.0.0.1 is behind {place}; dr needs a server on a directly ")
    assert told.endswith("connected Ethernet segment, here nat and tun would work")
    assert warned == []


@pytest.mark.parametrize("egress", Egress)
@pytest.mark.parametrize("method", [Method.NAT, Method.TUN])
def test_nat_and_tun_work_wherever_the_server_is(method: Method, egress: Egress) -> None:
    assert found(server(method), egress)[0] == []


def test_dr_on_link_is_fine() -> None:
    assert found(server(Method.DR), Egress.ON_LINK) == ([], [])


@pytest.mark.parametrize("method", Method)
def test_a_server_without_a_route_is_only_warned_of(method: Method) -> None:
    refused, warned = found(server(method), Egress.UNREACHABLE)
    assert refused == []
    assert warned == ["services.web.servers[0]: no route to 10.0.0.1 now; its packets are dropped until there is one"]


@pytest.mark.parametrize("egress", [Egress.ON_LINK, Egress.ROUTED, Egress.POINT_TO_POINT])
def test_under_nat_replies_must_come_in_where_the_director_looks(egress: Egress) -> None:
    (told,) = found(server(Method.NAT), egress, device="ppp0")[1]
    assert told.startswith("services.web.servers[0]: 10.0.0.1 is reached through ppp0, which is not among interfaces; ")
    assert found(server(Method.TUN), egress, device="ppp0")[1] == []
    assert found(server(Method.NAT), Egress.LOCAL, device="lo")[1] == []


def test_the_director_itself_keeps_the_port() -> None:
    assert found(server(Method.NAT, 80), Egress.LOCAL) == ([], [])
    assert found(server(Method.DR), Egress.LOCAL, VIP, RANGE) == ([], [])
    for listen, port in ((VIP, 8080), (RANGE, 5000)):
        (told,), _ = found(server(Method.NAT, port), Egress.LOCAL, listen)
        assert "is this machine itself, where a packet keeps its port" in told
        assert told.endswith("; leave port out")


def test_the_director_itself_is_of_the_vips_family() -> None:
    other = RealServer(IPv6Address("2001:db8::1"), None, 1, Method.TUN)
    (told,), _ = found(other, Egress.LOCAL)
    assert "192.0.2.1 of another family" in told
