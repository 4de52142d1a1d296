"""The API over a real Unix socket: what is asked for, what is refused, and who may ask."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path

import httpx
import pytest

from tests.support.lan import eventually
from vipd.api.client import Client, NotRunningError
from vipd.api.schema import Drained, Reloaded, Status, Usage
from vipd.api.server import application
from vipd.api.serving import Server, listen
from vipd.dataplane.port import Matching
from vipd.errors import ConfigError, DataplaneError, DirectorError, EnvironmentProblem, Problem
from vipd.model.director import Transport
from vipd.model.instance import Instance
from vipd.model.state import Connection

PROBLEMS = [
    Problem("services.web", "is wrong; be right", "vipd.yaml", 3, 5),
    Problem("vips", "is wrong", "vipd.yaml", 9, 1),
]


def connection(number: int) -> Connection:
    client = ip_address("198.51.100.0") + number
    vip, server = ip_address("203.0.113.10"), ip_address("2001:db8::11")
    return Connection(Transport.TCP, client, 4000 + number, vip, 80, server, 8080, "established", 12.5, True)


class Fake:
    """A daemon as far as the API sees one."""

    def __init__(self) -> None:
        self.refuse: DirectorError | None = None
        self.asked: list[object] = []
        self.stopped = False

    def _refuse(self) -> None:
        if self.refuse:
            raise self.refuse

    async def status(self) -> Status:
        self._refuse()
        return Status(
            instance="test",
            pid=1,
            version="0",
            config="vipd.yaml",
            services=[],
            vips=[],
            interfaces=[],
            connections=Usage(used=0, limit=10),
            outcomes={},
            events={},
        )

    async def connections(self, matching: Matching, limit: int) -> AsyncIterator[Sequence[Connection]]:
        self.asked.append((matching, limit))
        for first in range(0, limit or 2500, 1000):
            yield [connection(number) for number in range(first, min(first + 1000, limit or 2500))]

    async def reload(self) -> Reloaded:
        self._refuse()
        return Reloaded(changes=3, vips=1)

    async def drain(self, service: str, server: str, drained: bool) -> Drained:
        self._refuse()
        self.asked.append((service, server, drained))
        return Drained(service=service, servers=[server], connections=7)

    async def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    monkeypatch.setattr(Instance, "socket", property(lambda _: tmp_path / "api.sock"))
    return Instance("test")


@pytest.fixture
def daemon(instance: Instance) -> Iterator[Fake]:
    control = Fake()
    server = Server(application(control))
    listener = listen(instance.socket)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        eventually(lambda: server.started)
        yield control
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def test_status_arrives_as_it_was_sent(daemon: Fake, instance: Instance) -> None:
    with Client(instance) as client:
        assert client.status() == asyncio.run(daemon.status())


def test_a_reload_tells_what_changed(daemon: Fake, instance: Instance) -> None:
    assert not daemon.stopped
    with Client(instance) as client:
        assert client.reload() == Reloaded(changes=3, vips=1)


def test_every_mistake_of_a_refused_file_arrives_with_its_place(daemon: Fake, instance: Instance) -> None:
    daemon.refuse = ConfigError(PROBLEMS)
    with Client(instance) as client, pytest.raises(ConfigError) as refused:
        client.reload()
    assert refused.value.problems == tuple(PROBLEMS)
    assert str(refused.value).splitlines()[0] == "vipd.yaml:3:5: services.web: is wrong; be right"


@pytest.mark.parametrize("error", [EnvironmentProblem("no such interface"), DataplaneError("no memory")])
def test_other_refusals_arrive_with_their_text_and_kind(daemon: Fake, instance: Instance, error: DirectorError) -> None:
    daemon.refuse = error
    with Client(instance) as client, pytest.raises(DirectorError, match=str(error)) as refused:
        client.status()
    assert isinstance(refused.value, EnvironmentProblem) == isinstance(error, EnvironmentProblem)


def test_a_mistake_of_the_daemons_own_is_told_as_one(daemon: Fake, instance: Instance) -> None:
    class Bug(DirectorError):
        def __str__(self) -> str:
            raise RuntimeError

    daemon.refuse = Bug()
    with Client(instance) as client, pytest.raises(DirectorError, match="its log says why"):
        client.status()


@pytest.mark.parametrize("limit", [1, 999, 1000, 1001, 0])
def test_connections_arrive_one_by_one_up_to_the_limit(daemon: Fake, instance: Instance, limit: int) -> None:
    with Client(instance) as client:
        found = list(client.connections({}, limit))
    assert found == [connection(number) for number in range(limit or 2500)]
    assert daemon.asked == [(Matching(), limit)]


def test_filters_arrive_parsed(daemon: Fake, instance: Instance) -> None:
    given = {"client": "198.51.100.0/24", "vip": "203.0.113.10", "server": "2001:db8::11", "state": "udp"}
    with Client(instance) as client:
        assert list(client.connections(given, 1))
    network, vip, server = ip_network("198.51.100.0/24"), ip_address("203.0.113.10"), ip_address("2001:db8::11")
    assert daemon.asked == [(Matching(client=network, vip=vip, server=server, state="udp"), 1)]


@pytest.mark.parametrize("given", [{"client": "198.51.100.1/24"}, {"vip": "web"}, {"server": "10.0.0.1:80"}])
def test_a_filter_that_is_no_address_is_refused_with_what_is_allowed(
    daemon: Fake, instance: Instance, given: dict[str, str]
) -> None:
    with Client(instance) as client, pytest.raises(ConfigError, match="allowed is"):
        list(client.connections(given, 1))
    assert daemon.asked == []


@pytest.mark.parametrize("drained", [True, False])
def test_a_drain_and_its_end_arrive(daemon: Fake, instance: Instance, drained: bool) -> None:
    with Client(instance) as client:
        done = client.drain("web; touch x", "$(id)\n", drained)
    assert daemon.asked == [("web; touch x", "$(id)\n", drained)]
    assert done.connections == 7


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"service": "web"}', b'{"service": 1, "server": 2}', b"\xff" * 5000]
)
def test_a_request_that_is_none_is_refused(daemon: Fake, instance: Instance, body: bytes) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(instance.socket)), base_url="http://vipd") as http:
        assert http.post("/drain", content=body).status_code == 422
        assert http.get("/connections?limit=-1").status_code == 422
        assert http.get("/reload").status_code == 405
    assert daemon.asked == []


def test_stop_is_handed_on(daemon: Fake, instance: Instance) -> None:
    with Client(instance) as client:
        client.stop()
    assert daemon.stopped


def test_where_nobody_listens_that_is_said(instance: Instance) -> None:
    with pytest.raises(NotRunningError, match="vipd does not run for instance 'test'"), Client(instance):
        pass


def test_a_daemon_of_another_version_is_told(daemon: Fake, instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    async def older() -> Reloaded:
        return Reloaded(changes=0, vips=0)

    monkeypatch.setattr(daemon, "status", older)
    with Client(instance) as client, pytest.raises(DirectorError, match="another version"):
        client.status()


def test_a_dead_daemons_socket_is_replaced_and_anything_else_is_not(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    listen(path).close()
    listen(path).close()
    assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EnvironmentProblem, match="not a socket"):
        listen(path)


@pytest.mark.root
def test_nobody_but_the_owner_may_ask(daemon: Fake, instance: Instance, tmp_path: Path) -> None:
    for directory in (tmp_path, *tmp_path.parents[:-2]):
        # Of those that pytest made; others may be everybody's, such as /var/tmp.
        if not directory.stat().st_mode & 0o001:
            directory.chmod(0o755)
    program = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])"
    command = [sys.executable, "-c", program, str(instance.socket)]
    assert subprocess.run(command, check=False).returncode == 0
    # Not even where the directory were open to all.
    refused = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", *command[1:]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "PermissionError" in refused.stderr
    assert os.geteuid() == 0
    assert daemon.asked == []
