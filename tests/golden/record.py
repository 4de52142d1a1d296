"""Runs inside a machine with Debian's kernel: the goldens from IPVS itself. tools/ipvs_goldens.py starts it.

Prints lines that begin with `golden ` and are, put together, the file in base64.
"""

from __future__ import annotations

import base64
import platform
import re
import subprocess
import time
import zlib
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from tests.golden.cases import cases
from tests.golden.data import Frame, Goldens, Recorded, dump
from tests.golden.play import play, told
from tests.golden.services import SCHEDULERS, SERVICES, Service, changes, renewal, rules
from tests.golden.site import Site
from tests.support.wires import CLIENT, VIP

MARK: Final = "golden "
_LINE: Final = 120
_CONNECTIONS: Final = Path("/proc/thread-self/net/ip_vs_conn")
_SERVICES: Final = Path("/proc/thread-self/net/ip_vs")
_SYSCTLS: Final = Path("/proc/sys/net/ipv4/vs")
_OF_THIS_MACHINE: Final = ("sync_qlen_max",)
"Settings whose default follows from how much memory there is."
_TIMEOUTS: Final = (10, 30, 60, 120, 300, 900)
"Seconds, of IPVS's states (`tcp_timeouts` and `udp_timeouts` in its sources)."
_PATIENCE: Final = 60.0
_PAUSE: Final = 0.05


class Ipvs:
    """Lives in the site's namespace, which the caller has entered."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._settings: dict[str, str] = {}
        "Before they were changed."
        self._changed: set[str] = set()
        "Services."
        _ipvsadm(rules(SERVICES.values()))

    def act(self, words: list[str]) -> None:
        match words:
            case ["set", name, value]:
                self._settings.setdefault(name, (_SYSCTLS / name).read_text())
                (_SYSCTLS / name).write_text(value)
            case [verb, name]:
                self._changed.add(name)
                _ipvsadm(changes(SERVICES[name], verb))
                if verb == "remove" and int((_SYSCTLS / "expire_nodest_conn").read_text()):
                    self._until_ended(SERVICES[name])

    def restore(self) -> None:
        for name, value in self._settings.items():
            (_SYSCTLS / name).write_text(value)
        for name in self._changed:
            _ipvsadm(renewal(SERVICES[name]))
        self._settings.clear()
        self._changed.clear()

    def exchange(self, frame: Frame) -> tuple[Frame, ...]:
        return self._site.exchange(frame)

    def connection(self, port: int) -> str:
        """As it was read twice: a reading leaves out an entry where another expires meanwhile."""
        before, now = None, self._connection(port)
        while now != before:
            before, now = now, self._connection(port)
        return now

    def _connection(self, port: int) -> str:
        """Columns: protocol, client, its port, VIP, its port, server, its port, state, seconds left."""
        clients = [_packed(client) for client in CLIENT.values()]
        found = [row for row in _connections() if row[2] == f"{port:04X}" and row[1].replace(":", "") in clients]
        return ", ".join(sorted(told(row[7], _timeout(int(row[8])), int(row[6], 16)) for row in found))

    def _until_ended(self, service: Service) -> None:
        """The kernel ends connections of a server that was removed when it has the time."""
        vip, port = _packed(VIP[service.family]), f"{service.port:04X}"
        deadline = time.monotonic() + _PATIENCE
        while left := [row for row in _connections() if row[3].replace(":", "") == vip and row[4] == port]:
            assert time.monotonic() < deadline, f"these do not end: {left}"
            time.sleep(_PAUSE)

    def counts(self, service: Service) -> str:
        vip = ip_address(VIP[service.family])
        shown = vip.packed.hex().upper() if vip.version == 4 else f"[{vip.exploded}]"
        where = re.escape(f"TCP  {shown}:{service.port:04X} ")
        found = re.search(where + r".*\n((?:  -> .*\n)*)", _SERVICES.read_text())
        assert found, f"{service.name} is not in {_SERVICES}"
        return ", ".join(f"{row.split()[-2]}/{row.split()[-1]}" for row in found[1].splitlines())


def _connections() -> list[list[str]]:
    with _CONNECTIONS.open() as rows:
        return [row.upper().split() for row in rows]


def _timeout(left: int) -> int:
    """Which one it was when the case began: none takes so long that the next smaller one would be meant."""
    return next(timeout for timeout in _TIMEOUTS if left <= timeout)


def _packed(address: str) -> str:
    return ip_address(address).packed.hex().upper()


def _ipvsadm(lines: Iterable[str]) -> None:
    subprocess.run(["ipvsadm", "--restore"], input="".join(f"{line}\n" for line in lines), text=True, check=True)


def _settings() -> dict[str, str]:
    paths = sorted(path for path in _SYSCTLS.iterdir() if path.name not in _OF_THIS_MACHINE)
    return {path.name: path.read_text().strip() for path in paths}


def main() -> None:
    subprocess.run(["modprobe", "-a", "veth", "ip_vs", *(f"ip_vs_{name}" for name in SCHEDULERS)], check=True)
    site = Site()
    with site.wires.entered():
        ipvs = Ipvs(site)
        recorded = tuple(Recorded(case, play(ipvs, case)) for case in cases())
        settings = _settings()
    site.close()
    made_by = {
        "made by": "make goldens",
        "kernel": f"{platform.system()} {platform.release()} {platform.version()}",
        "ipvsadm": subprocess.run(["ipvsadm", "--version"], capture_output=True, text=True, check=True).stdout.strip(),
        "net.ipv4.vs": settings,
    }
    text = base64.b64encode(zlib.compress(dump(Goldens(made_by, recorded)).encode(), 9)).decode()
    print()  # what the machine's own start has left on the line
    for start in range(0, len(text), _LINE):
        print(MARK + text[start : start + _LINE])


if __name__ == "__main__":
    main()
