"""Kernel settings, changed for the interfaces we forward through and put back exactly."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from vipd.drivers.ledger import ChangedSysctl, Ledger
from vipd.errors import DataplaneError

log = logging.getLogger(__name__)

ROOT: Final = Path("/proc/sys")
_IPV4: Final = "net/ipv4/conf"
_IPV6: Final = "net/ipv6/conf"
_ROUTES: Final = Path("/proc/thread-self/net/ipv6_route")
_RTF_ADDRCONF: Final = 0x40000


def wanted(interfaces: Sequence[str], unrouted_sources: bool = False) -> dict[str, str]:
    """What forwarding needs, in the order in which to set it.

    `unrouted_sources`: the kernel sends tunnels whose outer source it has no route to.
    """
    changes = {f"{_IPV4}/all/send_redirects": "0"}
    for name in interfaces:
        own = f"{_IPV4}/{name}"
        # The kernel forwards what XDP leaves to it, and answers bpf_fib_lookup, on such interfaces only.
        changes[f"{own}/forwarding"] = "1"
        # A one-armed director would tell clients and servers to talk past it.
        changes[f"{own}/send_redirects"] = "0"
        # A reply of NAT carries the VIP, our own address, as its source when the kernel routes it.
        changes[f"{own}/accept_local"] = "1"
    return changes | (_unchecked if unrouted_sources else _loose)(interfaces) | _forwarding_ipv6(interfaces)


def _reverse_path(name: str) -> int:
    return int(_read(f"{_IPV4}/{name}/rp_filter") or 0)


def _loose(interfaces: Sequence[str]) -> dict[str, str]:
    """Packets come in where the kernel would not send answers to."""
    everywhere = _reverse_path("all")
    return {f"{_IPV4}/{name}/rp_filter": "2" for name in interfaces if 1 in (everywhere, _reverse_path(name))}


def _unchecked(interfaces: Sequence[str]) -> dict[str, str]:
    """A loose check would drop a source without a route. The kernel goes by the greater of an interface's
    own value and that of all: so the latter goes to 0, and all other interfaces get it as their own.
    """
    changes, everywhere = {}, _reverse_path("all")
    if everywhere:
        others = {path.name for path in (ROOT / _IPV4).iterdir()} - {"all", *interfaces}
        raised = sorted(name for name in others if _reverse_path(name) < everywhere)
        changes = {f"{_IPV4}/{name}/rp_filter": str(everywhere) for name in raised}
        changes[f"{_IPV4}/all/rp_filter"] = "0"
    return changes | {f"{_IPV4}/{name}/rp_filter": "0" for name in interfaces}


def _forwarding_ipv6(interfaces: Sequence[str]) -> dict[str, str]:
    """bpf_fib_lookup asks for each interface's switch; the kernel's own path, since 6.17, for another of
    each interface's, before for the one of all interfaces. Whichever it is, a router forgets the routes
    that it learned from routers, unless told to go on learning.
    """
    names = [name for name in interfaces if (ROOT / _IPV6 / name).is_dir()]
    if not names:
        return {}
    changes = {f"{_IPV6}/{name}/accept_ra": "2" for name in _learning() if _read(f"{_IPV6}/{name}/accept_ra") == "1"}
    changes |= {f"{_IPV6}/{name}/forwarding": "1" for name in names}
    if all((ROOT / _IPV6 / name / "force_forwarding").exists() for name in names):
        return changes | {f"{_IPV6}/{name}/force_forwarding": "1" for name in names}
    return changes | {f"{_IPV6}/all/forwarding": "1"}


def _learning() -> set[str]:
    """Interfaces with a default route from a router's advertisement."""
    found = set()
    for line in _ROUTES.read_text().splitlines():
        fields = line.split()
        if fields[1] == "00" and int(fields[8], 16) & _RTF_ADDRCONF:
            found.add(fields[9])
    return found


def apply(ledger: Ledger, changes: dict[str, str]) -> None:
    """Set what differs, writing down first what was there."""
    present = {key: _read(key) for key in changes}
    due = [(key, before, changes[key]) for key, before in present.items() if before is not None]
    due = [(key, before, value) for key, before, value in due if before != value]
    entries = {entry.key: entry for entry in ledger.contents.sysctls}
    for key, before, value in due:
        first = entries[key].before if key in entries else before
        entries[key] = ChangedSysctl(key=key, before=first, ours=value)
    ledger.change(lambda now: now.model_copy(update={"sysctls": tuple(entries.values())}))
    for key, before, value in due:
        log.info("setting %s to %s (it was %s)", key, value, before)
        _write(key, value)


def restore(ledger: Ledger) -> None:
    """Last first, and only what still is as we left it; interfaces may be gone."""
    for entry in reversed(ledger.contents.sysctls):
        if _read(entry.key) == entry.ours:
            _write(entry.key, entry.before)
    ledger.drop("sysctls", ledger.contents.sysctls)


def _read(key: str) -> str | None:
    try:
        return (ROOT / key).read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _write(key: str, value: str) -> None:
    try:
        (ROOT / key).write_text(value)
    except FileNotFoundError:
        return
    except OSError as error:
        raise DataplaneError(f"{ROOT / key} cannot be set to {value}: {error.strerror}") from None
