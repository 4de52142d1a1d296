"""A client and a real server on one LAN, in network namespaces of their own; sockets on either side."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vipd.lab.namespace import inside

CLIENT: Final = {4: "10.9.0.1", 6: "2001:db8:9::1"}
SERVER: Final = {4: "10.9.0.2", 6: "2001:db8:9::2"}
VIP: Final = {4: "192.0.2.10", 6: "2001:db8::10"}
CLIENT_MAC: Final = "02:00:00:00:09:01"
SERVER_MAC: Final = "02:00:00:00:09:02"
DEADLINE: Final = 30.0
"Seconds; much, for the sake of a guest in software emulation."
_FAMILY: Final = {4: socket.AF_INET, 6: socket.AF_INET6}
_numbers: Final = itertools.count()


def execute(namespace: str, command: str) -> str:
    """A line, or many, of a shell inside."""
    arguments = ["nsenter", f"--net=/run/netns/{namespace}", "bash", "-euc", command]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True, slots=True)
class Lan:
    client: str
    server: str
    instance: str

    def cable(self, side: str) -> socket.socket:
        """All frames of one end, raw."""
        name = {self.client: "lan-c", self.server: "lan-s"}[side]
        with inside(side):
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            raw.bind((name, 3))
        raw.settimeout(DEADLINE)
        return raw

    def socket(self, side: str, family: int, kind: socket.SocketKind, bound: tuple[str, int] | None) -> socket.socket:
        with inside(side):
            made = socket.socket(_FAMILY[family], kind)
            made.settimeout(DEADLINE)
            if bound:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                made.bind(bound)
        return made

    def snapshot(self) -> dict[str, Any]:
        """Everything that a set-up could leave behind on the server."""
        shown = {
            what: json.loads(execute(self.server, f"ip -j -d {what}") or "[]")
            for what in ("address", "-4 route show table all", "-6 route show table all", "rule")
        }
        ruleset = json.loads(execute(self.server, "nft -j -s list ruleset"))["nftables"]
        for item in ruleset:
            for inner in item.values():
                inner.pop("handle", None)
        items = [item for item in ruleset if "metainfo" not in item]
        # Tables come in the order of their making, which means nothing; rules in theirs, which does.
        shown["nft"] = sorted(items, key=lambda item: next(iter(item.values()))["family"])
        conf = execute(
            self.server, "cd /proc/sys/net; grep -r . ipv4/conf ipv6/conf 2>/dev/null | grep -v stable_secret"
        )
        shown["sysctl"] = sorted(conf.splitlines())
        places = (Path("/sys/fs/bpf/vipd-real-server", self.instance), Path("/run/vipd-real-server", self.instance))
        shown["files"] = sorted(str(path) for place in places for path in place.rglob("*"))
        return shown


@contextmanager
def lan() -> Iterator[Lan]:
    name = f"vrs{os.getpid()}-{next(_numbers)}"
    made = Lan(f"{name}-c", f"{name}-s", name)
    try:
        quiet = "sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0"
        for side in (made.client, made.server):
            subprocess.run(["ip", "netns", "add", side], check=True)
            execute(side, f"{quiet}; ip link set lo up")
        execute(made.client, f"ip link add lan-c type veth peer name lan-s netns /run/netns/{made.server}")
        for side, link, mac, own in (
            (made.client, "lan-c", CLIENT_MAC, CLIENT),
            (made.server, "lan-s", SERVER_MAC, SERVER),
        ):
            # Router solicitations and their like would only be noise in the frames that are looked at.
            still = f"sysctl -qw net.ipv6.conf.{link}.accept_ra=0 net.ipv6.conf.{link}.router_solicitations=0"
            execute(
                side,
                f"{still}; ethtool -K {link} tx off >/dev/null; ip link set {link} address {mac} up\n"
                f"ip address add {own[4]}/24 dev {link}; ip address add {own[6]}/64 dev {link} nodad",
            )
        for side, link in ((made.client, "lan-c"), (made.server, "lan-s")):
            _wait_until_settled(side, link)
        # As the director would send it: to the server's MAC.
        commands = [
            f"ip -{family} route add {vip} dev lan-c; "
            f"ip -{family} neigh add {vip} lladdr {SERVER_MAC} dev lan-c nud permanent"
            for family, vip in VIP.items()
        ]
        execute(made.client, "\n".join(commands))
        yield made
    finally:
        for side in (made.client, made.server):
            subprocess.run(["ip", "netns", "delete", side], check=False)


def _wait_until_settled(side: str, link: str) -> None:
    """The kernel reports the carrier, and adds link-local addresses and their routes, in its own time."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        [shown] = json.loads(execute(side, f"ip -j address show dev {link}"))
        routes = execute(side, f"ip -6 route show table local dev {link}")
        if shown["operstate"] == "UP" and "fe80:" in routes and "ff00::/8" in routes:
            return
    raise AssertionError(f"{link} of {side} did not come up within {DEADLINE} s")
