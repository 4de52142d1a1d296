"""Connections, requests and bytes a second through the NAT lab, by each balancer in turn."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from pyroute2 import IPRoute

from bench import rig
from bench.balancers import BALANCERS, FIRST, Place
from bench.effort import Effort
from bench.harness import MeasureError
from bench.report import Row, Samples, ahead_of, plain
from bench.rig import Link
from vipd.lab import network, process
from vipd.lab.namespace import inside
from vipd.lab.network import Network
from vipd.lab.topology import NAT, SWITCH, Host

PORT: Final = 80
_BULK: Final = 8 << 20
_OURS: Final = "vipd"
_REPORT: Final = """
done = function(summary, latency, requests)
   local e = summary.errors
   local failed = e.connect + e.read + e.write + e.status + e.timeout
   io.write(string.format("\\n%d %d %d %d\\n", summary.requests, summary.bytes, summary.duration, failed))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk asks for, and how its answer is told."""

    name: str
    path: str
    connections: int
    close: bool
    unit: str
    in_bytes: bool = False


LOADS: Final = (
    Load("connections", "/", 64, True, "connections/s"),
    Load("requests", "/", 64, False, "requests/s"),
    Load("bulk TCP", "/bulk", 8, False, "Gbit/s", in_bytes=True),
)


@dataclass(frozen=True, slots=True)
class Lab:
    """The NAT topology with a web server on every real server."""

    network: Network
    place: Place
    directory: Path

    def _of(self, host: str) -> str:
        return self.network.namespace(host)

    def load(self, load: Load, seconds: float) -> float:
        """What came back a second, as the client saw it."""
        script = self.directory / "report.lua"
        script.write_text(_REPORT)
        close = ["-H", "Connection: close"] if load.close else []
        options = [
            "-t",
            "1",
            "-c",
            str(load.connections),
            "-d",
            f"{seconds:g}s",
            "--timeout",
            "30s",
            "-s",
            str(script),
            *close,
        ]
        url = f"http://{self.place.vip}:{PORT}{load.path}"
        command = process.entering(self._of(NAT.client.name), [*FIRST, "wrk", *options, url])
        process.wait_until(self._answers, f"{self.place.vip}:{PORT} to answer")
        ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
        if ran.returncode:
            raise MeasureError(f"{load.name}: wrk failed: {ran.stdout} {ran.stderr}")
        requests, received, microseconds, failed = map(int, ran.stdout.strip().splitlines()[-1].split())
        if failed or not received:
            raise MeasureError(f"{load.name}: {failed} failures in {requests} requests")
        return received * 8e-3 / microseconds if load.in_bytes else requests * 1e6 / microseconds

    def _answers(self) -> bool:
        """Once by every server, so that every neighbour is known."""
        with inside(self._of(NAT.client.name)):
            for _ in self.place.servers:
                try:
                    with socket.create_connection((self.place.vip, PORT), timeout=1) as connection:
                        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                        if not connection.recv(1):
                            return False
                except OSError:
                    return False
        return True

    def segment(self, on: bool) -> None:
        """Segmentation and checksum offloads of every device; each sees the same packets where they are off."""
        state = "on" if on else "off"
        for host in NAT.hosts:
            for link in host.links:
                _offload(self._of(host.name), host.device_on(link.segment), state)
        for port, host, _ in NAT.ports():
            _offload(self._of(SWITCH), port, state)
            if host is NAT.director and on:
                with inside(self._of(SWITCH)), IPRoute() as kernel:
                    kernel.link("set", index=kernel.link_lookup(ifname=port)[0], xdp_fd=-1)


def _offload(where: str, device: str, state: str) -> None:
    features = [word for name in ("tx", "tso", "gso", "gro") for word in (name, state)]
    subprocess.run(process.entering(where, ["ethtool", "-K", device, *features]), check=True, capture_output=True)


def _links(of: Network, host: Host) -> tuple[Link, ...]:
    return tuple(rig.existing(of.namespace(host.name), host.device_on(link.segment)) for link in host.links)


def _serve(of: Network, host: Host, directory: Path) -> process.Process:
    home = directory / host.name
    home.mkdir()
    configuration = home / "nginx.conf"
    configuration.write_text(f"""
daemon off;
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    sendfile on;
    server {{
        listen {PORT} backlog=4096;
        location / {{ return 200 "served\\n"; }}
        location /bulk {{ alias {directory}/bulk; }}
    }}
}}
""")
    command = [*FIRST, "nginx", "-p", str(home), "-c", str(configuration), "-e", f"{home}/error.log"]
    return process.start(of.namespace(host.name), command, directory, host.name)


@contextmanager
def lab() -> Iterator[Lab]:
    name = f"bench{os.getpid()}"
    built = Network(name, NAT)
    servers: list[process.Process] = []
    with tempfile.TemporaryDirectory(prefix="vipd-bench-") as text:
        directory = Path(text)
        directory.chmod(0o755)  # nginx's workers read the bulk file as nobody
        (directory / "bulk").write_bytes(bytes(_BULK))
        try:
            built.build()
            links = _links(built, NAT.director)
            rig.address(links[0], f"{NAT.vip_address(4)}/32")
            addresses = tuple(str(NAT.address(host, 4)) for host in NAT.servers)
            servers += [_serve(built, host, directory) for host in NAT.servers]
            where = built.namespace(NAT.director.name)
            place = Place(where, links, str(NAT.vip_address(4)), PORT, addresses, directory)
            yield Lab(built, place, directory)
        finally:
            process.stop(servers)
            network.demolish(name)


def rows(effort: Effort, told: Callable[[str], None]) -> Iterator[Row]:
    with lab() as ready:
        ready.segment(on=False)
        values = _take_turns(ready, LOADS, list(BALANCERS), effort, told)
        for load in LOADS:
            ours = values[load.name, _OURS]
            for other in BALANCERS:
                if other != _OURS:
                    yield ahead_of(f"{load.name} beside {other}", ours, values[load.name, other], other, load.unit)
        ready.segment(on=True)
        bulk = LOADS[-1]
        others = [name for name in BALANCERS if name != _OURS]
        for (_, other), samples in _take_turns(ready, (bulk,), others, effort, told).items():
            yield plain(f"{bulk.name}, offloads on: {other}", samples, bulk.unit)


def _take_turns(
    ready: Lab, loads: tuple[Load, ...], names: list[str], effort: Effort, told: Callable[[str], None]
) -> dict[tuple[str, str], Samples]:
    """In turns of a new order each: a slow minute of the machine then hits nobody alone."""
    values: dict[tuple[str, str], list[float]] = {(load.name, name): [] for load in loads for name in names}
    random, order = Random(1), list(names)
    for turn in range(effort.turns):
        random.shuffle(order)
        for name in order:
            with BALANCERS[name](ready.place):
                for load in loads:
                    told(f"{load.name} by {name}, turn {turn + 1} of {effort.turns}")
                    try:
                        values[load.name, name].append(ready.load(load, effort.seconds))
                    except MeasureError as error:
                        raise MeasureError(f"{name}: {error}") from error
    return {key: Samples(tuple(of)) for key, of in values.items()}
