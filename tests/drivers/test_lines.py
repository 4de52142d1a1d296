"""Lines of every kind: how they open, how they end, and what is refused before anything is begun."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tty
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from tests.support import clock
from tests.support.lan import DEADLINE
from vipd.drivers.channel import Channel
from vipd.drivers.lines import Line, line
from vipd.errors import EnvironmentProblem, LineError
from vipd.model.line import Place, Pty, Serial, Tcp, TcpListen


@pytest.fixture
def pty_pair() -> Iterator[tuple[int, str]]:
    """A terminal that stands for a serial device, and the other end of its cable."""
    cable, device = os.openpty()
    tty.setraw(device)
    name = os.ttyname(device)
    os.close(device)
    yield cable, name
    os.close(cable)


async def heard(channel: Channel, size: int) -> bytes:
    found = b""
    async with asyncio.timeout(DEADLINE):
        while len(found) < size:
            found += channel.read()
            await asyncio.sleep(0.001)
    return found


async def ended(channel: Channel) -> str:
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                channel.read()
            except LineError as error:
                return str(error)
            await asyncio.sleep(0.001)


def made(place: Place, folder: Path) -> Line:
    return line(place, folder / "pty")


EVERY_OCTET = bytes(range(256))


def test_a_serial_device_carries_every_octet_both_ways(pty_pair: tuple[int, str], tmp_path: Path) -> None:
    cable, device = pty_pair

    async def talk() -> None:
        opened = made(Serial(device), tmp_path)
        channel = await opened.open()
        assert channel.read() == b""
        os.write(cable, EVERY_OCTET)
        assert await heard(channel, 256) == EVERY_OCTET
        assert channel.write(EVERY_OCTET) == 256
        assert os.read(cable, 1000) == EVERY_OCTET
        await channel.finish()
        opened.close()

    asyncio.run(talk())


def test_a_serial_device_that_somebody_holds_is_refused(pty_pair: tuple[int, str], tmp_path: Path) -> None:
    held = made(Serial(pty_pair[1]), tmp_path)
    with pytest.raises(EnvironmentProblem, match=f"{pty_pair[1]}: cannot be opened: another program has locked it"):
        made(Serial(pty_pair[1]), tmp_path)
    held.close()


@pytest.mark.parametrize(("device", "said"), [("/dev/no-such", "No such file"), ("/dev/null", "it is no serial line")])
def test_what_is_no_serial_device_is_refused(device: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match=f"{device}: cannot be opened: {said}"):
        made(Serial(device), tmp_path)


def test_a_serial_line_whose_other_end_goes_is_told_and_can_be_tried_again(tmp_path: Path) -> None:
    async def cut() -> None:
        cable, device = os.openpty()
        name = os.ttyname(device)
        opened = made(Serial(name), tmp_path)
        channel = await opened.open()
        os.close(device)
        os.close(cable)
        assert await ended(channel) in ("the other end closed the line", "the line is hung up")
        await channel.finish()
        with pytest.raises(LineError, match="cannot be opened: No such file"):
            await opened.open()

    asyncio.run(cut())


def test_a_pseudo_terminal_waits_for_its_peer_and_for_the_next(tmp_path: Path) -> None:
    async def come_and_go() -> None:
        opened = made(Pty(), tmp_path)
        assert (tmp_path / "pty").readlink() == Path(opened.where)
        for _ in range(2):
            waiting = asyncio.create_task(opened.open())
            done, _ = await asyncio.wait([waiting], timeout=0.3)
            assert not done
            peer = os.open(opened.where, os.O_RDWR | os.O_NOCTTY)
            async with asyncio.timeout(DEADLINE):
                channel = await waiting
            os.write(peer, EVERY_OCTET)
            assert await heard(channel, 256) == EVERY_OCTET
            channel.write(EVERY_OCTET)
            assert os.read(peer, 1000) == EVERY_OCTET
            channel.write(b"left unread")
            os.close(peer)
            assert await ended(channel) == "the line is hung up"
            await channel.finish()
        opened.close()
        assert not (tmp_path / "pty").is_symlink()

    asyncio.run(come_and_go())


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_tcp_calls_and_is_called(address: str, tmp_path: Path) -> None:
    async def call() -> None:
        host = ip_address(address)
        listening = made(TcpListen(host, free_port(address)), tmp_path)
        assert isinstance(listening.where, str)
        calling = made(Tcp(address, int(listening.where.rpartition(":")[2])), tmp_path)
        async with asyncio.timeout(DEADLINE):
            here, there = await asyncio.gather(calling.open(), listening.open())
        assert here.write(EVERY_OCTET) == 256
        assert await heard(there, 256) == EVERY_OCTET
        await here.finish()
        assert await ended(there) == "the other end closed the line"
        await there.finish()
        listening.close()

    asyncio.run(call())


def free_port(address: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.bind((address, 0))
        found: int = probe.getsockname()[1]
        return found


def test_who_comes_while_there_is_a_peer_is_closed_at_once_and_counted(tmp_path: Path) -> None:
    async def crowd() -> None:
        port = free_port("127.0.0.1")
        opened = made(TcpListen(ip_address("127.0.0.1"), port), tmp_path)
        waiting = asyncio.create_task(opened.open())
        await asyncio.sleep(0)
        first = socket.create_connection(("127.0.0.1", port))
        channel = await waiting
        second = socket.create_connection(("127.0.0.1", port))
        second.settimeout(DEADLINE)
        assert await asyncio.to_thread(second.recv, 1) == b""
        assert opened.refused == 1
        first.send(b"still here")
        assert await heard(channel, 10) == b"still here"
        await channel.finish()
        # Once the first is gone, one may wait in its place even before it is asked for.
        third = socket.create_connection(("127.0.0.1", port))
        async with asyncio.timeout(DEADLINE):
            channel = await opened.open()
        third.send(b"my turn")
        assert await heard(channel, 7) == b"my turn"
        await channel.finish()
        opened.close()
        for each in (first, second, third):
            each.close()

    asyncio.run(crowd())


def test_a_port_in_use_and_a_foreign_address_are_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EnvironmentProblem, match=f"127.0.0.1:{port}: cannot listen there: Address already in use"):
            made(TcpListen(ip_address("127.0.0.1"), port), tmp_path)
    with pytest.raises(EnvironmentProblem, match="cannot listen there: Cannot assign requested address"):
        made(TcpListen(ip_address("192.0.2.1"), 7000), tmp_path)


@pytest.mark.parametrize(
    ("place", "said"),
    [(Tcp("127.0.0.1", 1), "Connection refused"), (Tcp("no-such-host.invalid", 7000), "tcp:no-such-host.invalid:7000")],
)
def test_nobody_to_call_is_told_and_can_be_tried_again(place: Tcp, said: str, tmp_path: Path) -> None:
    opened = made(place, tmp_path)
    for _ in range(2):
        with pytest.raises(LineError, match=said):
            asyncio.run(opened.open())


class TwoAddresses(clock.Loop):
    """Where every host has two addresses, of which the first takes no notice of anybody."""

    async def getaddrinfo(self, host: Any, port: Any, **_how: Any) -> Any:
        kind = socket.AF_INET, socket.SOCK_STREAM, 0, ""
        return [(*kind, (address, port)) for address in ("192.0.2.1", host)]

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        if address[0] == "192.0.2.1":
            await asyncio.Event().wait()
        sock.setblocking(True)
        sock.connect(address)


def test_an_address_that_is_silent_leaves_time_for_the_next(tmp_path: Path) -> None:
    async def call(place: Tcp) -> tuple[float, str]:
        try:
            channel = await made(place, tmp_path).open()
        except LineError as error:
            return asyncio.get_running_loop().time(), str(error)
        await channel.finish()
        return asyncio.get_running_loop().time(), "open"

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert clock.run(call(Tcp("127.0.0.1", port)), TwoAddresses) == (5.0, "open")
        assert clock.run(call(Tcp("192.0.2.1", 7)), TwoAddresses) == (10.0, "tcp:192.0.2.1:7: no answer within 10 s")


def test_a_line_over_tcp_notices_by_itself_that_its_peers_machine_is_gone(tmp_path: Path) -> None:
    async def call() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            channel = await made(Tcp("127.0.0.1", server.getsockname()[1]), tmp_path).open()
            with socket.socket(fileno=os.dup(channel.reader)) as same:
                assert same.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                assert same.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
                assert same.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
            await channel.finish()

    asyncio.run(call())


TALK = """
import asyncio, os, sys
from pathlib import Path
from vipd.drivers.lines import line
from vipd.model.line import Stdio
async def echo():
    channel = await line(Stdio(), Path()).open()
    done = b''
    while len(done) < 256:
        piece = channel.read()
        done += piece
        channel.write(piece)
        await asyncio.sleep(0.001)
    await channel.finish()
asyncio.run(echo())
print(os.get_blocking(0), os.get_blocking(1), file=sys.stderr)
"""


def test_a_programs_own_input_and_output_are_a_line_and_left_as_they_were() -> None:
    done = subprocess.run([sys.executable, "-c", TALK], input=EVERY_OCTET, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (EVERY_OCTET, b"True True\n")


@pytest.mark.parametrize("where", ["/dev/null", __file__])
def test_a_plain_file_is_no_line(where: str) -> None:
    program = "from pathlib import Path\nfrom vipd.drivers.lines import line\nfrom vipd.model.line import Stdio\n"
    with Path(where).open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-c", f"{program}line(Stdio(), Path())"],
            stdin=file,
            capture_output=True,
            check=False,
        )
    assert b"EnvironmentProblem: stdio: standard input or output is a plain file or nothing" in done.stderr
