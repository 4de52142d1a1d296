"""The lines of a lab: PPP in HDLC, by a `vipd link` at either end of a pseudo-terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import blake2s
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Protocol

from vipd.errors import ConfigError, DirectorError
from vipd.lab import namespace, process
from vipd.lab.network import namespace_of
from vipd.lab.process import Process, wait_until
from vipd.lab.topology import TOPOLOGIES, Host, Line, Topology, ends_of
from vipd.model.peer import Peer

_LINK: Final = (sys.executable, "-m", "vipd.cli.main", "link", "up")
_EVERYTHING: Final = ("--route", "0.0.0.0/0", "--route", "::/0")
_PATIENCE: Final = 30.0


class Starts(Protocol):
    """As `Lab.start`."""

    def __call__(self, host: str, *command: str, name: str) -> Process: ...


def lay(lab: str, topology: Topology, start: Starts, captures: Path | None) -> None:
    """Packets pass when this returns. `captures`: where the frames of LINE go to, as LINE.pcap."""
    for line in topology.lines:
        capture = ("--pcap", str(captures / f"{line.name}.pcap")) if captures else ()
        _lay(lab, topology, line, start, capture)


def _lay(lab: str, topology: Topology, line: Line, start: Starts, capture: Sequence[str]) -> None:
    first, second = ends_of(topology, line)
    pty = peer_of(lab, first.name).pty
    ends = [_end(lab, line, first, second, start, ("--over", "pty", *capture))]
    _wait(pty.is_symlink, ends, f"{line.name}'s pseudo-terminal")
    ends.append(_end(lab, line, second, first, start, ("--over", f"serial:{pty}")))
    for host in (first, second):
        _wait(partial(_is_up, lab, line, host), ends, f"{line.name} to come up")


def _end(lab: str, line: Line, host: Host, other: Host, start: Starts, over: Sequence[str]) -> Process:
    addresses = {
        family: (line.address(_number(host, line), family), line.address(_number(other, line), family))
        for family in (4, 6)
    }
    return start(
        host.name,
        *_LINK,
        *("--peer", peer_of(lab, host.name).name, "--framing", "bit", *over),
        *("--interface", host.device_on(line.name)),
        *("--ipv4", "{}:{}".format(*addresses[4])),
        *("--ipv6", "--address", f"{addresses[6][0]}/{line.ipv6.prefixlen}"),
        *(_EVERYTHING if host.gateway == other.name else ()),
        name=f"{line.name}-{host.name}",
    )


def _number(host: Host, line: Line) -> int:
    link = host.link_on(line.name)
    assert link is not None
    return link.number


def _wait(holds: Callable[[], bool], ends: Sequence[Process], what: str) -> None:
    wait_until(lambda: holds() or not all(map(process.is_alive, ends)), what, _PATIENCE)
    for end in ends:
        if not process.is_alive(end):
            raise DirectorError(f"{' '.join(end.command)} ended: {end.log.read_text(errors='replace').strip()}")


def _is_up(lab: str, line: Line, host: Host) -> bool:
    """Addresses come once both ends have agreed on them."""
    with namespace.netlink(namespace_of(lab, host.name)) as netlink:
        indices = netlink.link_lookup(ifname=host.device_on(line.name))
        messages = netlink.get_addr(index=indices[0]) if indices else ()
        found = {ip_address(message.get("IFA_LOCAL") or message.get("IFA_ADDRESS")) for message in messages}
    return {line.address(_number(host, line), family) for family in (4, 6)} <= found


def peer_of(lab: str, host: str) -> Peer:
    """Links are known by name on all of the machine; a lab's long name becomes a number of its own."""
    try:
        return Peer(f"{lab}-{host}")
    except ConfigError:
        return Peer(f"lab-{blake2s(f'{lab}-{host}'.encode(), digest_size=5).hexdigest()}")


def peers(lab: str) -> Iterator[Peer]:
    """Of all the lines that a lab of that name may have."""
    hosts = {host.name for each in TOPOLOGIES.values() for line in each.lines for host in ends_of(each, line)}
    return (peer_of(lab, host) for host in sorted(hosts))


def kept(lab: str) -> Iterator[Path]:
    """What a link that was killed has left."""
    return (peer.directory for peer in peers(lab) if peer.directory.exists())
