"""The balancers that are compared: each in the director's place, with the same VIP and servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from bench.director import director, service
from bench.harness import MeasureError
from bench.live import load_ruleset
from bench.rig import Link
from vipd.lab import process
from vipd.model.director import Method, Scheduler, Transport

NGINX_STREAM: Final = "/usr/lib/nginx/modules/ngx_stream_module.so"
THREADS: Final = 2
FIRST: Final = ("nice", "-n", "-20")
"Before what else the machine does, which is not measured."


@dataclass(frozen=True, slots=True)
class Place:
    """Where a balancer stands: its namespace and interfaces, the VIP that is there, the servers behind."""

    namespace: str
    links: tuple[Link, ...]
    vip: str
    port: int
    servers: tuple[str, ...]
    directory: Path


Balancer: TypeAlias = Callable[[Place], AbstractContextManager[None]]


@contextmanager
def vipd(place: Place) -> Iterator[None]:
    with director("loads") as under_test:
        web = service(place.vip, place.port, Transport.TCP, place.servers, Method.NAT, Scheduler.RR)
        under_test.serve([web], place.links)
        under_test.attach(place.links)
        yield


@contextmanager
def nftables(place: Place) -> Iterator[None]:
    targets = ", ".join(f"{number} : {address}" for number, address in enumerate(place.servers))
    choice = f"numgen inc mod {len(place.servers)} map {{ {targets} }}"
    ruleset = f"""
        table ip nat {{
            chain prerouting {{
                type nat hook prerouting priority dstnat;
                ip daddr {place.vip} tcp dport {place.port} dnat to {choice}
            }}
        }}"""
    load_ruleset(place.namespace, ruleset)
    try:
        yield
    finally:
        load_ruleset(place.namespace, "delete table ip nat")


@contextmanager
def _running(place: Place, name: str, command: Sequence[str]) -> Iterator[None]:
    started = process.start(place.namespace, [*FIRST, *command], place.directory, name)
    listening, port = Path(f"/proc/{started.pid}/net/tcp"), f":{place.port:04X} "
    try:
        process.wait_until(lambda: not process.is_alive(started) or port in listening.read_text(), f"{name} to listen")
        if not process.is_alive(started):
            raise MeasureError(f"{name} ended: {started.log.read_text().strip()}")
        yield
    finally:
        process.stop([started])


@contextmanager
def haproxy(place: Place) -> Iterator[None]:
    servers = "\n".join(f"    server s{number} {address}:{place.port}" for number, address in enumerate(place.servers))
    configuration = place.directory / "haproxy.cfg"
    configuration.write_text(f"""
global
    nbthread {THREADS}
    maxconn 4096
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend web
    bind {place.vip}:{place.port}
    default_backend servers
backend servers
    balance roundrobin
{servers}
""")
    with _running(place, "haproxy", ["haproxy", "-db", "-f", str(configuration)]):
        yield


@contextmanager
def nginx_stream(place: Place) -> Iterator[None]:
    servers = "\n".join(f"        server {address}:{place.port};" for address in place.servers)
    configuration = place.directory / "stream.conf"
    configuration.write_text(f"""
load_module {NGINX_STREAM};
daemon off;
worker_processes {THREADS};
pid {place.directory}/stream.pid;
error_log {place.directory}/stream.log;
events {{ worker_connections 8192; }}
stream {{
    upstream servers {{
{servers}
    }}
    server {{
        listen {place.vip}:{place.port};
        proxy_pass servers;
    }}
}}
""")
    command = ["nginx", "-p", str(place.directory), "-c", str(configuration), "-e", f"{place.directory}/stream.log"]
    with _running(place, "nginx-stream", command):
        yield


BALANCERS: Final[dict[str, Balancer]] = {
    "vipd": vipd,
    "nftables": nftables,
    "HAProxy": haproxy,
    "nginx stream": nginx_stream,
}
