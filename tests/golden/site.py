"""A director's network with both wires' other ends in our hands: what goes in, and all that comes out.

The same for the kernel's own director and for vipd, on whatever kernel: addresses, routes and
neighbours are those of tests/support/wires.py, the VIPs are the director's own addresses, and
nothing is sent that was not asked for.
"""

from __future__ import annotations

import os
import socket
import subprocess
from itertools import count
from pathlib import Path
from typing import Final

from pyroute2 import IPRoute
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from tests.golden.data import INNER, OUT, Frame
from tests.golden.identifiers import undrawn
from tests.support.wires import CLIENT, CLIENT_MAC, OUT_MAC, VIP, Wires, server
from vipd.drivers.namespace import Namespace

_ALL: Final = 3
"ETH_P_ALL."
_OUTGOING: Final = 4
"PACKET_OUTGOING: our own."
_MARK: Final = b"all that went before has passed "
_MARKS: Final = 3
"As many hops as the longest way: in, by the loopback, out."
_PATIENCE: Final = 10.0
_LONGEST: Final = 65_535
_NODAD: Final = 0x02
_SETTINGS: Final = {
    # Errors are not rationed, and no label or timeout comes by chance.
    "ipv4/icmp_ratemask": 0,
    "ipv4/icmp_ratelimit": 0,
    "ipv6/icmp/ratelimit": 0,
    "ipv6/auto_flowlabels": 0,
    "ipv4/ipfrag_time": 3600,
    "ipv6/ip6frag_time": 3600,
    # What an error told of a way's MTU is known to the last case.
    "ipv4/route/mtu_expires": 36_000,
    "ipv6/route/mtu_expires": 36_000,
    "ipv4/conf/all/forwarding": 1,
    "ipv6/conf/all/forwarding": 1,
    "ipv4/conf/all/rp_filter": 0,
}


class Site:
    """Packets of one processor come out in the order in which they went in: this process stays on one."""

    def __init__(self) -> None:
        self._processors = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(self._processors)})
        self._ends = Namespace()
        with self._ends.entered():
            for scope in ("all", "default"):
                _set(f"ipv6/conf/{scope}/disable_ipv6", 1)
        self.wires = Wires(self._ends)
        with self.wires.entered(), IPRoute() as netlink:
            for name, value in _SETTINGS.items():
                _set(name, value)
            netlink.link("set", index=1, state="up")
            for name in (OUT, INNER):
                # No device completes the sums that a kernel leaves to one.
                subprocess.run(["ethtool", "-K", name, "tx", "off"], check=True, capture_output=True)
            for address, length in ((VIP[4], 32), (VIP[6], 128)):
                flags = _NODAD if ":" in address else 0
                netlink.addr("add", index=self.wires.out.ifindex, address=address, prefixlen=length, flags=flags)
        with self._ends.entered():
            self._cables = {name: _cable(f"{name}far") for name in (OUT, INNER)}
        self._numbers = count()

    def close(self) -> None:
        for cable in self._cables.values():
            cable.close()
        self.wires.close()
        self._ends.close()
        os.sched_setaffinity(0, self._processors)

    def exchange(self, frame: Frame) -> tuple[Frame, ...]:
        """What came out of either wire because of the frame; numbers drawn by lot are 0 in it."""
        self._cables[frame.wire].send(frame.raw)
        seen = [came for _ in range(_MARKS) for came in self._until_marked()]
        return tuple(Frame(came.wire, undrawn(came.raw, frame.raw)) for came in seen)

    def _until_marked(self) -> list[Frame]:
        mark = _MARK + b"%d" % next(self._numbers)
        way = Ether(src=CLIENT_MAC, dst=OUT_MAC) / IP(src=CLIENT[4], dst=server(4, 20)) / UDP(sport=9, dport=9) / mark
        self._cables[OUT].send(bytes(way))
        seen = []
        while mark not in (raw := _received(self._cables[INNER])):
            seen.append(Frame(INNER, raw))
        self._cables[OUT].setblocking(False)
        try:
            while True:
                seen.append(Frame(OUT, _received(self._cables[OUT])))
        except BlockingIOError:
            self._cables[OUT].settimeout(_PATIENCE)
        return seen


def _received(cable: socket.socket) -> bytes:
    """The next frame from the director to anybody in particular."""
    while True:
        raw, (_, _, kind, _, _) = cable.recvfrom(_LONGEST)
        if kind != _OUTGOING and not raw[0] & 1:
            return raw


def _cable(name: str) -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
    made.bind((name, _ALL))
    made.settimeout(_PATIENCE)
    return made


def _set(name: str, value: int) -> None:
    Path("/proc/sys/net", name).write_text(str(value))
