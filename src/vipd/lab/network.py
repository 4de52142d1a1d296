"""Builds a topology out of namespaces, bridges and veth pairs, and takes it away again.

Two facts about veth govern it (both found by trying every combination):
- A frame that XDP sends (XDP_TX, XDP_REDIRECT) reaches the other end of a veth pair
  only if that end has an XDP program of its own. The director's peers are ports of the
  switch, so each port that faces a director gets one that lets everything pass. No
  other end needs one: from the port on the frame is an skb like any other, and neither
  further ports nor the hosts behind them care. GRO on the port lets redirected frames
  in, but XDP_TX still loses every frame.
- A socket's frame carries a checksum yet to be filled in, and no veth ever fills it in.
  A program that rewrites addresses would send a wrong one, so no host leaves it to the
  device. Without it there is no segmentation offload either.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import socket
import struct
from contextlib import ExitStack
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from vipd.lab import namespace, program
from vipd.lab.topology import FAMILIES, SWITCH, Host, Role, Segment, Topology, uplink_address

# New namespaces begin with the kernel's defaults, or with those of the machine: say all that matters.
_SYSCTLS: Final = {
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/default/send_redirects": "0",
    "net/ipv4/ip_forward": "0",
    "net/ipv4/ip_local_port_range": "1024 65535",
    "net/ipv6/conf/all/forwarding": "0",
    "net/ipv6/conf/all/accept_dad": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv6/conf/default/dad_transmits": "0",
    "net/ipv6/conf/default/accept_ra": "0",
    "net/ipv6/conf/default/router_solicitations": "0",
}
_FORWARDING: Final = {"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"}
_SILENT: Final = {"net/ipv6/conf/all/disable_ipv6": "1", "net/ipv6/conf/default/disable_ipv6": "1"}

_UPLINK: Final = 100
"The routing table for packets from the VIP, and its rule's place."
_REPEATED: Final = 0xFFFF & ~(1 << 1)
"Of 01:80:c2:00:00:0x, which a bridge keeps for itself: all but the pause frame, which the kernel lets nobody pass on."
_SIOCETHTOOL: Final = 0x8946
_ETHTOOL_STXCSUM: Final = 0x17


class Network:
    """The namespaces of one lab; `lab` makes their names unique."""

    def __init__(self, lab: str, topology: Topology) -> None:
        self.lab = lab
        self.topology = topology

    def namespace(self, host: str) -> str:
        return namespace_of(self.lab, host)

    def build(self) -> None:
        for name in (SWITCH, *(host.name for host in self.topology.hosts)):
            namespace.create(self.namespace(name))
        self._set(SWITCH, _SILENT)
        for host in self.topology.hosts:
            self._set(host.name, _SYSCTLS | (_FORWARDING if forwards(self.topology, host) else {}))
        with ExitStack() as stack:
            switch = stack.enter_context(namespace.netlink(self.namespace(SWITCH)))
            passing = stack.enter_context(program.loaded())
            for segment in self.topology.segments:
                _add_bridge(switch, segment)
            for host in self.topology.hosts:
                self._connect(switch, host, passing)

    def _set(self, host: str, sysctls: dict[str, str]) -> None:
        with namespace.inside(self.namespace(host)):
            for name, value in sysctls.items():
                Path("/proc/sys", name).write_text(value)

    def _connect(self, switch: IPRoute, host: Host, passing: int) -> None:
        descriptor = os.open(namespace.path_of(self.namespace(host.name)), os.O_RDONLY | os.O_CLOEXEC)
        try:
            for link in host.cables:
                port, device = f"{link.segment}-{host.name}", host.device_on(link.segment)
                switch.link("add", ifname=port, kind="veth", peer={"ifname": device, "net_ns_fd": descriptor})
                bridge = switch.link_lookup(ifname=link.segment)[0]
                index = switch.link_lookup(ifname=port)[0]
                switch.link("set", index=index, master=bridge)
                if self.topology.segment(link.segment).hub:
                    switch.brport("set", index=index, group_fwd_mask=_REPEATED)
                if host.role is Role.DIRECTOR:
                    program.attach(switch, index, passing)
                switch.link("set", index=index, state="up")
        finally:
            os.close(descriptor)
        self._address(host)

    def _address(self, host: Host) -> None:
        with namespace.netlink(self.namespace(host.name)) as netlink:
            netlink.link("set", index=1, state="up")
            for link in host.cables:
                device = host.device_on(link.segment)
                switch_off_checksum_offload(self.namespace(host.name), device)
                index = netlink.link_lookup(ifname=device)[0]
                for address in self.topology.segment(link.segment).interfaces(link.number):
                    _add_address(netlink, index, address)
                netlink.link("set", index=index, state="up")
            for family in FAMILIES:
                self._route(netlink, host, family)

    def _route(self, netlink: IPRoute, host: Host, family: int) -> None:
        """A default route that leads over a line is the line's own business."""
        gateway = self.topology.gateway_address(host, family)
        if gateway:
            netlink.route("add", dst="default", gateway=str(gateway), family=_af(family))
        uplink = uplink_address(self.topology, host, family)
        if uplink:
            vip = self.topology.vip_address(family)
            netlink.route("add", dst="default", gateway=str(uplink), family=_af(family), table=_UPLINK)
            netlink.rule(
                "add", src=str(vip), src_len=vip.max_prefixlen, family=_af(family), table=_UPLINK, priority=_UPLINK
            )


def namespace_of(lab: str, host: str) -> str:
    return f"vipd-{lab}-{host}"


def namespaces_of(lab: str) -> list[str]:
    """What is there of a lab; host names have no hyphen, so labs `a` and `a-b` do not mix."""
    if not namespace.DIRECTORY.is_dir():
        return []
    names = (path.name for path in namespace.DIRECTORY.iterdir())
    return sorted(name for name in names if name.rpartition("-")[0] == f"vipd-{lab}")


def demolish(lab: str) -> None:
    """Devices first and by name: a namespace itself lives on while any process is in it."""
    for name in namespaces_of(lab):
        if namespace.is_mounted(name):
            with namespace.netlink(name) as netlink:
                _delete_devices(netlink)
        namespace.remove(name)


def _delete_devices(netlink: IPRoute) -> None:
    for link in netlink.get_links():
        if link.get(("linkinfo", "kind")) in {"veth", "bridge"}:
            try:
                netlink.link("del", index=link["index"])
            except NetlinkError as error:
                if error.code != errno.ENODEV:  # gone with its other end
                    raise


def forwards(topology: Topology, host: Host) -> bool:
    """Routers do, and whoever is another host's gateway."""
    return host.role is Role.ROUTER or any(other.gateway == host.name for other in topology.hosts)


def _af(family: int) -> int:
    return socket.AF_INET if family == 4 else socket.AF_INET6


def _add_bridge(switch: IPRoute, segment: Segment) -> None:
    # No spanning tree, so a port forwards at once; no snooping, so that nothing waits for a querier.
    options = {"br_stp_state": 0, "br_mcast_snooping": 0} | ({"br_ageing_time": 0} if segment.hub else {})
    switch.link("add", ifname=segment.name, kind="bridge", **options)
    switch.link("set", index=switch.link_lookup(ifname=segment.name)[0], state="up")


def _add_address(netlink: IPRoute, index: int, address: IPv4Interface | IPv6Interface) -> None:
    netlink.addr("add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen)


def switch_off_checksum_offload(where: str, device: str) -> None:
    value = array.array("I", [_ETHTOOL_STXCSUM, 0])
    request = struct.pack("16sP", device.encode(), value.buffer_info()[0])
    with namespace.inside(where), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, _SIOCETHTOOL, request)
