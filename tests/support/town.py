"""A LAN with a director, and another city at the end of a line without Ethernet; servers and clients in both."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.cable import Line
from tests.support.lan import Host, Lan
from vipd.lab import namespace
from vipd.lab.client import Result

VIP: Final = {4: "192.0.2.10", 6: "2001:db8:1::10"}
FAR_VIP: Final = {4: "192.0.2.11", 6: "2001:db8:1::11"}
"Of tunnels to the far end, where it is an address too: who has it does not ask others for it."
CLIENT: Final = {4: "192.0.2.2", 6: "2001:db8:1::2"}
NEAR: Final = {4: "10.0.0.2", 6: "2001:db8:2::2"}
"A server on Ethernet."
FAR: Final = {4: "10.1.1.2", 6: "2001:db8:11::2"}
"The machine at the line's other end: a server, and a client."
DIRECTOR_END: Final = {4: "10.1.1.1", 6: "2001:db8:11::1"}
PREFIX: Final = {4: 30, 6: 64}
LINE: Final = "line0"
MTU: Final = 1400
"Of the line: all that is larger has to be told so."


@dataclass(frozen=True, slots=True)
class Way:
    """A service, who is asked for it, and the outcomes that its packets have: there, and back through the director."""

    port: int
    method: str
    server: dict[int, str]
    there: str
    back: str | None

    @property
    def vip(self) -> dict[int, str]:
        return FAR_VIP if self.is_far else VIP

    @property
    def is_far(self) -> bool:
        return self.server is FAR


WAYS: Final = {
    "nat-far": Way(8001, "nat", FAR, "route_nat", "forward_nat_reply"),
    "tun-far": Way(8002, "tun", FAR, "route_tun", None),
    "nat-near": Way(8003, "nat", NEAR, "forward_nat", "route_nat_reply"),
    "tun-near": Way(8004, "tun", NEAR, "forward_tun", None),
    "dr-near": Way(8005, "dr", NEAR, "forward_dr", None),
}


class Town:
    """A LAN, and another city at the end of a line."""

    def __init__(self, lan: Lan, folder: Path, stack: ExitStack) -> None:
        self.lan, self._folder, self._stack = lan, folder, stack
        self.far = Host(f"{lan.instance.name}-f")
        namespace.create(self.far.name)
        stack.callback(namespace.remove, self.far.name)
        self.far.ip("link", "set", "lo", "up")
        self.lay()
        stack.callback(self.close)
        for host in (lan.server, self.far):
            self._serve(host)

    def lay(self) -> None:
        ends = (
            (host, tuple(f"{end[family]}/{PREFIX[family]}" for family in (4, 6)))
            for host, end in ((self.lan.director, DIRECTOR_END), (self.far, FAR))
        )
        self.line = Line(LINE, *ends, mtu=MTU)
        self.mend()

    def close(self) -> None:
        """The line that there is now."""
        self.line.close()

    def mend(self) -> None:
        """What the kernel forgets while a device is down: addresses of IPv6, and routes."""
        for host, end in ((self.lan.director, DIRECTOR_END), (self.far, FAR)):
            host.ip("addr", "replace", f"{end[6]}/{PREFIX[6]}", "dev", LINE, "nodad")
        for family in (4, 6):
            self.far.ip(f"-{family}", "route", "replace", "default", "dev", LINE)

    def _serve(self, host: Host) -> None:
        """Every port of every way, and whatever comes out of a tunnel."""
        instance = f"{self.lan.instance.name}-{'f' if host is self.far else 's'}"
        host.ip("link", "set", "dev", "eth0" if host is self.lan.server else LINE, "xdp", "off")
        real_server = (sys.executable, "-m", "vipd.cli.main", "real-server")
        vips = [text for vip in (FAR_VIP if host is self.far else VIP).values() for text in ("--vip", vip)]
        host.run(*real_server, "up", "--method", "tun", "--instance", instance, *vips)
        self._stack.callback(host.run, *real_server, "down", "--instance", instance)
        ports = [text for way in WAYS.values() for text in ("--tcp", str(way.port), "--udp", str(way.port))]
        name = "far" if host is self.far else "near"
        command = (sys.executable, "-m", "vipd.lab.server", "--name", name, *ports)
        inside = ("nsenter", f"--net=/run/netns/{host.name}", *command)
        process = subprocess.Popen(inside, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert process.stdout is not None
        self._stack.callback(process.stdout.close)
        self._stack.callback(process.wait, 60)
        self._stack.callback(process.terminate)
        assert process.stdout.readline() == "ready\n"

    def configuration(self, **methods: str) -> Path:
        """`methods`: another than a way has."""
        lines = ["connections: 10000", f"interfaces: [eth0, eth1, {LINE}]", "services:"]
        for name, way in WAYS.items():
            for family in (4, 6):
                host = way.vip[family] if family == 4 else f"[{way.vip[family]}]"
                lines += [
                    f"  {name}{family}:",
                    f'    listen: ["{host}:{way.port}/tcp", "{host}:{way.port}/udp"]',
                    f"    method: {methods.get(name.replace('-', '_'), way.method)}",
                    f'    servers: ["{way.server[family]}"]',
                ]
        file = self._folder / "vipd.yaml"
        file.write_text("\n".join(lines) + "\n")
        return file

    def ask(self, name: str, transport: str, family: int, **changes: Any) -> Result:
        """From the other side of the line than the server is on."""
        way = WAYS[name]
        plan = {"connections": 60, "concurrency": 8} | changes
        options = [text for key, value in plan.items() for text in (f"--{key.replace('_', '-')}", str(value))]
        command = (sys.executable, "-m", "vipd.lab.client", transport, way.vip[family], str(way.port), *options)
        host = self.lan.client if way.is_far else self.far
        return Result.load(json.loads(host.run(*command).stdout))

    def outcomes(self) -> dict[str, int]:
        return {name: count for name, count in self.lan.status()["outcomes"].items() if count}


@contextmanager
def town(folder: Path) -> Iterator[Town]:
    """`folder` for its configuration."""
    with ExitStack() as stack:
        made = Town(stack.enter_context(Lan()), folder, stack)
        stack.callback(made.lan.down)
        yield made
