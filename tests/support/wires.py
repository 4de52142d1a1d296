"""A director's network for tests of single packets: a namespace without a name, so that nothing of it stays.

    client  198.51.100.0/24 ──┐             ┌── 10.0.0.0/24  real servers, and a gateway to others
    router to everybody else ─┘ out0 ▢ in0 ─┘   side0: 10.77.0.0/24, where only the kernel can send
                                               line0: 10.88.0.0/16, point to point, with an MTU of 1,400

Nobody lives there: each neighbour is a permanent entry, which is all that a look-up of routes asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pyroute2 import IPRoute

from tests.support.tun import Tun
from vipd.drivers.namespace import Namespace

CLIENT: Final = {4: "198.51.100.7", 6: "2001:db8:7::7"}
STRANGER: Final = {4: "192.0.2.77", 6: "2001:db8:aaaa::77"}
"A client behind the router."
NARROW_CLIENT: Final = {4: "192.0.3.77", 6: "2001:db8:abcd::77"}
"A client whose route has an MTU of 1,400."
VIP: Final = {4: "203.0.113.10", 6: "2001:db8:f::10"}
FAR_SERVER: Final = {4: "10.9.0.11", 6: "2001:db8:9::11"}
"Behind the gateway."
NARROW_SERVER: Final = {4: "10.8.0.11", 6: "2001:db8:8::11"}
"Behind the gateway, with a path MTU of 1,400."
NARROW_LINK: Final = {4: "10.0.0.40", 6: "2001:db8:1::40"}
"On the wire, with an MTU of 1,400."
SILENT_SERVER: Final = {4: "10.0.0.99", 6: "2001:db8:1::99"}
"On the wire, but nobody knows its MAC."
LOST_SERVER: Final = {4: "10.66.0.11", 6: "2001:db8:66::11"}
"No route leads there."
SIDE_SERVER: Final = {4: "10.77.0.11", 6: "2001:db8:77::11"}
BESIDE_SERVER: Final = {4: "198.51.100.21", 6: "2001:db8:7::21"}
"On the clients' wire."
LINE_SERVER: Final = {4: "10.88.0.11", 6: "2001:db8:88::11"}
"Behind the point-to-point line."
LINE_CLIENT: Final = {4: "10.88.0.77", 6: "2001:db8:88::77"}
LINE_MTU: Final = 1400

OUT_MAC: Final = "02:00:00:00:0a:01"
INNER_MAC: Final = "02:00:00:00:0a:02"
SIDE_OWN_MAC: Final = "02:00:00:00:0a:03"
"Of the director's own interfaces."
CLIENT_MAC: Final = "02:00:00:00:0c:07"
ROUTER_MAC: Final = "02:00:00:00:0c:fe"
BESIDE_MAC: Final = "02:00:00:00:0c:21"
GATEWAY_MAC: Final = "02:00:00:00:05:fe"
NARROW_LINK_MAC: Final = "02:00:00:00:05:40"
SIDE_MAC: Final = "02:00:00:00:77:11"
SERVERS: Final = 20

_PERMANENT: Final = 0x80
NOARP: Final = 0x40
_NODAD: Final = 0x02
_UNREACHABLE: Final = 7
_RTAX_MTU: Final = 2


def server(family: int, number: int) -> str:
    """The address of real server `number`, from 1 on."""
    return {4: f"10.0.0.{10 + number}", 6: f"2001:db8:1::{10 + number}"}[family]


def server_mac(number: int) -> str:
    return f"02:00:00:00:05:{10 + number}"


@dataclass(frozen=True, slots=True)
class Wire:
    """An interface of the director."""

    ifindex: int
    mac: str
    program: str = "director"
    "Which of the data plane's programs looks at it."


class Wires(Namespace):
    """`ends`: where the wires end; by default in the same namespace."""

    def __init__(self, ends: Namespace | None = None) -> None:
        super().__init__()
        with self.entered(), IPRoute() as netlink:
            self.out = _wire(netlink, "out0", OUT_MAC, ends or self)
            self.inner = _wire(netlink, "in0", INNER_MAC, ends or self)
            self.side = _wire(netlink, "side0", SIDE_OWN_MAC, ends or self)
            _number(netlink, self)
        self.lines: tuple[Wire, ...] = ()

    @property
    def line(self) -> Wire:
        """Within `lined`."""
        return self.lines[0]

    @contextmanager
    def lined(self) -> Iterator[None]:
        """With a point-to-point line too, which this process is the other end of."""
        with self.entered(), IPRoute() as netlink:
            tun = Tun("line0")
            self.lines = (_line(netlink, tun),)
        with tun:
            yield
        self.lines = ()


def _wire(netlink: Any, name: str, mac: str, ends: Namespace) -> Wire:
    far = {"ifname": f"{name}far", "net_ns_fd": ends.fd}
    netlink.link("add", ifname=name, kind="veth", peer=far, address=mac)
    [index] = netlink.link_lookup(ifname=name)
    _forward(name)
    netlink.link("set", index=index, state="up")
    with ends.entered(), IPRoute() as there:
        [other] = there.link_lookup(ifname=far["ifname"])
        there.link("set", index=other, state="up")
    return Wire(index, mac)


def _line(netlink: Any, tun: Tun) -> Wire:
    [index] = netlink.link_lookup(ifname=tun.name)
    _forward(tun.name)
    netlink.link("set", index=index, mtu=LINE_MTU, state="up")
    for destination in ("10.88.0.0/16", "2001:db8:88::/48"):
        netlink.route("add", dst=destination, oif=index, family=10 if ":" in destination else 2)
    # As the kernel makes them when it sends: of IPv4 one for the whole line.
    for address in LINE_SERVER.values():
        netlink.neigh("add", ifindex=index, dst=address, state=NOARP)
    return Wire(index, "00:00:00:00:00:00", "director_point_to_point")


def _forward(name: str) -> None:
    for family in ("ipv4", "ipv6"):
        Path(f"/proc/sys/net/{family}/conf/{name}/forwarding").write_text("1")


def _number(netlink: Any, wires: Wires) -> None:
    out, inner, side = wires.out.ifindex, wires.inner.ifindex, wires.side.ifindex
    for index, address, length in (
        (out, "198.51.100.1", 24),
        (out, "2001:db8:7::1", 64),
        (inner, "10.0.0.1", 24),
        (inner, "2001:db8:1::1", 64),
        (side, "10.77.0.1", 24),
        (side, "2001:db8:77::1", 64),
    ):
        netlink.addr("add", index=index, address=address, prefixlen=length, flags=_NODAD if ":" in address else 0)
    neighbours = [(inner, server(family, n), server_mac(n)) for family in (4, 6) for n in range(1, SERVERS + 1)]
    neighbours += [(out, CLIENT[family], CLIENT_MAC) for family in (4, 6)]
    neighbours += [(out, BESIDE_SERVER[family], BESIDE_MAC) for family in (4, 6)]
    neighbours += [(side, SIDE_SERVER[family], SIDE_MAC) for family in (4, 6)]
    neighbours += [(inner, NARROW_LINK[family], NARROW_LINK_MAC) for family in (4, 6)]
    neighbours += [(out, address, ROUTER_MAC) for address in ("198.51.100.254", "2001:db8:7::fe")]
    neighbours += [(inner, address, GATEWAY_MAC) for address in ("10.0.0.254", "2001:db8:1::fe")]
    for index, address, mac in neighbours:
        netlink.neigh("add", ifindex=index, dst=address, lladdr=mac, state=_PERMANENT)
    # Routers take an MTU from a route only where it is locked.
    narrow = {"metrics": {"lock": 1 << _RTAX_MTU, "mtu": 1400}}
    for destination, gateway, more in (
        ("0.0.0.0/0", "198.51.100.254", {}),
        ("::/0", "2001:db8:7::fe", {}),
        ("192.0.3.0/24", "198.51.100.254", narrow),
        ("2001:db8:abcd::/48", "2001:db8:7::fe", narrow),
        ("10.9.0.0/16", "10.0.0.254", {}),
        ("2001:db8:9::/48", "2001:db8:1::fe", {}),
        ("10.8.0.0/16", "10.0.0.254", narrow),
        ("2001:db8:8::/48", "2001:db8:1::fe", narrow),
    ):
        netlink.route("add", dst=destination, gateway=gateway, family=10 if ":" in destination else 2, **more)
    for destination in ("10.0.0.40/32", "2001:db8:1::40/128"):
        netlink.route("add", dst=destination, oif=inner, family=10 if ":" in destination else 2, **narrow)
    for destination in ("10.66.0.0/16", "2001:db8:66::/48"):
        netlink.route("add", dst=destination, type=_UNREACHABLE, family=10 if ":" in destination else 2)
