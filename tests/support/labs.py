"""Labs for tests: unique names, a running director, traffic, and the books that must balance at the end."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from vipd.api.client import Client, NotRunningError
from vipd.lab import lines, namespace
from vipd.lab.client import Plan, Result
from vipd.lab.director import Director
from vipd.lab.lab import Lab, lab_of
from vipd.lab.network import namespaces_of
from vipd.lab.process import wait_until
from vipd.lab.tap import Capture
from vipd.lab.topology import Topology
from vipd.lab.traffic import Loading, asking, load, loading
from vipd.model.director import Transport
from vipd.model.instance import Instance

_numbers: Final = itertools.count()
_PLACES: Final = ("/run/vipd-lab", "/run/vipd", "/run/vipd-real-server", "/var/lib/vipd", "/sys/fs/bpf/vipd*")
_TO_SERVERS: Final = ("forward_dr", "forward_nat", "forward_tun", "route_nat", "route_tun", "pass_local_server")
_FROM_SERVERS: Final = ("forward_nat_reply", "route_nat_reply")
_ICMP_ERRORS: Final = ("forward_icmp_error", "route_icmp_error")
"To one end or the other, which counts them as its own."
_PATIENCE: Final = 60.0
_QUIET: Final = 3
"Equal readings in a row after which nothing more is on its way: a late acknowledgement, or a burst half counted."


def unique_name() -> str:
    return f"t{os.getpid()}-{next(_numbers)}"


def traces(name: str) -> list[str]:
    """Everything on this machine that belongs to the lab of that name."""
    found = [*namespaces_of(name), *map(str, lines.kept(name))]
    words_of_ours = [f"{begin}-{name}-".encode() for begin in ("vipd", "lab")]
    words_of_ours += [f"--peer\0{peer.name}\0".encode() for peer in lines.peers(name)]
    for place in _PLACES:
        for directory in Path("/").glob(place.lstrip("/")):
            found += [str(path) for path in directory.iterdir() if path.name == name or f"lab-{name}-" in path.name]
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = command.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if any(ours in words for ours in words_of_ours):
            found.append(words.replace(b"\0", b" ").decode())
    return found


@dataclass(frozen=True, slots=True)
class Books:
    """At one quiet moment: frames that reached the director, and what it says became of them."""

    received: int
    outcomes: Mapping[str, int]
    packets_in: int
    packets_out: int
    servers: frozenset[tuple[str, str]]


class Audit:
    """What went into the director must have come out of it, or have a named end."""

    def __init__(self, lab: Lab, director: Director, status: Callable[[], dict[str, Any]]) -> None:
        self.lab = lab
        self.director = director
        self.status = status
        self._opening: Books | None = None

    def open(self) -> None:
        """Once the director runs: what came before, no program has seen."""
        if self._opening is None:
            self._opening = self.books()

    def books(self) -> Books:
        """Read in a moment in which nothing arrives."""
        found: list[Books] = []

        def is_quiet() -> bool:
            before = self._received()
            status = self.status()
            found.append(_books(before, status))
            return self._received() == before and _is_stable(found)

        wait_until(is_quiet, "the director's interfaces to be quiet", _PATIENCE)
        return found[-1]

    def close(self) -> None:
        """Every packet in has one outcome; what the servers got, and gave, is what was forwarded."""
        assert self._opening is not None, "the director never ran"
        opening, closing = self._opening, self.books()
        ended = {name: count - opening.outcomes.get(name, 0) for name, count in closing.outcomes.items()}
        assert closing.received - opening.received == sum(ended.values()), ended
        to_servers = sum(ended.get(name, 0) for name in _TO_SERVERS)
        from_servers = sum(ended.get(name, 0) for name in _FROM_SERVERS)
        errors = sum(ended.get(name, 0) for name in _ICMP_ERRORS)
        packets_in, packets_out = (
            closing.packets_in - opening.packets_in,
            closing.packets_out - opening.packets_out,
        )
        assert packets_in <= to_servers + errors, ended
        assert packets_out <= from_servers + errors, ended
        if closing.servers >= opening.servers:  # a server that is gone has taken its counters with it
            assert packets_in + packets_out == to_servers + from_servers + errors, ended
            assert errors or packets_in == to_servers, ended
        assert ended.get("drop_internal", 0) == 0, ended

    def _received(self) -> int:
        """Frames that arrived at the director where its program is, as the interfaces count them."""
        with namespace.netlink(self.lab.network.namespace(self.director.host.name)) as netlink:
            links = [link for link in netlink.get_links() if link.get_nested("IFLA_XDP", "IFLA_XDP_ATTACHED")]
        return sum(link.get("stats64")["rx_packets"] for link in links)


class Site:
    """A lab with its director running."""

    def __init__(self, lab: Lab, director: Director, stack: ExitStack) -> None:
        self.lab = lab
        self.director = director
        self.audit = Audit(lab, director, self.status)
        self._stack = stack

    def start(self, *options: str) -> None:
        self.director.start(*options)
        self.audit.open()

    def status(self) -> dict[str, Any]:
        """From the daemon; where none runs, from the data plane itself."""
        try:
            with Client(Instance(self.director.instance)) as client:
                return client.status().model_dump(mode="json")
        except NotRunningError:
            return self.director.status()

    def outcomes(self) -> dict[str, int]:
        counted: dict[str, int] = self.status()["outcomes"]
        return counted

    def servers(self) -> list[dict[str, Any]]:
        """Of all services, as `status` shows them."""
        return [server for service in self.status()["services"] for server in service["servers"]]

    def reload(self, text: str) -> None:
        """Another configuration, without a process for the command."""
        self.lab.configuration.write_text(text)
        with Client(Instance(self.director.instance)) as client:
            client.reload()

    def at(self, host: str) -> AbstractContextManager[None]:
        """This thread stands on the host: sockets made here are the host's, for ever."""
        return namespace.inside(self.lab.network.namespace(host))

    def counters(self, host: str) -> dict[str, int]:
        """What the host's kernel counted: TcpExtTCPSynRetrans, UdpInCsumErrors, Udp6InCsumErrors ..."""
        found: dict[str, int] = {}
        with self.at(host):
            for name in ("snmp", "netstat"):
                lines = Path("/proc/thread-self/net", name).read_text().splitlines()
                for heads, values in zip(lines[::2], lines[1::2], strict=True):
                    group, *keys = heads.split()
                    counted = map(int, values.split()[1:])
                    found |= {f"{group[:-1]}{key}": count for key, count in zip(keys, counted, strict=True)}
            for line in Path("/proc/thread-self/net/snmp6").read_text().splitlines():
                key, value = line.split()
                found[key] = int(value)
        return found

    def plan(self, transport: Transport, family: int, **changes: Any) -> Plan:
        return asking(self.lab, self.lab.topology.service(transport), family, **changes)

    def client(self, transport: Transport, family: int, **changes: Any) -> Result:
        """Real requests from the client, to their end."""
        return load(self.lab, self.plan(transport, family, **changes))

    @contextmanager
    def loading(self, transport: Transport, family: int, **changes: Any) -> Iterator[Loading]:
        """Real requests for as long as the block lasts; `finish` gives the result."""
        changes.setdefault("connections", None)
        with loading(self.lab, self.plan(transport, family, **changes)) as under_way:
            yield under_way

    def capture(self, port: str, path: Path, *expression: str, direction: str = "inout") -> Capture:
        """tcpdump at a port of the switch until `stop`; `in` is what the host sends."""
        started = Capture(self.lab, port, path, *expression, direction=direction)
        self._stack.callback(started.stop)
        return started


def until_closed(where: Site) -> None:
    """A client is content with its answers; the last words of either side to the other come when they come."""
    for host in (where.lab.topology.client, *where.lab.topology.servers):
        wait_until(partial(_is_closed, where, host.name), "connections to be closed", _PATIENCE)


def _is_closed(where: Site, host: str) -> bool:
    return not where.lab.run(host, "ss", "-Htn", "state", "connected", "exclude", "time-wait")


def mac(where: Site, host: str, device: str = "eth0") -> str:
    told = where.lab.run(host, "ip", "-br", "link", "show", "dev", device)
    return told.split()[2]


def _is_stable(found: list[Books]) -> bool:
    return len(found) >= _QUIET and all(each == found[-1] for each in found[-_QUIET:])


def _books(received: int, status: dict[str, Any]) -> Books:
    servers = [server for service in status["services"] for server in service["servers"]]
    return Books(
        received,
        status["outcomes"],
        sum(server["packets_in"] for server in servers),
        sum(server["packets_out"] for server in servers),
        frozenset((each["name"], server["address"]) for each in status["services"] for server in each["servers"]),
    )


@contextmanager
def site(topology: Topology, configuration: str | None = None, start: bool = True) -> Iterator[Site]:
    """Goes away whatever happens; where the block succeeds, its books must balance."""
    name = unique_name()
    with lab_of(topology, name) as lab, ExitStack() as stack:
        made = Site(lab, Director(lab, configuration), stack)
        if start:
            made.start()
        yield made
        made.audit.close()
    assert traces(name) == []
