"""The lab's client and server against each other, and against what goes wrong, on the loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from vipd.lab.client import Load, Plan, Result
from vipd.lab.exchange import kind_of

ADDRESSES = {4: "127.0.0.1", 6: "::1"}


def free_port(kind: socket.SocketKind) -> int:
    """Free for both families when asked; nobody else here takes ports at random in between."""
    with closing(socket.socket(socket.AF_INET6, kind)) as found:
        found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        found.bind(("::", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    chosen = {"tcp": free_port(socket.SOCK_STREAM), "udp": free_port(socket.SOCK_DGRAM)}
    command = [sys.executable, "-m", "vipd.lab.server", "--name", "alpha"]
    command += ["--tcp", str(chosen["tcp"]), "--udp", str(chosen["udp"])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        try:
            yield chosen
        finally:
            server.terminate()
            assert server.wait(30) == 0


def carried_out(plan: Plan) -> Result:
    return asyncio.run(Load(plan).run())


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_every_request_is_answered_with_who_and_whom(ports: dict[str, int], transport: str, family: int) -> None:
    plan = Plan(transport, ADDRESSES[family], ports[transport], connections=40, concurrency=16, requests=3)
    result = carried_out(plan)
    assert (result.connections, result.sent, result.answered, result.lost) == (40, 120, 120, 0)
    assert result.servers == {"alpha": 120}
    assert result.clients == {ADDRESSES[family]: 120}
    assert result.errors == {}
    assert result.moved == 0
    assert 0 < result.latency_max < plan.timeout


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_large_requests_and_answers_come_whole(ports: dict[str, int], transport: str) -> None:
    plan = Plan(transport, "127.0.0.1", ports[transport], connections=4, upload=30_000, download=30_000)
    result = carried_out(plan)
    assert (result.answered, result.errors) == (4, {})


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_source_is_used_in_turn(ports: dict[str, int], transport: str) -> None:
    plan = Plan(
        transport, "127.0.0.1", ports[transport], connections=10, sources=("127.0.0.2", "127.0.0.3"), concurrency=1
    )
    assert carried_out(plan).clients == {"127.0.0.2": 5, "127.0.0.3": 5}


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_ports_are_used_in_turn_and_again(ports: dict[str, int], transport: str) -> None:
    first = free_port(socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM)
    for family in (4, 6, 4):
        plan = Plan(transport, ADDRESSES[family], ports[transport], connections=1, first_port=first)
        assert carried_out(plan).errors == {}


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_nobody_there_is_refused(transport: str) -> None:
    kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    result = carried_out(Plan(transport, "127.0.0.1", free_port(kind), connections=3, timeout=5))
    assert (result.sent, result.answered, result.errors) == (3, 0, {"refused": 3})


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_silence_is_a_timeout(kind: socket.SocketKind) -> None:
    with closing(socket.socket(socket.AF_INET, kind)) as silent:
        silent.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            silent.listen()
        transport = "tcp" if kind is socket.SOCK_STREAM else "udp"
        result = carried_out(Plan(transport, "127.0.0.1", silent.getsockname()[1], connections=2, timeout=0.05))
    assert (result.sent, result.answered, result.errors) == (2, 0, {"timeout": 2})


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


def body(told: dict[str, Any]) -> bytes:
    text = json.dumps(told).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def _another_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(body({"token": "of somebody else", "server": "beta", "client": "127.0.0.1"}))
    writer.close()


async def _no_json(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    writer.close()


@pytest.mark.parametrize(
    ("answer", "kind"), [(_hang_up, "closed"), (_another_answer, "wrong answer"), (_no_json, "wrong answer")]
)
def test_a_wrong_answer_is_no_answer(answer: Answer, kind: str) -> None:
    async def run() -> Result:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await Load(Plan("tcp", "127.0.0.1", port, connections=3)).run()

    result = asyncio.run(run())
    assert (result.sent, result.answered, result.errors) == (3, 0, {kind: 3})


def test_a_connection_that_meets_two_servers_has_moved() -> None:
    async def run() -> Result:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for name in ("alpha", "beta"):
                head = await reader.readuntil(b"\r\n\r\n")
                token = head.split(b"token=")[1].split(b"&")[0].decode()
                writer.write(body({"token": token, "server": name, "client": "127.0.0.1"}))
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await Load(Plan("tcp", "127.0.0.1", port, connections=3, requests=2)).run()

    result = asyncio.run(run())
    assert (result.answered, result.moved, result.servers) == (6, 3, {"alpha": 3, "beta": 3})


def test_no_more_connections_than_allowed_are_open_at_once() -> None:
    most = 0

    async def run() -> None:
        now = 0

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal most, now
            now += 1
            most = max(most, now)
            head = await reader.readuntil(b"\r\n\r\n")
            now -= 1
            token = head.split(b"token=")[1].split(b"&")[0].decode()
            writer.write(body({"token": token, "server": "alpha", "client": "127.0.0.1"}))
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            await Load(Plan("tcp", "127.0.0.1", port, connections=50, concurrency=5)).run()

    asyncio.run(run())
    assert 1 < most <= 5


def test_a_load_without_end_stops_when_told(ports: dict[str, int]) -> None:
    async def run() -> Result:
        plan = Plan("tcp", "127.0.0.1", ports["tcp"], connections=None, requests=1_000_000)
        load = Load(plan, lambda: load.stop.set())  # noqa: PLW0108, it is not there yet
        return await load.run()

    result = asyncio.run(run())
    assert result.answered == result.sent >= 1


def test_a_load_ends_when_its_time_is_over(ports: dict[str, int]) -> None:
    result = carried_out(Plan("tcp", "127.0.0.1", ports["tcp"], connections=None, seconds=0.05))
    assert result.answered == result.sent > 1
    assert 0.05 <= result.seconds < 5


def test_the_command_prints_what_the_library_returns(ports: dict[str, int]) -> None:
    command = [sys.executable, "-m", "vipd.lab.client", "tcp", "127.0.0.1", str(ports["tcp"]), "--connections", "5"]
    done = subprocess.run([*command, "--announce"], capture_output=True, text=True, check=True, timeout=60)
    announcement, told = done.stdout.splitlines()
    assert announcement == "started"
    result = Result.load(json.loads(told))
    assert (result.sent, result.servers) == (5, {"alpha": 5})
    assert result.dump() == json.loads(told)


def test_curl_gets_an_answer_too(ports: dict[str, int]) -> None:
    url = f"http://127.0.0.1:{ports['tcp']}/?token=x"
    done = subprocess.run(["curl", "-sS", "--fail", url, url], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.count('"server": "alpha"') == 2


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (None, "closed"),
        (ConnectionResetError(), "reset"),
        (OSError(113, "no route"), "ehostunreach"),
        (OSError(), "error"),
    ],
)
def test_an_error_has_a_kind(error: OSError | None, kind: str) -> None:
    assert kind_of(error) == kind
