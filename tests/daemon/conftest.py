"""A director between a client and a server that echoes, and real daemons on it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.lan import DEADLINE, Lan

CONFIG = """\
connections: 10000
interfaces: [eth0, eth1]
services:
  web:
    listen: {listen}
    method: nat
    scheduler: rr
    servers: {servers}
"""
BOTH = """\
  web6:
    listen: "[2001:db8:1::10]:80/tcp"
    method: nat
    scheduler: rr
    servers: ["2001:db8:2::2"]
"""
VIP4, VIP6 = "192.0.2.10", "2001:db8:1::10"
Write = Callable[..., Path]


@pytest.fixture
def lan() -> Iterator[Lan]:
    with Lan() as made:
        try:
            yield made
        finally:
            made.down()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A configuration file, with as much of it changed as a test is about."""

    def to_file(listen: str = f"[{VIP4}:80/tcp]", servers: str = "[10.0.0.2]", more: str = "") -> Path:
        path = tmp_path / "vipd.yaml"
        path.write_text(CONFIG.format(listen=listen, servers=servers) + more)
        return path

    return to_file


@pytest.fixture
def config(write: Write) -> Path:
    return write(f"[{VIP4}:80/tcp]", "[10.0.0.2, {address: 10.0.0.3, weight: 2}]")


@pytest.fixture
def echo(lan: Lan) -> Iterator[Callable[[], socket.socket]]:
    """A server that echoes on port 80; called, a new connection to it through the VIP."""
    listener = lan.server.inside(lambda: socket.create_server(("0.0.0.0", 80)))
    accepted: list[socket.socket] = []

    def serve(peer: socket.socket) -> None:
        try:
            while data := peer.recv(1000):
                peer.sendall(data)
        except OSError:
            return

    def accept() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            accepted.append(peer)
            threading.Thread(target=serve, args=(peer,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    opened: list[socket.socket] = []

    def connect() -> socket.socket:
        made = lan.client.inside(lambda: socket.create_connection((VIP4, 80), timeout=DEADLINE))
        opened.append(made)
        return made

    yield connect
    for each in (*opened, *accepted):
        each.close()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def answers(connection: socket.socket, text: bytes = b"hello") -> bool:
    connection.sendall(text)
    received = b""
    while len(received) < len(text):
        data = connection.recv(1000)
        if not data:
            return False
        received += data
    return received == text
