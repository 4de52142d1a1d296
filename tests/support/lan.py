"""Network namespaces with a director, a client and a server, and real daemons in them."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from vipd.api.client import Client, NotRunningError
from vipd.lab import namespace
from vipd.model.instance import Instance

T = TypeVar("T")

PASS: Final = Path(__file__).parents[2] / "src" / "vipd" / "bpf" / "pass.bpf.o"
DEADLINE: Final = 60.0 * float(os.environ.get("PATIENCE", "1"))
"Seconds; a machine that is emulated asks for more of them."
SOON: Final = 3.0
"What is done at once is done by then even on a crowded machine, and what waits for the daemon's beat is not."
_numbers: Final = itertools.count()


def eventually(question: Callable[[], T], within: float = DEADLINE) -> T:
    """The first true answer; fails once the deadline has passed."""
    end = time.monotonic() + within
    while not (answer := question()):
        assert time.monotonic() < end, f"not within {within} s"
        time.sleep(0.01)
    return answer


class Host:
    """A network namespace; `name` is its own, `interface` names are short."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        inside = ("nsenter", f"--net=/run/netns/{self.name}", *command)
        return subprocess.run(inside, capture_output=True, text=True, check=check, timeout=DEADLINE)

    def ip(self, *arguments: str) -> str:
        return self.run("ip", *arguments).stdout

    def addresses(self, interface: str) -> set[str]:
        shown = json.loads(self.ip("-j", "addr", "show", "dev", interface))
        return {f"{each['local']}/{each['prefixlen']}" for each in shown[0]["addr_info"]}

    def mac(self, interface: str) -> str:
        found: str = json.loads(self.ip("-j", "link", "show", "dev", interface))[0]["address"]
        return found

    def is_settled(self, interface: str) -> bool:
        """The kernel tells the carrier, and adds link-local addresses and their routes, in its own time."""
        [shown] = json.loads(self.ip("-j", "link", "show", "dev", interface))
        routes = self.ip("-6", "route", "show", "table", "local", "dev", interface)
        return shown["operstate"] == "UP" and "fe80:" in routes and "ff00::/8" in routes

    def inside(self, work: Callable[[], T]) -> T:
        """Called on a thread of its own, which stands in the namespace."""
        results: list[T] = []
        errors: list[BaseException] = []

        def stand_there() -> None:
            try:
                with namespace.inside(self.name):
                    results.append(work())
            except BaseException as error:  # noqa: BLE001, raised again by the caller
                errors.append(error)

        thread = threading.Thread(target=stand_there)
        thread.start()
        thread.join(2 * DEADLINE)
        assert not thread.is_alive()
        if errors:
            raise errors[0]
        return results[0]

    def snapshot(self) -> dict[str, Any]:
        """What vipd may change and must put back."""
        links = json.loads(self.ip("-j", "link"))
        addresses = json.loads(self.ip("-j", "addr"))
        sysctls = self.run("sysctl", "-a", "--pattern", r"net\.ipv[46]\.conf\.")
        rules = json.loads(self.ip("-j", "route", "show", "table", "all"))
        routes6 = json.loads(self.ip("-6", "-j", "route", "show", "table", "all"))
        features = self.run("ethtool", "-k", "eth0").stdout
        return {
            "links": [{key: link.get(key) for key in ("ifname", "flags", "xdp", "mtu")} for link in links],
            "addresses": [_stable(link["addr_info"]) for link in addresses],
            "sysctls": sysctls.stdout,
            "routes": sorted(map(str, rules + routes6)),
            "features": features,
        }


def _stable(infos: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in info.items() if not key.endswith("_life_time")} for info in infos]


class Lan:
    """client - eth0 director eth1 - server; 192.0.2.0/24 and 2001:db8:1::/64, 10.0.0.0/24 and 2001:db8:2::/64."""

    def __init__(self) -> None:
        self.instance = Instance(f"d{os.getpid()}-{next(_numbers)}")
        self.director, self.client, self.server = (Host(f"{self.instance.name}-{role}") for role in "dcs")

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for host in (self.director, self.client, self.server):
            if namespace.exists(host.name):
                namespace.remove(host.name)

    def _build(self) -> None:
        for host in (self.director, self.client, self.server):
            self.make(host)
            # No waiting until addresses of the kernel's own are known to be nobody else's.
            host.run("sysctl", "-w", "net.ipv6.conf.default.accept_dad=0")
            host.ip("link", "set", "lo", "up")
        self.connect("eth0", self.client)
        self.connect("eth1", self.server)
        for host, interface, *addresses in (
            (self.director, "eth0", "192.0.2.1/24", "2001:db8:1::1/64"),
            (self.director, "eth1", "10.0.0.1/24", "2001:db8:2::1/64"),
            (self.client, "eth0", "192.0.2.2/24", "2001:db8:1::2/64"),
            (self.server, "eth0", "10.0.0.2/24", "10.0.0.3/24", "2001:db8:2::2/64"),
        ):
            for address in addresses:
                host.ip("addr", "add", address, "dev", interface, *(["nodad"] if ":" in address else []))
        self.server.ip("route", "add", "default", "via", "10.0.0.1")
        self.server.ip("route", "add", "default", "via", "2001:db8:2::1")
        for host, interface in (
            (self.director, "eth0"),
            (self.director, "eth1"),
            (self.client, "eth0"),
            (self.server, "eth0"),
        ):
            eventually(partial(host.is_settled, interface))

    def make(self, host: Host) -> None:
        namespace.create(host.name)

    def connect(self, interface: str, other: Host) -> None:
        """A link between the director's interface and `eth0` of the other."""
        self.director.ip("link", "add", interface, "type", "veth", "peer", "name", "eth0", "netns", other.name)
        for host, name in ((self.director, interface), (other, "eth0")):
            host.ip("link", "set", "dev", name, "up")
            host.run("ethtool", "-K", name, "tx", "off")
        # veth loses what XDP sends where the receiver has no program.
        other.ip("link", "set", "dev", "eth0", "xdp", "obj", str(PASS), "sec", "xdp.frags")

    def vipd(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.director.run(*self.command(*arguments), check=False)

    def command(self, *arguments: str) -> tuple[str, ...]:
        return sys.executable, "-m", "vipd.cli.main", "--instance", self.instance.name, *arguments

    def status(self) -> dict[str, Any]:
        """As the command shows it; from the daemon itself, where one runs, which is quicker."""
        with suppress(NotRunningError), Client(self.instance) as client:
            return client.status().model_dump(mode="json")
        shown = self.vipd("status", "--json")
        assert shown.returncode == 0, shown.stderr
        found: dict[str, Any] = json.loads(shown.stdout)
        return found

    @contextmanager
    def daemon(self, config: Path, *options: str, log: Path | None = None) -> Iterator[Daemon]:
        log = log or config.with_suffix(".log")
        with log.open("w") as output:
            process = subprocess.Popen(
                (
                    "nsenter",
                    f"--net=/run/netns/{self.director.name}",
                    *self.command("run", "-c", str(config), *options),
                ),
                stderr=output,
                start_new_session=True,
            )
        running = Daemon(process, log)
        try:
            yield running
        finally:
            running.end(signal.SIGKILL)

    def down(self) -> None:
        """Whatever a test left."""
        if self.instance.directory.exists() or self.instance.pins.exists():
            assert self.vipd("down").returncode == 0


class Daemon:
    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self._log = process, log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def ready(self) -> Daemon:
        def answer() -> bool:
            assert self.process.poll() is None, self.log
            return " ready: " in self.log

        eventually(answer)
        return self

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(DEADLINE)

    def refused(self) -> str:
        """The daemon ended by itself, as it should; what it said."""
        assert self.process.wait(DEADLINE) == 2, self.log
        return self.log
