"""Network namespaces for measuring, with addresses, routes and permanent neighbours; gone afterwards."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_interface
from pathlib import Path
from typing import Final

from pyroute2 import IPRoute

from vipd.lab import namespace
from vipd.lab.namespace import inside

_NUD_PERMANENT: Final = 0x80


@dataclass(frozen=True, slots=True)
class Link:
    """One end of a veth pair."""

    namespace: str
    name: str
    ifindex: int
    mac: str


@contextmanager
def namespaces(*roles: str) -> Iterator[tuple[str, ...]]:
    """New namespaces that forward, with `lo` up; removed with all that is in them."""
    names = tuple(f"vipd-bench-{os.getpid()}-{role}" for role in roles)
    with ExitStack() as stack:
        for name in names:
            namespace.create(name)
            stack.callback(namespace.remove, name)
            with inside(name):
                _prepare()
        yield names


def _prepare() -> None:
    with IPRoute() as kernel:
        kernel.link("set", index=1, state="up")
    for scope in ("all", "default"):
        for family in ("ipv4", "ipv6"):
            write_sysctl(f"{family}/conf/{scope}/forwarding", "1")
        write_sysctl(f"ipv4/conf/{scope}/rp_filter", "0")
        write_sysctl(f"ipv6/conf/{scope}/accept_dad", "0")


def write_sysctl(name: str, value: str) -> None:
    """Of the calling thread's namespace."""
    Path("/proc/sys/net", name).write_text(value)


def wire(first: tuple[str, str], second: tuple[str, str]) -> tuple[Link, Link]:
    """A veth pair, both ends up, each given as (namespace, name)."""
    (here, near), (there, far) = first, second
    descriptor = os.open(namespace.path_of(there), os.O_RDONLY | os.O_CLOEXEC)
    try:
        with inside(here), IPRoute() as kernel:
            kernel.link("add", ifname=near, kind="veth", peer={"ifname": far, "net_ns_fd": descriptor})
    finally:
        os.close(descriptor)
    return _up(here, near), _up(there, far)


def _up(where: str, name: str) -> Link:
    link = existing(where, name)
    with inside(where), IPRoute() as kernel:
        kernel.link("set", index=link.ifindex, state="up")
    return link


def existing(where: str, name: str) -> Link:
    with inside(where), IPRoute() as kernel:
        index = socket.if_nametoindex(name)
        return Link(where, name, index, kernel.link("get", index=index)[0].get_attr("IFLA_ADDRESS"))


def address(link: Link, *addresses: str) -> None:
    with inside(link.namespace), IPRoute() as kernel:
        for text in addresses:
            of = ip_interface(text)
            kernel.addr("add", index=link.ifindex, address=str(of.ip), prefixlen=of.network.prefixlen)


def route(link: Link, destination: str, via: str) -> None:
    with inside(link.namespace), IPRoute() as kernel:
        kernel.route("add", dst=destination, gateway=via, oif=link.ifindex)


def neighbours(link: Link, addresses: Iterable[str], mac: str) -> None:
    """Known for good, so that nothing is ever asked."""
    with inside(link.namespace), IPRoute() as kernel:
        for text in addresses:
            family = socket.AF_INET6 if ":" in text else socket.AF_INET
            kernel.neigh("replace", dst=text, lladdr=mac, ifindex=link.ifindex, state=_NUD_PERMANENT, family=family)


def attach(link: Link, program: int) -> None:
    """A program at XDP, native; it goes with the interface."""
    with inside(link.namespace), IPRoute() as kernel:
        kernel.link("set", index=link.ifindex, xdp_fd=program)
