"""The network of tests.support.wires as values: ports, machines, routes. For those without a kernel to ask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from typing import Final, NamedTuple

from tests.support import wires
from tests.support.oracle.worlds import FAMILIES, LOCAL
from vipd.dataplane.port import NO_MAC, Port
from vipd.model.director import Address
from vipd.spec.routes import Answer, Route, StaticRoutes, Way
from vipd.wire.ethernet import mac_bytes

PORTS: Final = {
    "out": Port("out0", 2, mac_bytes("02:00:00:00:0a:01"), True),
    "in": Port("in0", 3, mac_bytes("02:00:00:00:0a:02"), True),
    "side": Port("side0", 4, mac_bytes("02:00:00:00:0a:03"), False),
    "line": Port("line0", 5, NO_MAC, False),
}
"XDP can send out of all but the side, and the line, which has no Ethernet."
NARROW: Final = 1400


def has_ethernet(port: str) -> bool:
    return PORTS[port].mac != NO_MAC


def packet_of(port: str, frame: bytes) -> bytes:
    """Without the Ethernet header that there is on a port with Ethernet."""
    return frame[14:] if has_ethernet(port) else frame


class Machine(NamedTuple):
    port: str
    mac: str


def ports(made: wires.Wires) -> dict[str, Port]:
    """The same with the numbers that the kernel gave them."""
    numbers = {"out": made.out, "in": made.inner, "side": made.side, "line": made.line}
    return {name: Port(port.name, numbers[name].ifindex, port.mac, port.redirect) for name, port in PORTS.items()}


def machines() -> dict[Address, Machine]:
    """Whose MAC addresses the kernel knows."""
    found = {
        ip_address(wires.server(family, n)): Machine("in", wires.server_mac(n))
        for family in FAMILIES
        for n in range(1, wires.SERVERS + 1)
    }
    for family in FAMILIES:
        found[ip_address(wires.CLIENT[family])] = Machine("out", wires.CLIENT_MAC)
        found[ip_address(wires.BESIDE_SERVER[family])] = Machine("out", wires.BESIDE_MAC)
        found[ip_address(wires.SIDE_SERVER[family])] = Machine("side", wires.SIDE_MAC)
        found[ip_address(wires.NARROW_LINK[family])] = Machine("in", wires.NARROW_LINK_MAC)
    for router, mac, port in (
        ("198.51.100.254", wires.ROUTER_MAC, "out"),
        ("2001:db8:7::fe", wires.ROUTER_MAC, "out"),
        ("10.0.0.254", wires.GATEWAY_MAC, "in"),
        ("2001:db8:1::fe", wires.GATEWAY_MAC, "in"),
    ):
        found[ip_address(router)] = Machine(port, mac)
    return found


class Routes:
    """As the kernel would answer in that network, the neighbours that it has forgotten left out."""

    def __init__(self, forgotten: Iterable[Address] = ()) -> None:
        known: Mapping[Address, Machine] = {a: machine for a, machine in machines().items() if a not in set(forgotten)}
        neighbours = {address: mac_bytes(machine.mac) for address, machine in known.items()}
        # IPv4 has one neighbour for all of a line.
        neighbours |= {ip_address(each): NO_MAC for each in (*wires.LINE_SERVER.values(), wires.LINE_CLIENT[4])}
        macs = {port.ifindex: port.mac for port in PORTS.values()}
        self._static = StaticRoutes(_routes(), macs, neighbours, {PORTS["line"].ifindex: wires.LINE_MTU})

    def ask(self, ingress: int, destination: Address) -> Way:
        if destination in _LOCAL or any(destination in network for network in _UNREACHABLE):
            return Way(Answer.NO_ROUTE, ingress)
        return self._static.ask(ingress, destination)


_UNREACHABLE: Final = [ip_network(each) for each in ("10.66.0.0/16", "2001:db8:66::/48")]
_LOCAL: Final = {*LOCAL.values(), *map(ip_address, ("198.51.100.1", "2001:db8:7::1", "10.77.0.1", "2001:db8:77::1"))}


def _routes() -> list[Route]:
    found = []
    for network, port, gateway, mtu in (
        ("198.51.100.0/24", "out", None, 1500),
        ("2001:db8:7::/64", "out", None, 1500),
        ("10.0.0.0/24", "in", None, 1500),
        ("2001:db8:1::/64", "in", None, 1500),
        ("10.77.0.0/24", "side", None, 1500),
        ("2001:db8:77::/64", "side", None, 1500),
        ("10.88.0.0/16", "line", None, wires.LINE_MTU),
        ("2001:db8:88::/48", "line", None, wires.LINE_MTU),
        ("0.0.0.0/0", "out", "198.51.100.254", 1500),
        ("::/0", "out", "2001:db8:7::fe", 1500),
        ("192.0.3.0/24", "out", "198.51.100.254", NARROW),
        ("2001:db8:abcd::/48", "out", "2001:db8:7::fe", NARROW),
        ("10.9.0.0/16", "in", "10.0.0.254", 1500),
        ("2001:db8:9::/48", "in", "2001:db8:1::fe", 1500),
        ("10.8.0.0/16", "in", "10.0.0.254", NARROW),
        ("2001:db8:8::/48", "in", "2001:db8:1::fe", NARROW),
        ("10.0.0.40/32", "in", None, NARROW),
        ("2001:db8:1::40/128", "in", None, NARROW),
    ):
        to = ip_address(gateway) if gateway else None
        found.append(Route(ip_network(network), PORTS[port].ifindex, to, mtu))
    return found
