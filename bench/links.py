"""Links at work: how fast TCP passes between two `vipd link`, and what of the processors each packet takes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.effort import Effort
from bench.harness import MeasureError
from bench.report import Row, Samples, at_least, plain
from bench.rig import address, namespaces, wire
from vipd.api.caller import NotRunningError
from vipd.api.link import LinkClient, LinkStatus
from vipd.lab.namespace import inside, path_of
from vipd.model.peer import Peer

GOAL: Final = 50.0
"Mbit/s."
HERE, THERE = "10.9.0.1", "10.9.0.2"
_PATIENCE: Final = 20.0
_BEAT: Final = 0.01
_PIECE: Final = 1 << 18
_TICKS: Final = os.sysconf("SC_CLK_TCK")
WAYS: Final = ("pty", "TCP")


@dataclass(frozen=True, slots=True)
class End:
    peer: Peer
    process: subprocess.Popen[bytes]

    def status(self) -> LinkStatus | None:
        try:
            with LinkClient(self.peer) as client:
                return client.status()
        except NotRunningError:
            return None

    def seconds(self) -> float:
        """Of a processor, that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS


def rows(effort: Effort, progress: Callable[[str], None]) -> Iterator[Row]:
    for framing in ("async", "bit"):
        for way in WAYS:
            progress(f"a link over {way}, {framing} frames")
            rates, costs = [], []
            for _ in range(effort.turns):
                rate, cost = _measured(way, framing, effort.seconds)
                rates.append(rate)
                costs.append(cost)
            name = f"link over {way}, {framing} frames"
            if framing == "async":
                yield at_least(f"{name}: TCP payload", Samples(tuple(rates)), GOAL, "Mbit/s")
            else:
                yield plain(f"{name}: TCP payload", Samples(tuple(rates)), "Mbit/s")
            yield plain(f"{name}: both ends' processor time", Samples(tuple(costs)), "us/packet")


def _measured(way: str, framing: str, seconds: float) -> tuple[float, float]:
    """Mbit/s of payload, and microseconds of processor a packet, both ends and directions together."""
    with namespaces("here", "there") as (here, there), ExitStack() as stack:
        near, far = wire((here, "eth0"), (there, "eth0"))
        address(near, "192.0.2.1/24")
        address(far, "192.0.2.2/24")
        peers = [Peer(f"bench{os.getpid() % 100_000}{side}") for side in "ab"]
        first = stack.enter_context(_link(here, peers[0], _place(way, peers[0], 0), f"{HERE}:{THERE}", framing))
        _wait(lambda: first.status() is not None, "the first end to run")
        second = stack.enter_context(_link(there, peers[1], _place(way, peers[0], 1), f"{THERE}:{HERE}", framing))
        _wait(lambda: all((found := end.status()) and found.families for end in (first, second)), "the link to be up")
        used, before = first.seconds() + second.seconds(), second.status()
        octets, took = _sent(here, there, seconds)
        used, after = first.seconds() + second.seconds() - used, second.status()
        assert before is not None
        assert after is not None
        packets = after.packets_in + after.packets_out - before.packets_in - before.packets_out
        return 8e-6 * octets / took, 1e6 * used / packets


def _place(way: str, first: Peer, side: int) -> str:
    if way == "TCP":
        return ("tcp-listen:192.0.2.1:7000", "tcp:192.0.2.1:7000")[side]
    return "pty" if side == 0 else f"serial:{first.pty.readlink()}"


@contextmanager
def _link(where: str, peer: Peer, over: str, ends: str, framing: str) -> Iterator[End]:
    command = [sys.executable, "-m", "vipd.cli.main", "link", "up", "--peer", peer.name]
    command += ["--over", over, "--ipv4", ends, "--framing", framing]
    process = subprocess.Popen(
        ["nsenter", f"--net={path_of(where)}", *command], stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield End(peer, process)
    finally:
        process.terminate()
        process.wait(_PATIENCE)


def _wait(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise MeasureError(f"waited {_PATIENCE:g} s in vain for {what}")
        time.sleep(_BEAT)


def _sent(here: str, there: str, seconds: float) -> tuple[int, float]:
    """Octets that arrived, and how long that took, from the first on."""
    with inside(there):
        listener = socket.create_server((THERE, 0))
    with inside(here):
        sender = socket.socket()
    with listener, sender:
        sender.settimeout(_PATIENCE)
        sender.connect((THERE, listener.getsockname()[1]))
        receiver, _ = listener.accept()
        with receiver:
            thread = threading.Thread(target=_send, args=(sender, seconds))
            thread.start()
            octets, began = len(receiver.recv(_PIECE)), time.monotonic()
            while piece := receiver.recv(_PIECE):
                octets += len(piece)
            took = time.monotonic() - began
            thread.join()
    return octets, took


def _send(sender: socket.socket, seconds: float) -> None:
    """Random octets: what is all alike would be escaped more, or less, than what passes elsewhere."""
    data, deadline = os.urandom(_PIECE), time.monotonic() + seconds
    while time.monotonic() < deadline:
        sender.sendall(data)
    sender.shutdown(socket.SHUT_WR)
