"""Takes one step in the kernel, or takes it back. Decides nothing."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from vipd.errors import DataplaneError, EnvironmentProblem
from vipd.model.director import Address
from vipd.realserver.decapsulator import attach, detach
from vipd.realserver.observe import PROC
from vipd.realserver.steps import AddAddress, AddLink, AddTable, Decapsulate, SetSysctl, Step

_SCOPE_HOST: Final = 254
_IFA_F_NODAD: Final = 0x02
_IFA_F_NOPREFIXROUTE: Final = 0x200
_FOREVER: Final = 0xFFFFFFFF
_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
_TUNNELS: Final[dict[str, dict[str, Any]]] = {
    # As iproute2 makes them; `proto` 0 is its `mode any`.
    "ipip": {},
    "sit": {"sit_ttl": 0},
    "ip6tnl": {"ip6tnl_proto": 0, "ip6tnl_ttl": 64, "ip6tnl_encap_limit": 4},
}


def do(step: Step) -> None:
    """Also where some of it is there already."""
    match step:
        case AddLink():
            _add_link(step)
        case SetSysctl():
            _write(step.path, step.value)
        case AddAddress():
            _change_address("replace", step)
        case AddTable():
            _nft(step.text, step.key)
        case Decapsulate():
            with IPRoute() as route:
                attach(step, {name: _index(route, name, step.key) for name in step.interfaces})


def undo(step: Step, before: int) -> None:
    """Also where it is gone already."""
    match step:
        case AddLink():
            with IPRoute() as route:
                for index in route.link_lookup(ifname=step.name):
                    _netlink(step.key, route, "del", index=index)
        case SetSysctl():
            if (PROC / step.path).exists():
                _write(step.path, before)
        case AddAddress():
            _change_address("del", step)
        case AddTable():
            _nft(step.emptying, step.key)
        case Decapsulate():
            detach(step.instance)


def _add_link(step: AddLink) -> None:
    with IPRoute() as route:
        found = route.link_lookup(ifname=step.name)
        if not found:
            local = {f"{step.kind}_local": str(step.local)} if step.local else {}
            _netlink(step.key, route, "add", ifname=step.name, kind=step.kind, **local, **_TUNNELS.get(step.kind, {}))
        _netlink(step.key, route, "set", index=_index(route, step.name, step.key), state="up")


def _netlink(step: str, route: IPRoute, command: str, **arguments: Any) -> None:
    try:
        route.link(command, **arguments)
    except NetlinkError as error:
        raise DataplaneError(f"{step}: {command}: {error}") from error


def _index(route: IPRoute, name: str, step: str) -> int:
    found = route.link_lookup(ifname=name)
    if not found:
        raise EnvironmentProblem(f"{step}: interface {name} is gone")
    index: int = found[0]
    return index


def _change_address(command: str, step: AddAddress) -> None:
    with IPRoute() as route:
        if command == "del" and not route.link_lookup(ifname=step.link):
            return
        arguments = {"index": _index(route, step.link, step.key), "prefixlen": step.address.max_prefixlen}
        try:
            route.addr(command, address=str(step.address), **arguments, **_form(step.address))
        except NetlinkError as error:
            if command != "del" or error.code != 99:  # EADDRNOTAVAIL: it is gone already
                raise DataplaneError(f"{step.key}: {command}: {error}") from error


def _form(address: Address) -> dict[str, Any]:
    if address.version == 4:
        return {"scope": _SCOPE_HOST}
    lifetimes = {"preferred": 0, "valid": _FOREVER}
    return {
        "flags": _IFA_F_NODAD | _IFA_F_NOPREFIXROUTE,
        "IFA_CACHEINFO": {f"ifa_{k}": v for k, v in lifetimes.items()},
    }


def _write(path: str, value: int) -> None:
    try:
        (PROC / path).write_text(f"{value}\n")
    except OSError as error:
        raise DataplaneError(f"write {PROC / path}: {error.strerror}") from error


def _nft(text: str, step: str) -> None:
    nft = shutil.which("nft", path=_PATH)
    if nft is None:
        raise EnvironmentProblem(f"{step}: nft is missing: install nftables")
    done = subprocess.run([nft, "-f", "-"], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DataplaneError(f"{step}: nft says: {done.stderr.strip()}")
