"""The kernel's own bridge as a segment: its ports are TAP devices, whose far ends the test holds.

A frame that is written to a TAP has left at the other ports when the write returns: the bridge does its
work within that call. So what cannot be read afterwards was not sent.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from pyroute2 import IPRoute

from tests.support.lan import eventually
from vipd.drivers.namespace import call
from vipd.segment.segment import Delivery
from vipd.segment.vlan import Vlans

_CLONE_NEWNET: Final = 0x40000000
_OWN: Final = "/proc/thread-self/ns/net"
_TUNSETIFF: Final = 0x400454CA
_TAP_WITHOUT_HEADER: Final = 0x1002
_FORWARDING: Final = 3
_LONGEST: Final = 65_535


class KernelBridge:
    """Made by `kernel_bridge`."""

    def __init__(self, netlink: IPRoute, files: dict[int, int], indices: dict[int, int]) -> None:
        self.ports = tuple(files)
        self._netlink, self._files, self._indices = netlink, files, indices

    def receive(self, port: int, frame: bytes, now: float) -> list[Delivery]:  # noqa: ARG002, it has its own clock
        os.write(self._files[port], frame)
        return [(other, left) for other, file in self._files.items() for left in _readable(file)]

    def wait_until_forgotten(self, mac: bytes) -> None:
        eventually(lambda: mac not in self._learned())

    def _learned(self) -> set[bytes]:
        ports = set(self._indices.values())
        entries: list[Any] = list(self._netlink.fdb("dump"))
        found = (entry.get_attr("NDA_LLADDR") for entry in entries if entry["ifindex"] in ports)
        return {bytes.fromhex(str(mac).replace(":", "")) for mac in found}


def _readable(file: int) -> Iterator[bytes]:
    while True:
        try:
            yield os.read(file, _LONGEST)
        except BlockingIOError:
            return


@contextmanager
def kernel_bridge(
    ports: int, ageing: float, vlans: Mapping[int, Vlans] | None = None, passed: int = 0
) -> Iterator[KernelBridge]:
    """In a namespace without a name. `passed`: a bit for each 01:80:c2:00:00:0x that is passed on all the same."""
    with ExitStack() as stack:
        netlink = stack.enter_context(_own_namespace(stack))
        bridge = _add(netlink, "bridge", ageing, vlans is not None)
        files, indices = {}, {}
        for port in range(ports):
            name = f"port{port}"
            files[port] = _tap(stack, name)
            indices[port] = netlink.link_lookup(ifname=name)[0]
            netlink.link("set", index=indices[port], master=bridge, state="up")
            netlink.brport("set", index=indices[port], group_fwd_mask=passed)
            for vlan in sorted(vlans[port].members) if vlans else ():
                flags = ["pvid", "untagged"] if vlans and vlan == vlans[port].native else []
                netlink.vlan_filter("add", index=indices[port], vlan_info={"vid": vlan, "flags": flags})
            eventually(partial(_is_forwarding, netlink, indices[port]))
        for file in files.values():
            list(_readable(file))
        yield KernelBridge(netlink, files, indices)


@contextmanager
def _own_namespace(stack: ExitStack) -> Iterator[IPRoute]:
    """Left again once everything is made; it lives as long as the netlink socket and the TAPs."""
    home = os.open(_OWN, os.O_RDONLY)
    stack.callback(os.close, home)
    call("unshare", _CLONE_NEWNET)
    stack.callback(call, "setns", home, _CLONE_NEWNET)
    for scope in ("all", "default"):
        # The kernel must not send a word of its own.
        Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6").write_text("1")
    with IPRoute() as netlink:
        yield netlink


def _add(netlink: IPRoute, name: str, ageing: float, vlans: bool) -> int:
    options = {"br_ageing_time": round(ageing * 100), "br_stp_state": 0, "br_mcast_snooping": 0}
    if vlans:
        options |= {"br_vlan_filtering": 1, "br_vlan_default_pvid": 0}
    netlink.link("add", ifname=name, kind="bridge", **options)
    index: int = netlink.link_lookup(ifname=name)[0]
    netlink.link("set", index=index, state="up")
    return index


def _tap(stack: ExitStack, name: str) -> int:
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    stack.callback(os.close, file)
    fcntl.ioctl(file, _TUNSETIFF, struct.pack("16sH14x", name.encode(), _TAP_WITHOUT_HEADER))
    return file


def _is_forwarding(netlink: IPRoute, index: int) -> bool:
    [link] = netlink.get_links(index)
    return bool(link.get(("linkinfo", "slave_data", "IFLA_BRPORT_STATE")) == _FORWARDING)
