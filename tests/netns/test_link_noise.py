"""A noisy line: frames are lost, and nothing that arrives is other than it was sent."""

from __future__ import annotations

import os
import socket
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.support.lan import DEADLINE, eventually
from tests.support.links import Pair, transfer
from tests.support.relay import Relay
from vipd.link.queue import LATE

NOISE = 1e-5
PACKETS, SIZE = 5000, 1200
WINDOW, FEW = 50, 20
SO_NO_CHECK = 11


@contextmanager
def noisy(folder: Path, *options: str) -> Iterator[tuple[Pair, Relay]]:
    """The ends agree before the noise begins."""
    with Pair(folder) as pair:
        pair.a.carry("pty", *options)
        terminal = os.open(pair.a.pty(), os.O_RDWR | os.O_NOCTTY)
        tty.setraw(terminal)
        near, far = socket.socketpair()
        with near, Relay(terminal, near.fileno()) as relay:
            pair.b.carry("stdio", *options, stdin=far, stdout=far)
            far.close()
            pair.up()
            relay.noise = NOISE
            yield pair, relay
        os.close(terminal)


def ip_faults(pair: Pair) -> dict[str, int]:
    """What the kernel of either end found wrong with what it was given."""
    found: dict[str, int] = {}
    for end in (pair.a, pair.b):
        for path in ("/proc/net/snmp", "/proc/net/snmp6"):
            lines = end.host.run("cat", path).stdout.splitlines()
            if path.endswith("6"):
                pairs = [line.split() for line in lines]
            else:
                pairs = [
                    [name + key, value]
                    for names, values in zip(lines[::2], lines[1::2], strict=True)
                    for name in [names.split(":")[0]]
                    for key, value in zip(names.split()[1:], values.split()[1:], strict=True)
                ]
            wrong = ("InHdrErrors", "InCsumErrors", "InErrs", "InTruncatedPkts", "InAddrErrors")
            for key, value in pairs:
                if key.endswith(wrong):
                    found[key] = found.get(key, 0) + int(value)
    return found


@pytest.mark.parametrize("framing", ["async", "bit"])
def test_datagrams_without_a_checksum_arrive_as_they_were_or_not_at_all(tmp_path: Path, framing: str) -> None:
    sent = [number.to_bytes(4, "big") + os.urandom(SIZE - 4) for number in range(PACKETS)]
    with noisy(tmp_path, "--framing", framing) as (pair, relay):
        with (
            pair.b.host.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as receiver,
            pair.a.host.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender,
        ):
            receiver.bind(("", 0))
            receiver.setblocking(False)
            # Nobody behind the link shall find what the link does not.
            sender.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
            sender.connect((pair.b.address(4), receiver.getsockname()[1]))
            received: list[bytes] = []
            for start in range(0, PACKETS, WINDOW):
                for packet in sent[start : start + WINDOW]:
                    sender.send(packet)
                # Not all of these few are lost.
                last = set(sent[start + WINDOW - FEW : start + WINDOW])
                eventually(partial(arrived, receiver, received, last))
            eventually(lambda: pair.b.status().octets_in >= pair.a.status().octets_out)
            all_of(receiver, received)
        found = pair.b.status()
        assert received == [packet for packet in sent if packet in set(received)]
        dropped = pair.a.status().dropped
        # A machine that is too busy to carry them in time says so.
        assert dropped.keys() <= {LATE}
        carried = PACKETS - dropped.get(LATE, 0)
        # 1,200 octets at 1e-5: one in ten is struck.
        assert carried * 0.85 < len(received) < carried * 0.95
        assert found.faults["bad_fcs"] > PACKETS * 0.05
        assert set(ip_faults(pair).values()) == {0}
        print(f"{framing}: {relay.turned} bits turned, {PACKETS - len(received)} of {PACKETS} lost, {found.faults}")


def arrived(receiver: socket.socket, received: list[bytes], some: set[bytes]) -> bool:
    return not some.isdisjoint(all_of(receiver, received)[-FEW:])


def all_of(receiver: socket.socket, received: list[bytes]) -> list[bytes]:
    """What has arrived so far."""
    while True:
        try:
            received.append(receiver.recv(65_535))
        except BlockingIOError:
            return received


def test_transfers_both_ways_are_whole_all_the_same(tmp_path: Path) -> None:
    with noisy(tmp_path, "--mru", "1280") as (pair, relay):
        transfer(pair.a, pair.b, 4, 1_000_000, DEADLINE)
        transfer(pair.b, pair.a, 6, 1_000_000, DEADLINE)
        assert relay.turned > 100
        assert set(ip_faults(pair).values()) == {0}
