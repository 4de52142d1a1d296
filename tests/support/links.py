"""Real links between network namespaces: their programs, pings and whole transfers through them."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

from tests.support.lan import DEADLINE, Host, eventually
from vipd.api.link import LinkClient, LinkStatus
from vipd.lab import namespace
from vipd.model.peer import Peer

VIPD: Final = (sys.executable, "-m", "vipd.cli.main")
LOCAL, REMOTE = "10.9.0.1", "10.9.0.2"
ENDS4: Final = {"a": f"{LOCAL}:{REMOTE}", "b": f"{REMOTE}:{LOCAL}"}
_numbers: Final = itertools.count()
_PIECE: Final = 1 << 16


def vipd(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*VIPD, *arguments], capture_output=True, text=True, check=False, timeout=DEADLINE)


class Program:
    """Started, heard, ended."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, command: Sequence[str], **more: Any) -> None:
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(command, stderr=output, start_new_session=True, **more)

    @property
    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    @property
    def process_id(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def says(self, words: str, times: int = 1) -> None:
        """Waits until it has."""

        def said() -> bool:
            assert self.running or self.log.count(words) >= times, self.log
            return self.log.count(words) >= times

        eventually(said)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(DEADLINE)

    def refused(self) -> str:
        """It ended by itself because something must change first; what it said."""
        assert self.process is not None
        assert self.process.wait(DEADLINE) == 2, self.log
        return self.log


class End(Program):
    """`vipd link up` in a namespace of its own; `role` a has the lower address."""

    def __init__(self, name: str, role: str, folder: Path) -> None:
        super().__init__(folder / f"{name}.log")
        self.name, self.role = name, role
        self.host = Host(name)
        self.peer = Peer(name)
        self._adopted = False
        namespace.create(name)
        self.host.ip("link", "set", "lo", "up")

    def command(self, *options: str) -> tuple[str, ...]:
        """As another program starts it, too."""
        inside = f"--net=/run/netns/{self.host.name}"
        return "nsenter", inside, *VIPD, "link", "up", "--peer", self.name, *options

    def start(self, *options: str, environment: dict[str, str] | None = None, **more: Any) -> Self:
        self.run(self.command(*options), env={**os.environ, **(environment or {})}, **more)
        return self

    def carry(self, over: str, *options: str, **more: Any) -> Self:
        """Both families over this line."""
        return self.start("--over", over, "--ipv4", ENDS4[self.role], "--ipv6", *options, **more)

    def adopt(self, device: str, *options: str) -> Self:
        """Started by another program, which talks to a device for it; this end's life depends on that."""
        script = self._log.with_suffix(".sh")
        script.write_text("#!/bin/sh\nexec " + shlex.join(self.command("--over", "stdio", *options)) + "\n")
        script.chmod(0o755)
        self._adopted = True
        self.run(["socat", f"file:{device},raw,echo=0", f"EXEC:{script}"])
        return self

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        status = super().end(number)
        if self._adopted:
            # Not our child: what we ended is the program that started it, and the link ends after that.
            eventually(lambda: not self.peer.directory.exists())
        return status

    def is_running(self) -> None:
        """Waits until it has done all that root is needed for."""
        self.says("interface")

    def pty(self) -> str:
        """The path that the other end opens, and again and again: the device's own name is soon another's."""
        self.is_running()
        return str(self.peer.pty)

    def status(self) -> LinkStatus:
        with LinkClient(self.peer) as client:
            return client.status()

    def is_up(self, families: Sequence[int] = (4, 6)) -> LinkStatus:
        """Waits until packets of these pass; the status then."""

        def up() -> LinkStatus | None:
            assert self.running, self.log
            if not self.peer.socket.exists() or self.log.count(": up, ") < len(families):
                return None
            found = self.status()
            return found if {each.local.version for each in found.families} == set(families) else None

        found = eventually(up)
        assert found is not None
        return found

    def address(self, version: int) -> str:
        [found] = [each.local for each in self.status().families if each.local.version == version]
        return str(found)

    def remove(self) -> None:
        if self.running:
            super().end(signal.SIGKILL)
        if self._adopted:
            vipd("link", "down", self.name)
        # Of a killed one nothing else is left; what `vipd link down` makes of that has a test of its own.
        shutil.rmtree(self.peer.directory, ignore_errors=True)
        if namespace.exists(self.name):
            namespace.remove(self.name)


class Pair:
    """Two ends, a and b; nothing of them is left at the end."""

    def __init__(self, folder: Path) -> None:
        number = next(_numbers)
        self.a, self.b = (End(f"lk{os.getpid() % 1_000_000}{role}{number}", role, folder) for role in "ab")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # First both: who is left alone calls again, and what it calls may be another test's by then.
        for end in (self.a, self.b):
            if end.process:
                end.process.kill()
        for end in (self.a, self.b):
            end.remove()

    def up(self, families: Sequence[int] = (4, 6)) -> None:
        for end in (self.a, self.b):
            end.is_up(families)

    def ways(self) -> tuple[tuple[End, End], tuple[End, End]]:
        return (self.a, self.b), (self.b, self.a)

    def leave_nothing(self) -> None:
        for end in (self.a, self.b):
            assert not end.peer.directory.exists()
            assert {each["ifname"] for each in json.loads(end.host.ip("-j", "link"))} <= {"lo", "eth0"}


def ping(source: End, target: End, version: int, count: int = 3) -> None:
    """Every one of them must come back."""
    address = target.address(version) + (f"%{source.name}" if version == 6 else "")
    # All at once: the interval is what ping waits for the last answer, once there was one.
    done = source.host.run("ping", "-c", str(count), "-l", str(count), "-i", "5", "-W", "5", address, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f" {count} received" in done.stdout, done.stdout


def transfer(source: End, target: End, version: int, size: int, patience: float = 60.0) -> None:
    """Random octets by TCP, whole and unchanged."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    address = target.address(version)
    scope = _index(source) if version == 6 else 0
    data = random.Random(size + version).randbytes(size)
    listener = target.host.inside(lambda: _listener(family))
    received = hashlib.sha256()

    def receive() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(patience)
            while piece := peer.recv(_PIECE):
                received.update(piece)
            peer.sendall(b"k")

    with listener:
        listener.settimeout(patience)
        port = listener.getsockname()[1]
        thread = threading.Thread(target=receive)
        thread.start()
        place = (address, port) if version == 4 else (address, port, 0, scope)
        with source.host.inside(lambda: socket.socket(family)) as sender:
            sender.settimeout(patience)
            sender.connect(place)
            sender.sendall(data)
            sender.shutdown(socket.SHUT_WR)
            assert sender.recv(1) == b"k"
        thread.join(patience)
    assert received.digest() == hashlib.sha256(data).digest()


def _listener(family: int) -> socket.socket:
    listener = socket.socket(family)
    listener.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", 0))
    listener.listen(1)
    return listener


def _index(end: End) -> int:
    found: int = end.host.inside(lambda: socket.if_nametoindex(end.name))
    return found
