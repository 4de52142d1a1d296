"""Looks and counts on the lab's wires: at the ports of the switch, where every frame passes as a frame.

What XDP sends is invisible on the director itself (no capture sees it there), but at
the other end of its cables it is a frame like any other.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import permutations
from pathlib import Path
from typing import Final

from vipd.errors import DirectorError
from vipd.lab import namespace, process
from vipd.lab.frames import Sighting, decode_packet, sighting
from vipd.lab.lab import Lab
from vipd.lab.process import wait_until
from vipd.lab.topology import FAMILIES, SWITCH, ends_of

_ETH_P_ALL: Final = 0x0003
_PACKET_OUTGOING: Final = 4
_SO_TIMESTAMPNS: Final = 35
_LONGEST: Final = 65_535
_TABLE: Final = "vipd_lab"
_CAPTURE_LIMIT: Final = 200_000
"Packets in one file."
_QUIET: Final = 3
"Equal readings in a row after which a counter counts as at rest."
_FIGURES: Final = re.compile(
    r"(\d+) packets? captured, (\d+) packets? received by filter, (\d+) packets? dropped by kernel"
)


class Tap:
    """Every TCP or UDP packet that a host sends while the tap is open."""

    def __init__(self, lab: Lab) -> None:
        self._senders = {port: host.name for port, host, _ in lab.topology.ports()}
        self._hosts = dict(_macs(lab))
        self._switch = _listener(lab, SWITCH)
        self._lines = [
            (_listener(lab, host.name, host.device_on(line.name)), host.name, other.name)
            for line in lab.topology.lines
            for host, other in permutations(ends_of(lab.topology, line))
        ]

    def sightings(self) -> list[Sighting]:
        """What was seen since the last call, in order."""
        found = [*self._on_the_switch(), *self._on_lines()]
        return [seen for _, seen in sorted(found, key=lambda pair: pair[0])]

    def _on_the_switch(self) -> Iterator[tuple[int, Sighting]]:
        for at, frame, port, kind in _heard(self._switch):
            # What leaves a port has come in at another: each frame is looked at once.
            if kind != _PACKET_OUTGOING and port in self._senders:
                seen = sighting(self._senders[port], self._hosts, frame)
                if seen is not None:
                    yield at, seen

    def _on_lines(self) -> Iterator[tuple[int, Sighting]]:
        """Of what came in, XDP has taken what concerns it: each end tells what it sent."""
        for listener, sender, receiver in self._lines:
            for at, data, _, kind in _heard(listener):
                packet = decode_packet(data) if kind == _PACKET_OUTGOING else None
                if packet is not None:
                    yield at, Sighting(sender, receiver, packet)

    def close(self) -> None:
        for listener in (self._switch, *(listener for listener, _, _ in self._lines)):
            listener.close()


def _listener(lab: Lab, host: str, device: str = "") -> socket.socket:
    with namespace.inside(lab.network.namespace(host)):
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        if device:
            made.bind((device, _ETH_P_ALL))
    made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    made.setblocking(False)
    return made


def _heard(listener: socket.socket) -> Iterator[tuple[int, bytes, str, int]]:
    """When (ns), what, on which device, and which way."""
    while True:
        try:
            data, ancillary, _, (device, _, kind, _, _) = listener.recvmsg(_LONGEST, 64)
        except BlockingIOError:
            return
        [(_, _, stamp)] = [each for each in ancillary if each[1] == _SO_TIMESTAMPNS]
        seconds, nanoseconds = struct.unpack("=qq", stamp)
        yield seconds * 1_000_000_000 + nanoseconds, data, device, kind


@contextmanager
def tapped(lab: Lab) -> Iterator[Tap]:
    tap = Tap(lab)
    try:
        yield tap
    finally:
        tap.close()


def _macs(lab: Lab) -> Iterator[tuple[bytes, str]]:
    for host in lab.topology.hosts:
        with namespace.netlink(lab.network.namespace(host.name)) as netlink:
            for link in netlink.get_links():
                yield bytes.fromhex(str(link.get("address", "")).replace(":", "")), host.name


class ReplyCounter:
    """Frames from a VIP that left the director, counted by the kernel on the wire."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        topology = lab.topology
        rules = [
            # Not the neighbour advertisements that come from an IPv6 VIP too.
            f"ip{'' if family == 4 else '6'} saddr {topology.vip_address(family)} "
            f'meta l4proto {{ tcp, udp }} counter name "replies{family}"'
            for family in FAMILIES
        ]
        counters = "\n".join(f"counter replies{family} {{ }}" for family in FAMILIES)
        port = f"{topology.vip.segment}-{topology.director.name}"
        text = (
            f"table netdev {_TABLE} {{\n{counters}\nchain wire {{\n"
            f'type filter hook ingress device "{port}" priority 0\n' + "\n".join(rules) + "\n}\n}\n"
        )
        path = lab.directory / "replies.nft"
        path.write_text(text)
        lab.run(SWITCH, "nft", "-f", str(path))

    def settled(self) -> dict[int, int]:
        """By family, once no reply is under way any more."""
        readings: list[dict[int, int]] = []

        def at_rest() -> bool:
            readings.append(self._read())
            return len(readings) >= _QUIET and all(each == readings[-1] for each in readings[-_QUIET:])

        wait_until(at_rest, "replies to end")
        return readings[-1]

    def _read(self) -> dict[int, int]:
        told = json.loads(self._lab.run(SWITCH, "nft", "-j", "list", "counters", "table", "netdev", _TABLE))
        packets = {
            each["counter"]["name"]: each["counter"]["packets"] for each in told["nftables"] if "counter" in each
        }
        return {family: packets[f"replies{family}"] for family in FAMILIES}


class Capture:
    """tcpdump on a port of the switch: what its host sends (`in`), receives (`out`), or both."""

    def __init__(self, lab: Lab, port: str, path: Path, *expression: str, direction: str = "inout") -> None:
        self.path = path
        command = ["tcpdump", "-i", port, "-n", "-U", "-Q", direction, "-Z", "root", "-c", str(_CAPTURE_LIMIT)]
        command += ["-w", str(path), "--immediate-mode", "-B", "16384", *expression]
        self._process = lab.start(SWITCH, *command, name=f"tcpdump-{path.stem}")
        wait_until(lambda: "listening on" in self._said() or self._has_ended(), "tcpdump to listen")
        if self._has_ended():
            raise DirectorError(f"tcpdump ended: {self._said().strip()}")

    def stop(self) -> None:
        """Once all that was seen is in the file."""
        try:
            wait_until(self._is_drained, f"tcpdump to write {self.path}")
        finally:
            process.stop([self._process], number=signal.SIGINT)

    def _said(self) -> str:
        return self._process.log.read_text(errors="replace")

    def _has_ended(self) -> bool:
        return not process.is_alive(self._process)

    def _is_drained(self) -> bool:
        """tcpdump answers SIGUSR1 with how much it has written and how much the kernel had for it."""
        told = len(_FIGURES.findall(self._said()))
        process.send(self._process, signal.SIGUSR1)
        wait_until(
            lambda: len(_FIGURES.findall(self._said())) > told or self._has_ended(), "tcpdump to tell its figures"
        )
        if self._has_ended():
            return True
        captured, received, dropped = map(int, _FIGURES.findall(self._said())[-1])
        return captured + dropped >= received


@contextmanager
def captured(lab: Lab, directory: Path) -> Iterator[None]:
    """A file for each port of the switch, which is for each hop of every path; and for each line, if those are kept."""
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        for port, _, _ in lab.topology.ports():
            capture = Capture(lab, port, directory / f"{port}.pcap")
            stack.callback(capture.stop)
        yield
    for line in lab.topology.lines:
        if lab.frames(line.name).exists():
            shutil.copyfile(lab.frames(line.name), directory / f"{line.name}.pcap")
