"""What this network namespace's kernel shows. Reads only, but for the trial of a kind of link."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from vipd.dataplane.links import is_point_to_point
from vipd.errors import DataplaneError, EnvironmentProblem
from vipd.model.director import Address
from vipd.realserver.decapsulator import attached
from vipd.realserver.options import Facts, Link

_CLONE_NEWNET: Final = 0x40000000
_ARPHRD_ETHER: Final = 1
_IFF_UP: Final = 1
_SYSCTLS: Final = {
    "net/ipv4/conf": ("arp_ignore", "arp_announce", "rp_filter"),
    "net/ipv6/conf": ("disable_ipv6",),
}
PROC: Final = Path("/proc/sys")


def observe(instance: str) -> Facts:
    """All but `kinds`."""
    with IPRoute() as route:
        links = _links(route)
        programs = {_attribute(raw, "IFLA_IFNAME"): _programs(raw) for raw in route.get_links()}
    return Facts(links, _sysctls(), _tables(instance), attached(instance, programs))


def makeable(kinds: Iterable[str]) -> frozenset[str]:
    """Those that the kernel makes, tried out in a network namespace that is gone at once."""
    kinds = tuple(kinds)
    if not kinds:
        return frozenset()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_try, kinds).result()


def _try(kinds: tuple[str, ...]) -> frozenset[str]:
    # Only this thread moves; the namespace ends with it.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise EnvironmentProblem(
            "cannot find out what interfaces this kernel can make: run as root, or name --via (and --decapsulation)"
        )
    made = set()
    with IPRoute() as route:
        for number, kind in enumerate(kinds):
            try:
                # An address of its own, since a tunnel between any and any may be there already.
                local = {f"{kind}_local": "2001:db8::1" if kind == "ip6tnl" else "192.0.2.1"} if kind != "dummy" else {}
                route.link("add", ifname=f"vipdtry{number}", kind=kind, **local)
                made.add(kind)
            except NetlinkError as error:
                if error.code != 95:  # EOPNOTSUPP: the kernel knows no such kind
                    raise DataplaneError(f"try out a {kind} interface: {error}") from error
    return frozenset(made)


def _links(route: IPRoute) -> tuple[Link, ...]:
    addresses: dict[int, list[Any]] = {}
    for raw in route.get_addr():
        address = ip_address(_attribute(raw, "IFA_LOCAL") or _attribute(raw, "IFA_ADDRESS"))
        if not address.is_link_local:
            addresses.setdefault(raw["index"], []).append(address)
    return tuple(_link(raw, tuple(addresses.get(raw["index"], ()))) for raw in route.get_links())


def _link(raw: Any, addresses: tuple[Address, ...]) -> Link:
    kind = _attribute(_attribute(raw, "IFLA_LINKINFO"), "IFLA_INFO_KIND") or ""
    return Link(
        name=_attribute(raw, "IFLA_IFNAME"),
        index=raw["index"],
        kind=kind,
        ethernet=raw["ifi_type"] == _ARPHRD_ETHER,
        up=bool(raw["flags"] & _IFF_UP),
        addresses=addresses,
        point_to_point=is_point_to_point(raw["ifi_type"], kind),
    )


def _programs(raw: Any) -> frozenset[int]:
    """The ids of the XDP programs on a link, in whatever mode."""
    names = ("IFLA_XDP_PROG_ID", "IFLA_XDP_DRV_PROG_ID", "IFLA_XDP_SKB_PROG_ID", "IFLA_XDP_HW_PROG_ID")
    xdp = _attribute(raw, "IFLA_XDP")
    return frozenset(number for name in names if (number := _attribute(xdp, name)))


def _attribute(raw: Any, name: str) -> Any:
    return raw.get_attr(name) if raw else None


def _sysctls() -> dict[str, int]:
    found = {}
    for folder, names in _SYSCTLS.items():
        for path in (PROC / folder).glob("*"):
            for name in names:
                try:
                    found[f"{folder}/{path.name}/{name}"] = int((path / name).read_text())
                except FileNotFoundError:
                    continue
    return found


def _tables(instance: str) -> dict[str, str]:
    found = {f"{family} vipd_{instance}": listing(family, f"vipd_{instance}") for family in ("inet", "arp")}
    return {name: text for name, text in found.items() if text}


def listing(family: str, name: str) -> str:
    """How nft shows a table, less what differs from one loading to the next; empty where there is none."""
    nft = shutil.which("nft", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if nft is None:
        return ""
    done = subprocess.run([nft, "-j", "-s", "list", "table", family, name], capture_output=True, text=True, check=False)
    if done.returncode:
        return ""
    shown = [item for item in json.loads(done.stdout)["nftables"] if "metainfo" not in item]
    for item in shown:
        for inner in item.values():
            inner.pop("handle", None)
    return json.dumps(shown, sort_keys=True)
