"""A running lab: its network, its real servers, its director; all of it goes away again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from vipd.dataplane.shield import shielded
from vipd.errors import ConfigError, DirectorError, EnvironmentProblem, Problem
from vipd.lab import lines, process
from vipd.lab.configuration import director_configuration
from vipd.lab.inhabitants import Inhabitants
from vipd.lab.interrupt import interruptible
from vipd.lab.network import Network, demolish, namespace_of, namespaces_of
from vipd.lab.process import Process, entering
from vipd.lab.topology import FAMILIES, TOPOLOGIES, Topology, methods_of
from vipd.model.director import Method

DIRECTORY: Final = Path("/run/vipd-lab")
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,17}")
_KEEPING: Final = tuple(
    Path(root, name) for name in ("vipd", "vipd-real-server") for root in ("/run", "/sys/fs/bpf", "/var/lib")
)
_STATE: Final = "lab.json"
VIPD: Final = (sys.executable, "-m", "vipd.cli.main")
_HURRY: Final = 60.0


class Lab:
    """One topology under a name of its own; several labs can be up side by side."""

    def __init__(self, topology: Topology, name: str | None = None, capture: bool = False) -> None:
        """`capture`: keep the frames of its lines in a file each."""
        self.topology = topology
        self._capture = capture
        self.name = topology.name if name is None else name
        if not NAME.fullmatch(self.name):
            mistake = f"a lab cannot be called {self.name!r}; allowed are up to 18 of a-z, 0-9 and '-'"
            raise ConfigError([Problem("", mistake)])
        self.network = Network(self.name, topology)
        self.directory = DIRECTORY / self.name

    @classmethod
    def found(cls, name: str) -> Self:
        """A lab that is up."""
        state = _state_of(name)
        if state is None or not state["complete"]:
            raise ConfigError([Problem("", f"there is no lab {name!r}; `vipd lab list` shows those there are")])
        return cls(TOPOLOGIES[state["topology"]], name)

    def frames(self, line: str) -> Path:
        """The capture of a line, where it is kept."""
        return self.directory / f"{line}.pcap"

    @property
    def configuration(self) -> Path:
        """A director's configuration that fits, for `vipd run`."""
        return self.directory / "vipd.yaml"

    def up(self) -> bool:
        """Network and real servers; False where they are there already. A failure leaves nothing."""
        require_root()
        state = _state_of(self.name)
        if state and state["complete"] and _is_whole(self, state):
            if state["topology"] != self.topology.name:
                raise DirectorError(f"lab {self.name} is up with topology {state['topology']}: take it down first")
            return False
        if state and not state["complete"] and Path(f"/proc/{state['owner']}").exists():
            raise DirectorError(f"lab {self.name} is being set up by process {state['owner']}")
        down(self.name)
        try:
            with interruptible():
                self._remember(complete=False)
                self.network.build()
                lines.lay(self.name, self.topology, self.start, self.directory if self._capture else None)
                self._start_servers()
                self.configuration.write_text(director_configuration(self.topology))
                self._remember(complete=True)
        except BaseException:
            with shielded():
                down(self.name)
            raise
        return True

    def down(self) -> None:
        down(self.name)

    def command(self, host: str, command: Sequence[str]) -> list[str]:
        return entering(self.network.namespace(host), command)

    def run(self, host: str, *command: str, check: bool = True, timeout: float = _HURRY) -> str:
        """Carry out a command on a host; what it printed."""
        return carry_out(self.command(host, command), check, timeout)

    def start(self, host: str, *command: str, name: str) -> Process:
        """Let a command run on a host until the lab goes down."""
        return process.start(self.network.namespace(host), command, self.directory, name)

    def _start_servers(self) -> None:
        ports = [(f"--{service.transport}", str(service.server_port)) for service in self.topology.services]
        options = [part for pair in ports for part in pair]
        servers = [
            self.start(
                host.name, sys.executable, "-m", "vipd.lab.server", "--name", host.name, *options, name=host.name
            )
            for host in self.topology.servers
        ]
        for method in methods_of(self.topology):
            if method is not Method.NAT:
                self._take_traffic_for_the_vip(method)
        for server in servers:
            process.await_line(server, "ready")

    def _take_traffic_for_the_vip(self, method: Method) -> None:
        vips = [part for family in FAMILIES for part in ("--vip", str(self.topology.vip_address(family)))]
        arguments = ["real-server", "up", *vips, "--method", method.value, "--via", "loopback"]
        # Written down like all that runs: where we are killed, `down` ends them before it undoes them.
        setting_up = [
            self.start(
                host.name, *VIPD, *arguments, "--instance", instance_of(self.name, host.name), name=f"{host.name}-up"
            )
            for host in self.topology.servers
        ]
        for each in setting_up:
            process.finish(each, _HURRY)

    def _remember(self, complete: bool) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        state = {"topology": self.topology.name, "owner": os.getpid(), "complete": complete}
        fresh = self.directory / f"{_STATE}.new"
        fresh.write_text(json.dumps(state))
        fresh.replace(self.directory / _STATE)


def instance_of(lab: str, host: str) -> str:
    return f"lab-{lab}-{host}"


def names() -> list[str]:
    return sorted(path.name for path in DIRECTORY.iterdir()) if DIRECTORY.is_dir() else []


def down(name: str) -> bool:
    """Everything that was ever made for the lab, also by a program that was killed; False: nothing was."""
    require_root()
    directory = DIRECTORY / name
    if not directory.exists() and not namespaces_of(name):
        return False
    with shielded(), Inhabitants(namespaces_of(name), directory) as inhabitants:
        process.stop(process.recorded(directory))
        # Whoever was started by a program that was killed before it wrote that down, or by `vipd lab exec`.
        process.stop(inhabitants)
        _vipd_down(name)
        demolish(name)
        process.stop(inhabitants)
        for left in (directory, *_kept(name), *lines.kept(name)):  # of namespaces that somebody else has removed
            shutil.rmtree(left, ignore_errors=True)
        if DIRECTORY.is_dir() and not any(DIRECTORY.iterdir()):
            DIRECTORY.rmdir()
    return True


def _vipd_down(lab: str) -> None:
    """What vipd keeps outside of the namespaces, under its instances' names, does not go with them."""
    commands = set()
    for path in _kept(lab):
        where = namespace_of(lab, path.name.rpartition("-")[2])
        if where in namespaces_of(lab):
            ours = path.parent.name == "vipd"
            undo = ["--instance", path.name, "down"] if ours else ["real-server", "down", "--instance", path.name]
            commands.add(tuple(entering(where, [*VIPD, *undo])))
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(carry_out, commands):
            pass  # raises what failed


def _kept(lab: str) -> Iterator[Path]:
    """Directories of vipd's instances in the lab; host names have no hyphen."""
    for root in _KEEPING:
        if root.is_dir():
            yield from (path for path in root.iterdir() if path.name.rpartition("-")[0] == f"lab-{lab}")


def _state_of(name: str) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = json.loads((DIRECTORY / name / _STATE).read_text())
    except FileNotFoundError:
        return None
    return state


def _is_whole(lab: Lab, state: dict[str, Any]) -> bool:
    topology = TOPOLOGIES[state["topology"]]
    wanted = {namespace_of(lab.name, host.name) for host in topology.hosts}
    return wanted <= set(namespaces_of(lab.name)) and all(map(process.is_alive, process.recorded(lab.directory)))


def require_root() -> None:
    if os.geteuid():
        raise EnvironmentProblem("a lab is made of network namespaces, for which root is needed")


def carry_out(command: Sequence[str], check: bool = True, timeout: float = _HURRY) -> str:
    # A session of its own: Ctrl-C is for us, who then end it.
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout, start_new_session=True)
    if check and done.returncode != 0:
        raise DirectorError(
            f"{' '.join(command)} failed ({done.returncode}): {done.stderr.strip() or done.stdout.strip()}"
        )
    return done.stdout


@contextmanager
def lab_of(topology: Topology, name: str, capture: bool = False) -> Iterator[Lab]:
    """A lab for as long as the block lasts."""
    lab = Lab(topology, name, capture)
    if not lab.up():
        raise DirectorError(f"lab {name} is up already: `vipd lab down {name}` takes it down")
    try:
        yield lab
    finally:
        with shielded():
            lab.down()
